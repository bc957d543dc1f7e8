//! `FetchRequest` v4-18 (4.4.0): own because it is on the hot path.

use kafka_protocol::messages::{BrokerId, TopicName};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

crate::part::message! {
    pub struct FetchRequest {
        /// Validates metadata fetches of a broker that is not registered yet.
        cluster_id: Option<StrBytes> = None => 12.., tag(0), nullable(12..), ignorable;
        /// The follower, or -1 for a consumer; from v15 in `replica_state`.
        replica_id: BrokerId = BrokerId(-1) => 0..=14;
        replica_state: ReplicaState => 15.., tag(1);
        max_wait_ms: i32 => 0..;
        min_bytes: i32 => 0..;
        /// Not honoured by the first batch (KIP-74).
        max_bytes: i32 = i32::MAX => 3.., ignorable;
        /// 0 read_uncommitted, 1 read_committed.
        isolation_level: i8 => 4.., ignorable;
        session_id: i32 => 7.., ignorable;
        /// -1 outside any session (KIP-227).
        session_epoch: i32 = -1 => 7.., ignorable;
        topics: Vec<FetchTopic> => 0..;
        /// Partitions to drop from the session.
        forgotten_topics_data: Vec<ForgottenTopic> => 7..;
        rack_id: StrBytes => 11.., ignorable;
    }

    pub struct ReplicaState {
        /// The follower, or -1 for a consumer.
        replica_id: BrokerId = BrokerId(-1) => 15..;
        /// The follower's broker epoch (KIP-903), or -1.
        replica_epoch: i64 = -1 => 15..;
    }

    pub struct FetchTopic {
        topic: TopicName => 0..=12, ignorable;
        topic_id: Uuid => 13.., ignorable;
        partitions: Vec<FetchPartition> => 0..;
    }

    pub struct FetchPartition {
        partition: i32 => 0..;
        /// -1 if the client does not fence.
        current_leader_epoch: i32 = -1 => 9.., ignorable;
        fetch_offset: i64 => 0..;
        /// The epoch of the last record that a follower has, or -1.
        last_fetched_epoch: i32 = -1 => 12..;
        /// The follower's own; -1 from a consumer.
        log_start_offset: i64 = -1 => 5.., ignorable;
        partition_max_bytes: i32 => 0..;
        replica_directory_id: Uuid => 17.., tag(0), ignorable;
        /// What the follower takes for it (KIP-1166): -1 unknown, `i64::MAX` not supported.
        high_watermark: i64 = i64::MAX => 18.., tag(1), ignorable;
    }

    pub struct ForgottenTopic {
        topic: TopicName => 7..=12, ignorable;
        topic_id: Uuid => 13.., ignorable;
        partitions: Vec<i32> => 7..;
    }
}
