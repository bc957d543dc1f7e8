//! Against bytes of Kafka's own serialisers: `testdata/records.tsv`, made by `testdata/GroupRecords.java`.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::ids::InstanceId;
use ottla_model::{LeaderEpoch, Offset, TimestampMs, TopicId};

type Vector = (Vec<u8>, Option<Vec<u8>>);

fn vectors() -> BTreeMap<&'static str, Vector> {
    let lines = include_str!("../../testdata/records.tsv").lines();
    let vectors = lines.map(|line| {
        let mut fields = line.split('\t');
        let mut next = || fields.next().unwrap();
        let (name, key, value) = (next(), next(), next());
        (name, (bytes(key), (value != "-").then(|| bytes(value))))
    });
    vectors.collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn decode((key, value): &Vector) -> GroupRecord {
    GroupRecord::decode(key, value.as_deref()).unwrap()
}

/// Versions that are read and no longer written.
fn is_old(name: &str) -> bool {
    let old_offset =
        name.starts_with("OffsetCommit v") && !name.contains("v4") && !name.ends_with("expiring");
    let old_group = name.starts_with("GroupMetadata v") && !name.contains("v3");
    old_offset || old_group || name.starts_with("Legacy")
}

#[test]
fn what_kafka_writes_is_what_we_write() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 30);
    for (name, vector) in vectors.iter().filter(|(name, _)| !is_old(name)) {
        let record = decode(vector);
        assert_eq!((record.encode_key(), record.encode_value()), *vector, "{name}");
    }
}

#[test]
fn every_version_is_read() {
    let vectors = vectors();
    let offset = |name: &str| match decode(&vectors[name]) {
        GroupRecord::OffsetCommit(_, Some(value)) => value,
        other => panic!("{other:?}"),
    };
    let full = OffsetCommitValue {
        offset: Offset(12_345_678_901),
        leader_epoch: LeaderEpoch(5),
        metadata: "métadonnées".into(),
        commit_timestamp: TimestampMs(1_700_000_000_123),
        expire_timestamp: None,
        topic_id: TopicId::ZERO,
    };
    let old = OffsetCommitValue { leader_epoch: LeaderEpoch::NONE, ..full.clone() };
    for (name, expected) in [("v0", &old), ("v1", &old), ("v2", &old), ("v3", &full), ("v4", &full)] {
        assert_eq!(offset(&format!("OffsetCommit {name}")), *expected, "{name}");
    }
    assert_eq!(offset("OffsetCommit v1 expiring").expire_timestamp, Some(TimestampMs(1_700_000_999_999)));
    assert_ne!(offset("OffsetCommit v4 topic id").topic_id, TopicId::ZERO);
    assert_eq!(offset("LegacyOffsetCommit").offset, Offset(9));

    let group = |name: &str| match decode(&vectors[name]) {
        GroupRecord::GroupMetadata(_, Some(value)) => value,
        other => panic!("{other:?}"),
    };
    let mut expected = group("GroupMetadata v3");
    assert_eq!((expected.generation, expected.protocol.as_deref()), (3, Some("range")));
    assert_eq!(expected.members[0].assignment, &[9][..]);
    assert_eq!(expected.members[1].instance_id, Some(InstanceId::from("instance")));
    assert_eq!(group("GroupMetadata v4"), expected);
    expected.members[1].instance_id = None;
    assert_eq!(group("GroupMetadata v2"), expected);
    expected.current_state_timestamp = TimestampMs::NONE;
    assert_eq!(group("GroupMetadata v1"), expected);
    expected.members.iter_mut().for_each(|member| member.rebalance_timeout_ms = -1);
    assert_eq!(group("GroupMetadata v0"), expected);
}

#[test]
fn records_of_other_group_types_are_kept_as_they_are() {
    for name in ["ShareGroupMetadata", "StreamsGroupMetadata tombstone"] {
        let record = decode(&vectors()[name]);
        assert!(matches!(record, GroupRecord::Unknown { .. }), "{name}");
        assert_eq!(record.group(), None);
    }
}

#[test]
fn unknown_version_of_a_known_value_is_an_error() {
    let key = GroupRecord::GroupMetadata(GroupId::from("g"), None).encode_key();
    let error = GroupRecord::decode(&key, Some(&[0, 9]));
    assert_eq!(error, Err(RecordError::Version { record_type: 2, version: 9 }));
}

proptest! {
    /// Whatever is in the log, reading it ends in a record or an error.
    #[test]
    fn damaged_records_do_not_panic(at in 0..30usize, cut in 0..200usize, flips in proptest::collection::vec((0..200usize, any::<u8>()), 0..4)) {
        let (_, (mut key, value)) = vectors().into_iter().nth(at).unwrap();
        let mut value = value.unwrap_or_default();
        for (at, bits) in flips {
            let half = key.len();
            let byte = if at < half { key.get_mut(at) } else { value.get_mut(at - half) };
            if let Some(byte) = byte {
                *byte ^= bits;
            }
        }
        value.truncate(cut);
        let _ = GroupRecord::decode(&key, Some(&value));
    }
}
