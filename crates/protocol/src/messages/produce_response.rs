//! `ProduceResponse` v3-13 (4.4.0): own because it is on the hot path.

use kafka_protocol::messages::{BrokerId, TopicName};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

crate::part::message! {
    pub struct ProduceResponse {
        responses: Vec<TopicProduceResponse> => 0..;
        throttle_time_ms: i32 => 1.., ignorable;
        /// Where the current leaders named below can be reached (KIP-951).
        node_endpoints: Vec<NodeEndpoint> => 10.., tag(0);
    }

    pub struct TopicProduceResponse {
        name: TopicName => 0..=12, ignorable;
        topic_id: Uuid => 13.., ignorable;
        partition_responses: Vec<PartitionProduceResponse> => 0..;
    }

    pub struct PartitionProduceResponse {
        index: i32 => 0..;
        error_code: i16 => 0..;
        base_offset: i64 => 0..;
        /// -1 unless the topic stamps records with LogAppendTime.
        log_append_time_ms: i64 = -1 => 2.., ignorable;
        log_start_offset: i64 = -1 => 5.., ignorable;
        /// The records for which the batch was dropped (KIP-467).
        record_errors: Vec<BatchIndexAndErrorMessage> => 8.., ignorable;
        error_message: Option<StrBytes> = None => 8.., nullable(8..), ignorable;
        /// Sent with NOT_LEADER_OR_FOLLOWER (KIP-951).
        current_leader: LeaderIdAndEpoch => 10.., tag(0);
    }

    pub struct BatchIndexAndErrorMessage {
        batch_index: i32 => 8..;
        batch_index_error_message: Option<StrBytes> = None => 8.., nullable(8..);
    }

    pub struct LeaderIdAndEpoch {
        leader_id: BrokerId = BrokerId(-1) => 10..;
        leader_epoch: i32 = -1 => 10..;
    }

    pub struct NodeEndpoint {
        node_id: BrokerId => 10..;
        host: StrBytes => 10..;
        port: i32 => 10..;
        rack: Option<StrBytes> = None => 10.., nullable(10..);
    }
}
