//! Configs of resources as requests change them, whichever of the two requests asks.

mod alterer;
mod logger_levels;
mod refused;
mod wanted;

pub(crate) use alterer::Alterer;
pub(crate) use refused::{Refused, text};
pub(crate) use wanted::{Wanted, WantedChange, WantedOp};
