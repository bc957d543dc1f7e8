//! `OffsetFetchRequest` v1-10 (4.4.0); v8 asks for many groups at once, v10 names topics by id (KIP-848).

use kafka_protocol::messages::{GroupId, TopicName};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

crate::part::message! {
    pub struct OffsetFetchRequest {
        group_id: GroupId => 0..=7;
        /// `None` for all topics.
        topics: Option<Vec<OffsetFetchRequestTopic>> = Some(Vec::new()) => 0..=7, nullable(2..=7);
        groups: Vec<OffsetFetchRequestGroup> => 8..;
        /// Whether offsets that an open transaction may still move are an error (KIP-447).
        require_stable: bool => 7..;
    }

    pub struct OffsetFetchRequestTopic {
        name: TopicName => 0..=7;
        partition_indexes: Vec<i32> => 0..=7;
    }

    pub struct OffsetFetchRequestGroup {
        group_id: GroupId => 8..;
        member_id: Option<StrBytes> = None => 9.., nullable(9..), ignorable;
        /// -1 from a client that is no member of a KIP-848 group.
        member_epoch: i32 = -1 => 9.., ignorable;
        /// `None` for all topics.
        topics: Option<Vec<OffsetFetchRequestTopics>> = Some(Vec::new()) => 8.., nullable(8..);
    }

    pub struct OffsetFetchRequestTopics {
        name: TopicName => 8..=9, ignorable;
        topic_id: Uuid => 10.., ignorable;
        partition_indexes: Vec<i32> => 8..;
    }
}
