//! A topic's settings as its logs and its partition machines take them.

use ottla_config::{BrokerConfig, CompressionType, ConfigError, ConfigMap, ThrottledReplicas, TopicConfig};
use ottla_metadata::{ConfigResourceType, MetadataImage};
use ottla_model::batch::Compression;
use ottla_replication::{Durability, PartitionConfig};
use ottla_storage::{CleanupPolicy, LogConfig};

/// Both views of one topic's effective settings.
#[derive(Clone, Debug)]
pub(crate) struct ReplicaConfig {
    pub log: LogConfig,
    pub machine: PartitionConfig,
    /// What is throttled on leaders, and on followers.
    pub throttled: (ThrottledReplicas, ThrottledReplicas),
}

impl ReplicaConfig {
    /// A topic's overrides in the image, over the broker's settings.
    ///
    /// # Errors
    /// An override that is not allowed; the controller lets none in.
    pub(crate) fn resolve(
        image: &MetadataImage,
        topic: &str,
        broker: &BrokerConfig,
    ) -> Result<Self, ConfigError> {
        let topic = TopicConfig::resolve(&overrides(image, ConfigResourceType::Topic, topic), broker)?;
        let throttled = (topic.leader_throttled.clone(), topic.follower_throttled.clone());
        Ok(Self { log: log(&topic, broker), machine: machine(&topic, broker), throttled })
    }
}

/// What is set on a resource in the image.
pub(crate) fn overrides(image: &MetadataImage, kind: ConfigResourceType, name: &str) -> ConfigMap {
    let set = image.configs().overrides(kind, name).into_iter().flat_map(|overrides| overrides.iter());
    set.map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn log(topic: &TopicConfig, broker: &BrokerConfig) -> LogConfig {
    let (compression, compression_level) = match topic.compression_type {
        CompressionType::Producer => (None, None),
        CompressionType::Uncompressed => (Some(Compression::None), None),
        CompressionType::Gzip => (Some(Compression::Gzip), Some(topic.compression_gzip_level)),
        CompressionType::Snappy => (Some(Compression::Snappy), None),
        CompressionType::Lz4 => (Some(Compression::Lz4), Some(topic.compression_lz4_level)),
        CompressionType::Zstd => (Some(Compression::Zstd), Some(topic.compression_zstd_level)),
    };
    LogConfig {
        cleanup_policy: CleanupPolicy {
            delete: topic.cleanup_policy.delete,
            compact: topic.cleanup_policy.compact,
        },
        compression,
        compression_level,
        delete_retention_ms: topic.delete_retention_ms,
        file_delete_delay_ms: unsigned64(topic.file_delete_delay_ms),
        flush_messages: topic.flush_messages,
        flush_ms: topic.flush_ms,
        index_interval_bytes: unsigned(topic.index_interval_bytes),
        max_decompressed_message_bytes: unsigned(topic.max_decompressed_message_bytes),
        max_compaction_lag_ms: topic.max_compaction_lag_ms,
        max_message_bytes: unsigned(topic.max_message_bytes),
        message_timestamp_after_max_ms: topic.message_timestamp_after_max_ms,
        message_timestamp_before_max_ms: topic.message_timestamp_before_max_ms,
        message_timestamp_type: topic.message_timestamp_type,
        min_cleanable_dirty_ratio: topic.min_cleanable_dirty_ratio,
        min_compaction_lag_ms: topic.min_compaction_lag_ms,
        preallocate: topic.preallocate,
        producer_id_expiration_ms: i64::from(broker.producer_ids.expiration_ms),
        retention_bytes: topic.retention_bytes,
        retention_ms: topic.retention_ms,
        segment_bytes: unsigned(topic.segment_bytes),
        segment_index_bytes: unsigned(topic.segment_index_bytes),
        segment_jitter_ms: topic.segment_jitter_ms,
        segment_ms: topic.segment_ms,
    }
}

fn machine(topic: &TopicConfig, broker: &BrokerConfig) -> PartitionConfig {
    PartitionConfig {
        min_insync_replicas: usize::try_from(topic.min_insync_replicas).unwrap_or(1),
        replica_lag_time_max_ms: unsigned64(broker.replication.lag_time_max_ms),
        // A flush after every message is a promise about acknowledged ones.
        durability: if topic.flush_messages == 1 { Durability::Flushed } else { Durability::Appended },
    }
}

fn unsigned(value: i32) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

fn unsigned64(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
