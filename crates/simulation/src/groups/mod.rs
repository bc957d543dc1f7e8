//! Groups in the world: who commits and fetches offsets, and what must come of it. The coordinators are the brokers'
//! (`node/coordinator.rs`), and keep their records in replicated logs of the world.

mod ask;
mod caller;
mod checks;
mod classic;
mod committer;
mod consumer;
mod lost_write;
mod member;
mod past;
mod plan;
mod refusal;
mod statics;
mod track;
pub(crate) mod work;
mod world;

pub(crate) use ask::GroupAsk;
pub(crate) use consumer::SESSION_MS as CONSUMER_SESSION_MS;
pub(crate) use plan::{GroupSettings, GroupsPlan, OFFSETS};
pub(crate) use world::Groups;

use crate::message::Address;

/// The first client of groups.
pub(crate) const MEMBERS: Address = 2_000;
/// `__consumer_offsets`.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";
