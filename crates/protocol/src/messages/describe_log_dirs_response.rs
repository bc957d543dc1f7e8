//! `DescribeLogDirsResponse` v1-5 (4.4.0); v5 adds whether a directory is cordoned.

use kafka_protocol::messages::TopicName;
use kafka_protocol::protocol::StrBytes;

crate::part::message! {
    pub struct DescribeLogDirsResponse {
        throttle_time_ms: i32 => 0..;
        error_code: i16 => 3.., ignorable;
        results: Vec<DescribeLogDirsResult> => 0..;
    }

    /// One log directory.
    pub struct DescribeLogDirsResult {
        error_code: i16 => 0..;
        /// Absolute path.
        log_dir: StrBytes => 0..;
        topics: Vec<DescribeLogDirsTopic> => 0..;
        /// Bytes of the volume that the directory is on; -1 if not known.
        total_bytes: i64 = -1 => 4.., ignorable;
        /// Bytes of it that can still be used; -1 if not known.
        usable_bytes: i64 = -1 => 4.., ignorable;
        /// Whether new replicas are kept away from the directory.
        is_cordoned: bool => 5.., ignorable;
    }

    pub struct DescribeLogDirsTopic {
        name: TopicName => 0..;
        partitions: Vec<DescribeLogDirsPartition> => 0..;
    }

    pub struct DescribeLogDirsPartition {
        partition_index: i32 => 0..;
        /// Bytes of the log's segments.
        partition_size: i64 => 0..;
        /// Records behind the high watermark (or, for a future log, behind the current log's end).
        offset_lag: i64 => 0..;
        /// Whether this is a log that AlterReplicaLogDirs is building.
        is_future_key: bool => 0..;
    }
}
