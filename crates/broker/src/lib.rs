//! The composition root (under construction): what stands so far.

pub mod telemetry;
