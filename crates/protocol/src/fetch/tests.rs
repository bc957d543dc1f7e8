use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::fetch_response as lib;
use kafka_protocol::messages::{self, BrokerId, ProducerId, TopicName};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::*;
use crate::{ApiKey, EncodeError, Response, encode_response};

fn partition() -> impl Strategy<Value = FetchPartitionResponse<Bytes>> {
    let bytes = || vec(any::<u8>(), 0..20).prop_map(Bytes::from);
    let epoch =
        || of((0..100, 0i64..100).prop_map(|(epoch, end_offset)| EpochEndOffset { epoch, end_offset }));
    let leader =
        of((0..9, 0..9).prop_map(|(leader_id, leader_epoch)| LeaderIdAndEpoch { leader_id, leader_epoch }));
    let aborted = of(vec(
        (any::<i64>(), any::<i64>())
            .prop_map(|(producer_id, first_offset)| AbortedTransaction { producer_id, first_offset }),
        0..3,
    ));
    let offsets = (any::<i64>(), any::<i64>(), any::<i64>());
    (any::<i32>(), any::<i16>(), offsets, epoch(), leader, epoch(), aborted, any::<i32>(), vec(bytes(), 0..3))
        .prop_map(
            |(
                partition_index,
                error_code,
                offsets,
                diverging_epoch,
                current_leader,
                snapshot_id,
                aborted_transactions,
                preferred_read_replica,
                records,
            )| {
                FetchPartitionResponse {
                    partition_index,
                    error_code,
                    high_watermark: offsets.0,
                    last_stable_offset: offsets.1,
                    log_start_offset: offsets.2,
                    diverging_epoch,
                    current_leader,
                    snapshot_id,
                    aborted_transactions,
                    preferred_read_replica,
                    records,
                }
            },
        )
}

fn response() -> impl Strategy<Value = FetchResponse<Bytes>> {
    let text = || "[a-z]{0,5}".prop_map(StrBytes::from_string);
    let topic = (text(), any::<u128>(), vec(partition(), 0..3)).prop_map(|(topic, id, partitions)| {
        FetchTopicResponse { topic, topic_id: Uuid::from_u128(id), partitions }
    });
    let endpoint = (any::<i32>(), text(), any::<i32>(), of(text()))
        .prop_map(|(id, host, port, rack)| NodeEndpoint { node_id: BrokerId(id), host, port, rack });
    (any::<i32>(), any::<i16>(), any::<i32>(), vec(topic, 0..3), vec(endpoint, 0..2)).prop_map(
        |(throttle_time_ms, error_code, session_id, responses, node_endpoints)| FetchResponse {
            throttle_time_ms,
            error_code,
            session_id,
            responses,
            node_endpoints,
        },
    )
}

/// Takes out what the version cannot carry.
fn fit(mut response: FetchResponse<Bytes>, version: i16) -> FetchResponse<Bytes> {
    if version < 7 {
        response.session_id = 0;
    }
    if version < 16 {
        response.node_endpoints.clear();
    }
    for partition in response.responses.iter_mut().flat_map(|topic| &mut topic.partitions) {
        if version < 11 {
            partition.preferred_read_replica = -1;
        }
        if version < 12 {
            partition.diverging_epoch = None;
            partition.current_leader = None;
            partition.snapshot_id = None;
        }
    }
    response
}

fn as_lib(response: &FetchResponse<Bytes>) -> messages::FetchResponse {
    let topics = response.responses.iter().map(|topic| {
        lib::FetchableTopicResponse::default()
            .with_topic(TopicName(topic.topic.clone()))
            .with_topic_id(topic.topic_id)
            .with_partitions(topic.partitions.iter().map(partition_as_lib).collect())
    });
    let endpoints = response.node_endpoints.iter().map(|endpoint| {
        lib::NodeEndpoint::default()
            .with_node_id(endpoint.node_id)
            .with_host(endpoint.host.clone())
            .with_port(endpoint.port)
            .with_rack(endpoint.rack.clone())
    });
    messages::FetchResponse::default()
        .with_throttle_time_ms(response.throttle_time_ms)
        .with_error_code(response.error_code)
        .with_session_id(response.session_id)
        .with_responses(topics.collect())
        .with_node_endpoints(endpoints.collect())
}

fn partition_as_lib(partition: &FetchPartitionResponse<Bytes>) -> lib::PartitionData {
    let mut data = lib::PartitionData::default()
        .with_partition_index(partition.partition_index)
        .with_error_code(partition.error_code)
        .with_high_watermark(partition.high_watermark)
        .with_last_stable_offset(partition.last_stable_offset)
        .with_log_start_offset(partition.log_start_offset)
        .with_aborted_transactions(partition.aborted_transactions.as_ref().map(|aborted| {
            let one = |a: &AbortedTransaction| {
                lib::AbortedTransaction::default()
                    .with_producer_id(ProducerId(a.producer_id))
                    .with_first_offset(a.first_offset)
            };
            aborted.iter().map(one).collect()
        }))
        .with_preferred_read_replica(BrokerId(partition.preferred_read_replica))
        .with_records(Some(Bytes::from(partition.records.concat())));
    if let Some(e) = partition.diverging_epoch {
        data.diverging_epoch =
            lib::EpochEndOffset::default().with_epoch(e.epoch).with_end_offset(e.end_offset);
    }
    if let Some(l) = partition.current_leader {
        data.current_leader = lib::LeaderIdAndEpoch::default()
            .with_leader_id(BrokerId(l.leader_id))
            .with_leader_epoch(l.leader_epoch);
    }
    if let Some(s) = partition.snapshot_id {
        data.snapshot_id = lib::SnapshotId::default().with_epoch(s.epoch).with_end_offset(s.end_offset);
    }
    data
}

fn sent(gathered: &Gathered<Bytes>) -> BytesMut {
    let mut out = BytesMut::new();
    for segment in &gathered.segments {
        let (Segment::Bytes(bytes) | Segment::File(bytes)) = segment;
        assert!(!bytes.is_empty());
        out.extend_from_slice(bytes);
    }
    assert_eq!(out.len(), gathered.len);
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn gathered_frames_are_the_crates_byte_for_byte(version in 4i16..=18, response in response()) {
        let response = fit(response, version);
        let whole = encode_response(version, 7, &as_lib(&response)).unwrap();
        let slices: Vec<Bytes> = response
            .responses
            .iter()
            .flat_map(|topic| &topic.partitions)
            .flat_map(|partition| partition.records.clone())
            .filter(|slice| !slice.is_empty())
            .collect();
        let gathered = response.encode_frame(version, 7).unwrap();
        prop_assert_eq!(&sent(&gathered)[..], &whole[..]);
        let files = gathered.segments.into_iter().filter_map(|segment| match segment {
            Segment::File(slice) => Some(slice),
            Segment::Bytes(_) => None,
        });
        prop_assert_eq!(files.collect::<Vec<_>>(), slices);
    }
}

#[test]
fn no_records_travel_as_length_zero() {
    for version in 4..=18 {
        let partition = FetchPartitionResponse::<Bytes>::default();
        let topic = FetchTopicResponse {
            topic: StrBytes::from_static_str("t"),
            topic_id: Uuid::nil(),
            partitions: vec![partition],
        };
        let response = FetchResponse { responses: vec![topic], ..Default::default() };
        let gathered = response.encode_frame(version, 7).unwrap();
        let mut frame = sent(&gathered);
        frame.advance(crate::FRAME_PREFIX_LEN);
        assert_eq!(crate::split_response_header(ApiKey::Fetch, version, &mut frame), Ok(7));
        let read = <messages::FetchResponse as Response>::decode(frame.freeze(), version).unwrap();
        assert_eq!(read.responses[0].partitions[0].records, Some(Bytes::new()));
        assert_eq!(read.responses[0].partitions[0].aborted_transactions, None);
    }
}

#[test]
fn what_a_version_cannot_carry_is_an_error() {
    let with_session = FetchResponse::<Bytes> { session_id: 1, ..Default::default() };
    assert_eq!(with_session.encode_frame(6, 0), Err(EncodeError::NotInVersion { field: "session_id" }));
    let key = ApiKey::Fetch;
    let empty = FetchResponse::<Bytes>::default;
    assert_eq!(empty().encode_frame(3, 0), Err(EncodeError::UnsupportedVersion { key, version: 3 }));
    assert_eq!(empty().encode_frame(19, 0), Err(EncodeError::UnsupportedVersion { key, version: 19 }));
}
