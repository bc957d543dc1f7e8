use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{self, TopicName, TransactionalId};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::*;
use crate::Request;

fn request() -> impl Strategy<Value = messages::ProduceRequest> {
    let text = || "[a-z]{0,5}".prop_map(StrBytes::from_string);
    let partition = (any::<i32>(), of(vec(any::<u8>(), 0..100))).prop_map(|(index, records)| {
        PartitionProduceData::default().with_index(index).with_records(records.map(Bytes::from))
    });
    let topic = (text(), any::<u128>(), vec(partition, 0..3)).prop_map(|(name, id, partitions)| {
        TopicProduceData::default()
            .with_name(TopicName(name))
            .with_topic_id(Uuid::from_u128(id))
            .with_partition_data(partitions)
    });
    (of(text()), any::<i16>(), any::<i32>(), vec(topic, 0..3)).prop_map(|(id, acks, timeout_ms, topics)| {
        messages::ProduceRequest::default()
            .with_transactional_id(id.map(TransactionalId))
            .with_acks(acks)
            .with_timeout_ms(timeout_ms)
            .with_topic_data(topics)
    })
}

/// The request that the message crate reads from the same bytes.
fn as_ours(request: messages::ProduceRequest) -> ProduceRequest {
    let partition =
        |p: PartitionProduceData| ProducePartition { index: p.index, records: p.records.map(BytesMut::from) };
    let topic = |t: TopicProduceData| ProduceTopic {
        name: t.name.0,
        topic_id: t.topic_id,
        partitions: t.partition_data.into_iter().map(partition).collect(),
    };
    ProduceRequest {
        transactional_id: request.transactional_id.map(|id| id.0),
        acks: request.acks,
        timeout_ms: request.timeout_ms,
        topics: request.topic_data.into_iter().map(topic).collect(),
    }
}

proptest! {
    #[test]
    fn reads_what_the_crate_reads(version in 3i16..=13, request in request()) {
        let mut body = BytesMut::new();
        request.encode(version, &mut body).unwrap();
        let theirs = <messages::ProduceRequest as Request>::decode(body.clone().freeze(), version).unwrap();
        prop_assert_eq!(ProduceRequest::decode(body, version).unwrap(), as_ours(theirs));
    }

    #[test]
    fn cut_and_changed_bytes_never_panic(version in 3i16..=13, bytes in vec(any::<u8>(), 0..200), request in request()) {
        let mut body = BytesMut::new();
        request.encode(version, &mut body).unwrap();
        let _ = ProduceRequest::decode(BytesMut::from(&bytes[..]), version);
        for cut in 0..body.len() {
            prop_assert!(ProduceRequest::decode(BytesMut::from(&body[..cut]), version).is_err());
        }
    }
}

#[test]
fn records_are_pieces_of_the_frame_and_can_be_patched() {
    let data = PartitionProduceData::default().with_records(Some(Bytes::from_static(b"records")));
    let topic = TopicProduceData::default().with_partition_data(vec![data.clone(), data]);
    let request = messages::ProduceRequest::default().with_topic_data(vec![topic]);
    let mut body = BytesMut::new();
    request.encode(9, &mut body).unwrap();
    let frame = body.as_ptr_range();
    let mut read = ProduceRequest::decode(body, 9).unwrap();
    for partition in &mut read.topics[0].partitions {
        let records = partition.records.as_mut().unwrap();
        assert!(frame.contains(&records.as_ptr()));
        records[0] = b'R';
        assert_eq!(&records[..], b"Records");
    }
}

#[test]
fn counts_beyond_the_body_are_refused() {
    // The twelve bytes that abort a process whose codec trusts them: 0xffffffff0f topics.
    let hostile = [0, 0, 1, 0, 0, 0x75, 0x30, 0xff, 0xff, 0xff, 0xff, 0x0f];
    assert!(ProduceRequest::decode(BytesMut::from(&hostile[..]), 9).is_err());
    assert!(ProduceRequest::decode(BytesMut::from(&hostile[..]), 2).is_err());
}
