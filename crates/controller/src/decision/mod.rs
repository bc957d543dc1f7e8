//! The pure core: a command and the current image give records and an answer. Nothing here changes state, reads a
//! clock or makes a random number of its own.

mod alter_configs;
mod alter_partition;
mod alter_partition_reassignments;
mod broker_ids;
mod brokers;
mod config_rules;
mod controllers;
mod create_partitions;
mod create_topics;
mod delete_topics;
mod directories;
mod duplicates;
mod elect_leaders;
mod heartbeat;
mod partition_change;
mod placement;
mod producer_ids;
mod update_features;
mod upkeep;

pub use alter_configs::alter_configs;
pub use alter_partition::alter_partition;
pub use alter_partition_reassignments::alter_partition_reassignments;
pub use broker_ids::give_broker_id;
pub use brokers::{controlled_shutdown, fence_broker, register_broker, unfence_broker, unregister_broker};
pub use controllers::{register_controller, unregister_controller};
pub use create_partitions::create_partitions;
pub use create_topics::create_topics;
pub use delete_topics::delete_topics;
pub use directories::{assign_replicas_to_dirs, set_online_log_dirs};
pub use elect_leaders::elect_leaders;
pub use heartbeat::broker_heartbeat;
pub use producer_ids::{PRODUCER_ID_BLOCK_LEN, allocate_producer_ids};
pub use update_features::update_features;
pub use upkeep::{ELECTIONS_MAX, balance_leaders, elect_uncleanly};

use std::borrow::Cow;
use std::sync::Arc;

use ottla_config::BrokerConfig;
use ottla_metadata::{ConfigResourceType, MIN_INSYNC_REPLICAS, MetadataImage, MetadataRecord};
use ottla_model::BrokerId;
use uuid::Uuid;

/// Partitions that one request may create (`ReplicationControlManager.MAX_PARTITIONS_PER_BATCH`).
pub const PARTITIONS_PER_REQUEST_MAX: usize = 10_000;

/// What decisions need beside the image and randomness: this node's file settings.
#[derive(Clone, Debug)]
pub struct Settings {
    pub node_id: BrokerId,
    pub broker: Arc<BrokerConfig>,
    /// The log says who votes, not the file: a new cluster's `kraft.version` is 1.
    pub dynamic_voters: bool,
}

impl Settings {
    /// What the file says of `min.insync.replicas`, or the default.
    pub(crate) fn min_insync_replicas(&self) -> String {
        let fixed = self.broker.layers().fixed.get(MIN_INSYNC_REPLICAS).cloned();
        fixed.unwrap_or_else(|| "1".to_owned())
    }
}

/// Where random numbers come from.
pub trait Randomness: Send {
    fn uuid(&mut self) -> Uuid;
    /// A number below `bound`, which is above zero.
    fn below(&mut self, bound: usize) -> usize;
}

/// What a decision is made from.
#[derive(Debug)]
pub struct Context<'a> {
    pub image: &'a MetadataImage,
    pub settings: &'a Settings,
    pub random: &'a mut dyn Randomness,
}

impl std::fmt::Debug for dyn Randomness + '_ {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Randomness")
    }
}

impl Context<'_> {
    /// The broker's settings with the dynamic ones of the image: the cluster's default, then this node's own.
    fn effective_broker_config(&self) -> Cow<'_, BrokerConfig> {
        let overrides = |name: &str| {
            let overrides = self.image.configs().overrides(ConfigResourceType::Broker, name);
            overrides.map(|overrides| overrides.as_ref().clone()).unwrap_or_default()
        };
        let (default, own) = (overrides(""), overrides(&self.settings.node_id.to_string()));
        if default.is_empty() && own.is_empty() {
            return Cow::Borrowed(&self.settings.broker);
        }
        match self.settings.broker.with_dynamic(default, own) {
            Ok(config) => Cow::Owned(config),
            Err(_) => Cow::Borrowed(&self.settings.broker),
        }
    }
}

impl Context<'_> {
    /// Whether this node has cordoned all its log dirs.
    fn is_cordoned(&self) -> bool {
        let config = self.effective_broker_config();
        let log = &config.log;
        !log.cordoned.is_empty() && log.dirs.iter().all(|dir| log.cordoned.contains(dir))
    }
}

/// Records that make the answer true once they are replayed; none if nothing changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision<A> {
    pub records: Vec<MetadataRecord>,
    pub answer: A,
}

impl<A> Decision<A> {
    /// An answer that changes nothing.
    pub(crate) fn answer_only(answer: A) -> Self {
        Self { records: Vec::new(), answer }
    }
}

#[cfg(test)]
mod tests;
