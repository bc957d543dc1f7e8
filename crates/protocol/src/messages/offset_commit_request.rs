//! `OffsetCommitRequest` v2-10 (4.4.0); v10 names topics by id (KIP-848).

use kafka_protocol::messages::{GroupId, TopicName};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

crate::part::message! {
    pub struct OffsetCommitRequest {
        group_id: GroupId => 0..;
        /// The generation (classic) or member epoch (KIP-848); -1 from a client outside the group.
        generation_id_or_member_epoch: i32 = -1 => 1.., ignorable;
        member_id: StrBytes => 1.., ignorable;
        group_instance_id: Option<StrBytes> = None => 7.., nullable(7..);
        /// Milliseconds to keep the offsets; -1 for the broker's own setting.
        retention_time_ms: i64 = -1 => 2..=4, ignorable;
        topics: Vec<OffsetCommitRequestTopic> => 0..;
    }

    pub struct OffsetCommitRequestTopic {
        name: TopicName => 0..=9, ignorable;
        topic_id: Uuid => 10.., ignorable;
        partitions: Vec<OffsetCommitRequestPartition> => 0..;
    }

    pub struct OffsetCommitRequestPartition {
        partition_index: i32 => 0..;
        committed_offset: i64 => 0..;
        /// -1 if the client does not know.
        committed_leader_epoch: i32 = -1 => 6.., ignorable;
        committed_metadata: Option<StrBytes> = Some(StrBytes::new()) => 0.., nullable(0..);
    }
}
