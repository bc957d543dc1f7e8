//! The command line: what was asked for, read into settings, and one clear line where it cannot be had.

mod args;
mod banner;
mod container;
mod explain;
mod health_check;
mod launch;
mod run;

pub use args::{Args, parse_args};
pub use banner::{Banner, Start};
pub use explain::explain;
pub use launch::{Launch, LaunchError};
pub use run::run;
