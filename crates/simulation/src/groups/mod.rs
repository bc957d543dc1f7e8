//! Groups in the world: who commits and fetches offsets, and what must come of it. The coordinators are the brokers'
//! (`node/coordinator.rs`), and keep their records in replicated logs of the world.

mod ask;
mod committer;
mod plan;
mod track;
mod world;

pub(crate) use ask::GroupAsk;
pub(crate) use plan::{GroupSettings, GroupsPlan, OFFSETS};
pub(crate) use world::Groups;

use crate::message::Address;

/// The first client of groups.
pub(crate) const MEMBERS: Address = 2_000;
/// `__consumer_offsets`.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";
