use bytes::{Bytes, BytesMut};

use super::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use super::offset_fetch_request::{OffsetFetchRequest, OffsetFetchRequestGroup};
use super::*;
use crate::{DecodeError, EncodeError, Request, Response};

fn encoded<R: Request>(request: &R, version: i16) -> Bytes {
    let mut out = BytesMut::new();
    request.encode(version, &mut out).unwrap();
    out.freeze()
}

#[test]
fn own_types_read_as_the_crates_at_versions_both_have() {
    let own = OffsetCommitRequest {
        group_id: GroupId(StrBytes::from_static_str("g")),
        generation_id_or_member_epoch: 3,
        topics: vec![OffsetCommitRequestTopic {
            name: TopicName(StrBytes::from_static_str("t")),
            partitions: vec![OffsetCommitRequestPartition {
                partition_index: 1,
                committed_offset: 42,
                committed_metadata: None,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    for version in 2..=9 {
        let bytes = encoded(&own, version);
        let theirs =
            <kafka_protocol::messages::OffsetCommitRequest as kafka_protocol::protocol::Decodable>::decode(
                &mut bytes.clone(),
                version,
            )
            .unwrap();
        assert_eq!(theirs.topics[0].partitions[0].committed_offset, 42);
        assert_eq!(OffsetCommitRequest::decode(bytes, version).unwrap(), own, "v{version}");
    }
}

#[test]
fn versions_outside_the_table_are_refused_both_ways() {
    let wrong = |version| DecodeError::UnsupportedVersion { key: crate::ApiKey::InitProducerId, version };
    // The crate has a v6 of the response, which Kafka never released.
    assert_eq!(InitProducerIdResponse::decode(Bytes::new(), 6), Err(wrong(6)));
    assert_eq!(InitProducerIdRequest::decode(Bytes::new(), -1), Err(wrong(-1)));
    let mut out = BytesMut::new();
    assert!(matches!(
        InitProducerIdResponse::default().encode(6, &mut out),
        Err(EncodeError::UnsupportedVersion { version: 6, .. })
    ));
    assert!(OffsetCommitRequest::decode(Bytes::new(), 11).is_err());
}

#[test]
fn list_offsets_v11_has_the_fields_of_v10() {
    let request = ListOffsetsRequest::default().with_timeout_ms(5);
    assert_eq!(encoded(&request, 11), encoded(&request, 10));
    assert_eq!(ListOffsetsRequest::decode(encoded(&request, 11), 11).unwrap(), request);
}

#[test]
fn null_topics_are_refused_where_the_version_has_no_null() {
    let all = OffsetFetchRequest { topics: None, ..Default::default() };
    let mut out = BytesMut::new();
    assert_eq!(all.encode(1, &mut out), Err(EncodeError::Null { field: "topics" }));
    assert_eq!(OffsetFetchRequest::decode(encoded(&all, 2), 2).unwrap(), all);
    assert!(OffsetFetchRequest::decode(Bytes::from_static(&[0, 0, 0xff, 0xff, 0xff, 0xff]), 1).is_err());
}

#[test]
fn fields_that_a_version_lacks_are_dropped_only_if_ignorable() {
    let mut out = BytesMut::new();
    let request = OffsetFetchRequest { require_stable: true, ..Default::default() };
    assert_eq!(request.encode(6, &mut out), Err(EncodeError::NotInVersion { field: "require_stable" }));
    let group = OffsetFetchRequestGroup { member_epoch: 4, ..Default::default() };
    let request = OffsetFetchRequest { groups: vec![group], ..Default::default() };
    let read = OffsetFetchRequest::decode(encoded(&request, 8), 8).unwrap();
    assert_eq!(read.groups[0].member_epoch, -1);
}

#[test]
fn unknown_tags_are_skipped_and_left_over_bytes_ignored() {
    // Software name, version, null cluster id, node 1; then tag 9 with two bytes; then one byte too many.
    let body = Bytes::from_static(&[2, b'a', 2, b'b', 0, 0, 0, 0, 1, 1, 9, 2, 7, 7, 0xee]);
    let request = ApiVersionsRequest::decode(body, 5).unwrap();
    assert_eq!((request.client_software_name.as_str(), request.node_id), ("a", 1));
}
