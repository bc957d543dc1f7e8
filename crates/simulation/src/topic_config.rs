//! What a world's brokers are set to, and a topic's settings as its logs and machines take them.

use std::sync::Arc;

use ottla_metadata::MetadataImage;
use ottla_replication::{Durability, PartitionConfig};
use ottla_storage::LogConfig;

use crate::groups::GroupSettings;
use crate::message::Address;

/// After so long coordinators follow an image that the replicas follow, where they are slow.
const SLOW_MS: u64 = 400;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// `replica.lag.time.max.ms`.
    pub(crate) lag_ms: u64,
    /// What is not flushed for so long is flushed.
    pub(crate) flush_ms: u64,
    pub(crate) segment_bytes: u32,
    /// `None`: nobody coordinates groups.
    pub(crate) groups: Option<GroupSettings>,
}

impl Settings {
    /// As that broker has them: its coordinators may be slower than others.
    pub(crate) fn of_broker(self, id: Address) -> Self {
        let slower = |groups: GroupSettings| match groups.slow >> id & 1 {
            1 => GroupSettings { apply_ms: SLOW_MS, ..groups },
            _ => groups,
        };
        Self { groups: self.groups.map(slower), ..self }
    }

    /// A topic's log and machine.
    pub(crate) fn of(&self, image: &MetadataImage, topic: &str) -> (Arc<LogConfig>, PartitionConfig) {
        let number = |key: &str| image.configs().topic(topic)?.get(key)?.parse::<i64>().ok();
        let flush_messages = number("flush.messages").unwrap_or(i64::MAX);
        let log = LogConfig {
            flush_messages,
            segment_bytes: self.segment_bytes,
            index_interval_bytes: 200,
            ..LogConfig::default()
        };
        let machine = PartitionConfig {
            min_insync_replicas: number("min.insync.replicas")
                .and_then(|min| usize::try_from(min).ok())
                .unwrap_or(1),
            replica_lag_time_max_ms: self.lag_ms,
            durability: if flush_messages == 1 { Durability::Flushed } else { Durability::Appended },
        };
        (Arc::new(log), machine)
    }
}
