//! Records on several brokers: followers fetch from leaders, and leaders tell the controller who is in sync.
//!
//! What a replica does with an answer, and what its leader reads out of a fetch, is in `partitions/partition/`; who decides
//! is `ottla_replication::PartitionMachine`.

mod fetcher;
mod fetchers;
mod isr;
mod leader;
mod proposals;
mod quotas;
mod recovery_points;
#[cfg(test)]
mod tests;
mod wire;

pub(crate) use fetchers::{Fetchers, FetchersParts};
pub(crate) use isr::{IsrManager, watch_lag};
pub(crate) use proposals::IsrProposals;
pub(crate) use quotas::{ReplicationQuotas, Side};
pub(crate) use recovery_points::RecoveryPoints;
