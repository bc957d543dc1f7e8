//! The group coordinators of this broker: one engine for each partition of `__consumer_offsets` that is led here.
//!
//! The engines decide; this driver appends their batches, tells them the high watermark and the time, loads them when
//! leadership comes here and closes them when it goes.

mod ask;
mod client;
mod coordinator;
mod load;
mod memory;
mod registry;
mod settings;
mod slot;
mod topics;

pub(crate) use ask::{Asked, answer, misplaced, settled};
pub(crate) use client::{client_host, shared, wire};
pub(crate) use registry::{Groups, GroupsParts};
pub(crate) use settings::offsets_topic;
