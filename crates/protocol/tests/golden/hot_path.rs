//! The hot path's own Produce and Fetch, held against the same vectors.

use bytes::{Bytes, BytesMut};
use ottla_protocol::fetch::{
    AbortedTransaction, EpochEndOffset, FetchPartitionResponse, FetchResponse, FetchTopicResponse,
    LeaderIdAndEpoch, NodeEndpoint, Segment,
};
use ottla_protocol::messages::fetch_response::PartitionData;
use ottla_protocol::produce::{ProducePartition, ProduceRequest, ProduceTopic};
use ottla_protocol::{ApiKey, Direction, Request, Response, encode_response, messages};

use crate::vectors;

fn of(key: ApiKey, direction: Direction) -> impl Iterator<Item = vectors::Vector> {
    vectors::all().into_iter().filter(move |v| v.key == key && v.direction == direction)
}

#[test]
fn produce_taken_apart_in_place_has_the_same_fields() {
    for vector in of(ApiKey::Produce, Direction::Request) {
        let theirs =
            <messages::ProduceRequest as Request>::decode(vector.body.clone(), vector.version).unwrap();
        let topics = theirs.topic_data.into_iter().map(|topic| ProduceTopic {
            name: topic.name.0,
            topic_id: topic.topic_id,
            partitions: topic
                .partition_data
                .into_iter()
                .map(|p| ProducePartition { index: p.index, records: p.records.map(BytesMut::from) })
                .collect(),
        });
        let wanted = ProduceRequest {
            transactional_id: theirs.transactional_id.map(|id| id.0),
            acks: theirs.acks,
            timeout_ms: theirs.timeout_ms,
            topics: topics.collect(),
        };
        let ours = ProduceRequest::decode(BytesMut::from(&vector.body[..]), vector.version).unwrap();
        assert_eq!(ours, wanted, "{}", vector.name());
    }
}

#[test]
fn fetch_gathered_around_slices_has_the_same_bytes() {
    for vector in of(ApiKey::Fetch, Direction::Response) {
        let theirs =
            <messages::FetchResponse as Response>::decode(vector.body.clone(), vector.version).unwrap();
        let whole = encode_response(vector.version, 5, &theirs).unwrap();
        assert!(whole.ends_with(&vector.body), "{}", vector.name());
        let gathered = gatherable(theirs).encode_frame(vector.version, 5).unwrap();
        let sent: Vec<u8> = gathered
            .segments
            .into_iter()
            .flat_map(|segment| match segment {
                Segment::Bytes(bytes) | Segment::File(bytes) => bytes,
            })
            .collect();
        assert_eq!(sent, whole, "{}", vector.name());
    }
}

fn gatherable(response: messages::FetchResponse) -> FetchResponse<Bytes> {
    let topic = |topic: messages::fetch_response::FetchableTopicResponse| FetchTopicResponse {
        topic: topic.topic.0,
        topic_id: topic.topic_id,
        partitions: topic.partitions.into_iter().map(partition).collect(),
    };
    let endpoint = |endpoint: messages::fetch_response::NodeEndpoint| NodeEndpoint {
        node_id: endpoint.node_id,
        host: endpoint.host,
        port: endpoint.port,
        rack: endpoint.rack,
    };
    FetchResponse {
        throttle_time_ms: response.throttle_time_ms,
        error_code: response.error_code,
        session_id: response.session_id,
        responses: response.responses.into_iter().map(topic).collect(),
        node_endpoints: response.node_endpoints.into_iter().map(endpoint).collect(),
    }
}

fn partition(data: PartitionData) -> FetchPartitionResponse<Bytes> {
    let end_offset = |epoch, end_offset| EpochEndOffset { epoch, end_offset };
    let leader = |leader: messages::fetch_response::LeaderIdAndEpoch| LeaderIdAndEpoch {
        leader_id: leader.leader_id.0,
        leader_epoch: leader.leader_epoch,
    };
    let aborted = |aborted: messages::fetch_response::AbortedTransaction| AbortedTransaction {
        producer_id: aborted.producer_id.0,
        first_offset: aborted.first_offset,
    };
    let empty = PartitionData::default();
    FetchPartitionResponse {
        partition_index: data.partition_index,
        error_code: data.error_code,
        high_watermark: data.high_watermark,
        last_stable_offset: data.last_stable_offset,
        log_start_offset: data.log_start_offset,
        diverging_epoch: (data.diverging_epoch != empty.diverging_epoch)
            .then(|| end_offset(data.diverging_epoch.epoch, data.diverging_epoch.end_offset)),
        current_leader: (data.current_leader != empty.current_leader).then(|| leader(data.current_leader)),
        snapshot_id: (data.snapshot_id != empty.snapshot_id)
            .then(|| end_offset(data.snapshot_id.epoch, data.snapshot_id.end_offset)),
        aborted_transactions: data
            .aborted_transactions
            .map(|transactions| transactions.into_iter().map(aborted).collect()),
        preferred_read_replica: data.preferred_read_replica.0,
        records: data.records.into_iter().collect(),
    }
}
