//! The settings of one partition's log, as plain typed fields; whoever builds it has checked their ranges.

use ottla_model::batch::{Compression, TimestampType};

/// What a log does with data that is past its retention (`cleanup.policy`); both may be set, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleanupPolicy {
    pub delete: bool,
    pub compact: bool,
}

/// Topic-level settings by Kafka's names, and the broker settings that a log needs. `i64::MAX` means "never" or
/// "unlimited" where Kafka's default is that; -1 means it for the retention settings.
#[derive(Clone, Debug, PartialEq)]
pub struct LogConfig {
    pub cleanup_policy: CleanupPolicy,
    /// `compression.type`: `None` is `producer`.
    pub compression: Option<Compression>,
    /// `compression.{gzip,lz4,zstd}.level`; `None` is the codec's default. Only used with `compression`.
    pub compression_level: Option<i32>,
    /// How long a tombstone stays after the first compaction that saw it.
    pub delete_retention_ms: i64,
    pub file_delete_delay_ms: u64,
    pub flush_messages: i64,
    pub flush_ms: i64,
    pub index_interval_bytes: u32,
    /// `max.decompressed.message.bytes`: the largest record of a compressed batch.
    pub max_decompressed_message_bytes: u32,
    /// The latest that a record may become subject to compaction.
    pub max_compaction_lag_ms: i64,
    /// `max.message.bytes`: the largest batch.
    pub max_message_bytes: u32,
    pub message_timestamp_after_max_ms: i64,
    pub message_timestamp_before_max_ms: i64,
    pub message_timestamp_type: TimestampType,
    /// From which share of dirty bytes on a log is compacted.
    pub min_cleanable_dirty_ratio: f64,
    /// A record is not compacted away before it is so old.
    pub min_compaction_lag_ms: i64,
    pub preallocate: bool,
    /// `producer.id.expiration.ms` (broker level).
    pub producer_id_expiration_ms: i64,
    pub retention_bytes: i64,
    pub retention_ms: i64,
    pub segment_bytes: u32,
    pub segment_index_bytes: u32,
    pub segment_jitter_ms: i64,
    pub segment_ms: i64,
}

impl LogConfig {
    /// The default, and the largest value, of `max.decompressed.message.bytes`: no record can be larger.
    pub const MAX_DECOMPRESSED_MESSAGE_BYTES: u32 = 2_147_483_639;

    /// `segment.ms`, or `max.compaction.lag.ms` of a compacted log if that is less: records become subject to compaction
    /// only once their segment is closed.
    #[must_use]
    pub fn segment_ms_max(&self) -> i64 {
        if self.cleanup_policy.compact && self.max_compaction_lag_ms > 0 {
            self.segment_ms.min(self.max_compaction_lag_ms)
        } else {
            self.segment_ms
        }
    }
}

impl Default for LogConfig {
    /// Kafka 4.4's defaults.
    fn default() -> Self {
        Self {
            cleanup_policy: CleanupPolicy { delete: true, compact: false },
            compression: None,
            compression_level: None,
            delete_retention_ms: 86_400_000,
            file_delete_delay_ms: 60_000,
            flush_messages: i64::MAX,
            flush_ms: i64::MAX,
            index_interval_bytes: 4_096,
            max_decompressed_message_bytes: Self::MAX_DECOMPRESSED_MESSAGE_BYTES,
            max_compaction_lag_ms: i64::MAX,
            max_message_bytes: 1_048_588,
            message_timestamp_after_max_ms: 3_600_000,
            message_timestamp_before_max_ms: i64::MAX,
            message_timestamp_type: TimestampType::CreateTime,
            min_cleanable_dirty_ratio: 0.5,
            min_compaction_lag_ms: 0,
            preallocate: false,
            producer_id_expiration_ms: 86_400_000,
            retention_bytes: -1,
            retention_ms: 604_800_000,
            segment_bytes: 1 << 30,
            segment_index_bytes: 10 << 20,
            segment_jitter_ms: 0,
            segment_ms: 604_800_000,
        }
    }
}
