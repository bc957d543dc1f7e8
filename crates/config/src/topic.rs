//! A topic's effective settings, typed.

use ottla_model::batch::TimestampType;

use crate::{BrokerConfig, ConfigError, ConfigMap, topic_resolve};

/// `cleanup.policy`: what happens to old records. Neither: they are kept for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CleanupPolicy {
    pub delete: bool,
    pub compact: bool,
}

/// `compression.type` of a topic: what the broker recompresses to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CompressionType {
    /// As the producer sent it.
    #[default]
    Producer,
    Uncompressed,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

/// Replicas whose copying is throttled while they are not in sync (KIP-73).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ThrottledReplicas {
    #[default]
    None,
    All,
    /// By partition and broker.
    Some(Vec<(i32, i32)>),
}

impl ThrottledReplicas {
    #[must_use]
    pub fn has(&self, partition: i32, broker: i32) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Some(replicas) => replicas.contains(&(partition, broker)),
        }
    }

    /// Of a list that has been checked.
    pub(crate) fn from_list(items: &[String]) -> Self {
        if items.iter().any(|item| item.trim() == "*") {
            return Self::All;
        }
        let replicas = items.iter().filter_map(|item| {
            let (partition, broker) = item.split_once(':')?;
            Some((partition.trim().parse().ok()?, broker.trim().parse().ok()?))
        });
        let replicas: Vec<(i32, i32)> = replicas.collect();
        if replicas.is_empty() { Self::None } else { Self::Some(replicas) }
    }
}

/// What Ottla does by a topic's settings, with the effective values. Numbers mean what they mean in Kafka: -1 is "no limit" for
/// retention, `i64::MAX` "never" for flushing.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicConfig {
    pub cleanup_policy: CleanupPolicy,
    pub compression_type: CompressionType,
    pub compression_gzip_level: i32,
    pub compression_lz4_level: i32,
    pub compression_zstd_level: i32,
    pub delete_retention_ms: i64,
    pub file_delete_delay_ms: i64,
    pub flush_messages: i64,
    pub flush_ms: i64,
    pub follower_throttled: ThrottledReplicas,
    pub index_interval_bytes: i32,
    pub leader_throttled: ThrottledReplicas,
    pub max_compaction_lag_ms: i64,
    pub max_decompressed_message_bytes: i32,
    pub max_message_bytes: i32,
    pub message_timestamp_after_max_ms: i64,
    pub message_timestamp_before_max_ms: i64,
    pub message_timestamp_type: TimestampType,
    pub min_cleanable_dirty_ratio: f64,
    pub min_compaction_lag_ms: i64,
    pub min_insync_replicas: i32,
    pub preallocate: bool,
    pub remote_storage_enable: bool,
    pub retention_bytes: i64,
    pub retention_ms: i64,
    pub segment_bytes: i32,
    pub segment_index_bytes: i32,
    pub segment_jitter_ms: i64,
    pub segment_ms: i64,
    pub unclean_leader_election_enable: bool,
}

impl TopicConfig {
    /// A topic's effective settings: its own overrides over the broker's (dynamic, file, default).
    ///
    /// # Errors
    /// An override that is unknown or not allowed.
    pub fn resolve(overrides: &ConfigMap, broker: &BrokerConfig) -> Result<Self, ConfigError> {
        topic_resolve::resolve(overrides, broker)
    }
}
