use std::collections::BTreeMap;

use ottla_model::{Offset, TopicId};
use ottla_protocol::ErrorCode;

use super::bench::*;
use crate::offsets::{OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest, OffsetFetchTopic};
use crate::records::GroupRecord;
use crate::{GroupConfig, GroupError, GroupResponse};

const DAY_MS: u64 = 86_400_000;

fn id(n: u128) -> TopicId {
    TopicId(uuid::Uuid::from_u128(n))
}

#[test]
fn offsets_without_group_management() {
    let mut bench = Bench::new();
    let token = bench.commit(&commit_of("", -1, "t", 5));
    assert_eq!(bench.committed(token), Ok(vec![None]));
    assert_eq!(bench.offsets(), BTreeMap::from([("t-0".into(), 5)]));
    assert_eq!(bench.state(), "Empty");
    let GroupRecord::OffsetCommit(key, Some(value)) = &bench.records[0] else { panic!() };
    assert_eq!((&*key.group, key.topic_partition.to_string()), (GROUP, "t-0".to_string()));
    assert_eq!((value.leader_epoch.get(), value.commit_timestamp.get()), (3, START + 1_000));
    assert_eq!(bench.records.len(), 1, "a simple group has no record of its own");
    assert_eq!(bench.restarted().offsets(), bench.offsets());
}

#[test]
fn who_may_commit() {
    let mut bench = Bench::new();
    let commit = |bench: &mut Bench, request: &OffsetCommitRequest| {
        let token = bench.commit(request);
        bench.committed(token).map(|_| ())
    };
    let unknown_group = commit_of("m", 1, "t", 1);
    assert_eq!(commit(&mut bench, &unknown_group), Err(GroupError::GroupIdNotFound(GROUP.into())));
    let old_client = OffsetCommitRequest { knows_epochs: false, ..unknown_group };
    assert_eq!(commit(&mut bench, &old_client), Err(GroupError::IllegalGeneration));
    let ids = bench.stable_group(2);
    let cases = [
        (commit_of(&ids[0], 1, "t", 1), Ok(())),
        (commit_of(&ids[0], 2, "t", 1), Err(GroupError::IllegalGeneration)),
        (commit_of(&ids[0], -1, "t", 1), Err(GroupError::IllegalGeneration)),
        (commit_of("nobody", 1, "t", 1), Err(GroupError::UnknownMemberId)),
        (commit_of("", -1, "t", 1), Err(GroupError::UnknownMemberId)),
    ];
    for (request, result) in cases {
        assert_eq!(commit(&mut bench, &request), result, "{request:?}");
    }
    // While members rejoin, those of the old generation may still commit.
    bench.join(rejoin(&ids[0]));
    assert_eq!(commit(&mut bench, &commit_of(&ids[1], 1, "t", 2)), Ok(()));
    bench.join(rejoin(&ids[1]));
    assert_eq!(bench.state(), "CompletingRebalance");
    assert_eq!(commit(&mut bench, &commit_of(&ids[1], 2, "t", 2)), Err(GroupError::RebalanceInProgress));
}

#[test]
fn commit_is_a_sign_of_life() {
    let mut bench = Bench::new();
    let ids = bench.stable_group(1);
    for _ in 0..4 {
        bench.pass(9_000);
        let token = bench.commit(&commit_of(&ids[0], 1, "t", 1));
        assert_eq!(bench.committed(token), Ok(vec![None]));
    }
}

#[test]
fn oversized_metadata_spares_the_other_partitions() {
    let mut bench = Bench::with(GroupConfig { offset_metadata_max: 4, ..GroupConfig::default() });
    let mut request = commit_of("", -1, "t", 1);
    let partition = request.topics[0].partitions[0].clone();
    let with = |partition: i32, metadata: &str| {
        let mut with = request.topics[0].partitions[0].clone();
        (with.partition, with.metadata) = (partition, Some(metadata.into()));
        with
    };
    let partitions = vec![partition, with(1, "five5"), with(2, "four"), with(3, "öööö")];
    request.topics[0].partitions = partitions;
    let token = bench.commit(&request);
    let too_large = Some(GroupError::OffsetMetadataTooLarge);
    assert_eq!(bench.committed(token), Ok(vec![None, too_large, None, None]));
    assert_eq!(bench.offsets().len(), 3);
}

#[test]
fn uncommitted_offsets_are_not_seen() {
    let mut bench = Bench::new();
    bench.commit(&commit_of("", -1, "t", 1));
    bench.stuck = true;
    let second = bench.commit(&commit_of("", -1, "t", 2));
    assert_eq!(bench.offsets()["t-0"], 1);
    let request = OffsetFetchRequest {
        group: GROUP.into(),
        member_id: None,
        member_epoch: -1,
        topics: Some(vec![OffsetFetchTopic {
            name: "t".into(),
            topic_id: TopicId::ZERO,
            partitions: vec![0, 9],
        }]),
    };
    let stable = bench.run(|shard, _, token, out| shard.offset_fetch_stable(&request, token, out));
    assert!(!bench.answers.contains_key(&second) && !bench.answers.contains_key(&stable));
    bench.unstick();
    let Some(GroupResponse::OffsetFetch(Ok(topics))) = bench.answers.remove(&stable) else { panic!() };
    let offsets: Vec<_> = topics[0].partitions.iter().map(|p| p.offset).collect();
    assert_eq!(offsets, [Offset(2), Offset::NONE]);
    assert_eq!(bench.committed(second), Ok(vec![None]));
}

#[test]
fn failed_commit_is_undone() {
    let mut bench = Bench::new();
    bench.commit(&commit_of("", -1, "t", 1));
    bench.failures.push(ottla_coordinator::WriteError::NotEnoughReplicas);
    let token = bench.commit(&commit_of("", -1, "t", 2));
    let error = bench.committed(token).unwrap_err();
    assert_eq!(error.code(), ErrorCode::CoordinatorNotAvailable);
    assert_eq!(bench.offsets()["t-0"], 1);
}

#[test]
fn offset_of_another_topic_of_the_same_name_is_none() {
    let mut bench = Bench::new();
    let mut request = commit_of("", -1, "t", 7);
    request.topics[0].topic_id = id(1);
    bench.commit(&request);
    let fetch = |topic_id| {
        let topics = vec![OffsetFetchTopic { name: "t".into(), topic_id, partitions: vec![0] }];
        let request = OffsetFetchRequest {
            group: GROUP.into(),
            member_id: None,
            member_epoch: -1,
            topics: Some(topics),
        };
        bench.shard().offset_fetch(&request).unwrap()[0].partitions[0].offset
    };
    assert_eq!(fetch(id(1)), Offset(7));
    assert_eq!(fetch(id(2)), Offset::NONE);
    assert_eq!(fetch(TopicId::ZERO), Offset(7));
}

#[test]
fn deleted_topics_take_their_offsets_along() {
    let mut bench = Bench::new();
    for (topic, topic_id) in [("gone", id(1)), ("unknown", TopicId::ZERO), ("kept", id(3)), ("anew", id(4))] {
        let mut request = commit_of("", -1, topic, 1);
        request.topics[0].topic_id = topic_id;
        bench.commit(&request);
    }
    let deleted = BTreeMap::from([("gone".into(), id(1)), ("unknown".into(), id(2)), ("anew".into(), id(9))]);
    bench.run(|shard, _, _, out| shard.topics_deleted(&deleted, out));
    let left: Vec<String> = bench.offsets().into_keys().collect();
    assert_eq!(left, ["anew-0", "kept-0"]);
    assert_eq!(bench.restarted().offsets(), bench.offsets());
}

/// More offsets of one topic than one batch takes tombstones of.
fn many_offsets(bench: &mut Bench) {
    for part in 0..6 {
        let mut request = commit_of("", -1, &"t".repeat(200), 1);
        let first = request.topics[0].partitions[0].clone();
        let partitions = (part * 1_000..(part + 1) * 1_000)
            .map(|partition| crate::offsets::OffsetToCommit { partition, ..first.clone() });
        request.topics[0].partitions = partitions.collect();
        let token = bench.commit(&request);
        assert!(bench.committed(token).is_ok());
    }
    assert_eq!(bench.offsets().len(), 6_000);
}

#[test]
fn tombstones_of_a_large_topic_take_several_batches() {
    let mut bench = Bench::new();
    many_offsets(&mut bench);
    let mut restarted = bench.restarted();
    let deleted = BTreeMap::from([("t".repeat(200).as_str().into(), id(1))]);
    bench.run(|shard, _, _, out| shard.topics_deleted(&deleted, out));
    assert_eq!(bench.offsets().len(), 0);
    restarted.pass(8 * DAY_MS);
    assert_eq!((restarted.offsets().len(), restarted.state()), (0, "-"), "they expire, too");
}

#[test]
fn offsets_of_an_empty_group_expire_with_the_group() {
    let mut bench = Bench::new();
    let ids = bench.stable_group(1);
    bench.commit(&commit_of(&ids[0], 1, "t", 1));
    bench.leave(&[(&ids[0], None)]);
    bench.pass(7 * DAY_MS - 1_000);
    assert_eq!(bench.offsets().len(), 1);
    bench.pass(600_000);
    assert_eq!((bench.offsets().len(), bench.state()), (0, "-"));
    let last: Vec<_> = bench.records.iter().rev().take(2).collect();
    assert!(matches!(last[0], GroupRecord::GroupMetadata(_, None)));
    assert!(matches!(last[1], GroupRecord::OffsetCommit(_, None)));
    assert_eq!(bench.restarted().shard().group_count(), 0);
}

#[test]
fn offsets_expire_at_the_next_check() {
    let settings = GroupConfig {
        offsets_retention_ms: 60_000,
        offsets_retention_check_interval_ms: 300_000,
        ..GroupConfig::default()
    };
    let mut bench = Bench::with(settings);
    bench.commit(&commit_of("", -1, "t", 1));
    bench.pass(299_999);
    assert_eq!(bench.offsets().len(), 1);
    bench.pass(1);
    assert_eq!(bench.offsets().len(), 0);
    // The checks go on.
    bench.pass(241_000);
    bench.commit(&commit_of("", -1, "t", 2));
    bench.pass(59_000);
    assert_eq!(bench.offsets().len(), 1, "not old enough at this check");
    bench.pass(300_000);
    assert_eq!(bench.offsets().len(), 0);
}

#[test]
fn stable_group_loses_only_offsets_of_topics_it_left() {
    let mut bench = Bench::new();
    let ids = bench.stable_group(1);
    bench.commit(&commit_of(&ids[0], 1, "t", 1));
    bench.commit(&commit_of(&ids[0], 1, "left", 1));
    for _ in 0..(8 * DAY_MS / 9_000) {
        bench.pass(9_000);
        bench.heartbeat(&ids[0], 1).unwrap();
    }
    assert_eq!(bench.offsets().into_keys().collect::<Vec<_>>(), ["t-0"]);
    assert_eq!(bench.state(), "Stable");
}

#[test]
fn offsets_with_a_retention_of_their_own() {
    let mut bench = Bench::new();
    bench.commit(&OffsetCommitRequest { retention_ms: Some(1_000_000), ..commit_of("", -1, "t", 1) });
    bench.commit(&commit_of("", -1, "u", 1));
    bench.pass(900_000);
    assert_eq!(bench.offsets().len(), 2);
    bench.pass(600_000);
    assert_eq!(bench.offsets().into_keys().collect::<Vec<_>>(), ["u-0"]);
    assert_eq!(bench.state(), "Empty");
}

#[test]
fn offset_delete_spares_subscribed_topics() {
    let mut bench = Bench::new();
    let delete = |bench: &mut Bench, topics: &[(&str, &[i32])]| {
        let topics = topics.iter().map(|(name, partitions)| ((*name).into(), partitions.to_vec())).collect();
        let request = OffsetDeleteRequest { group: GROUP.into(), topics };
        let token = bench.run(|shard, _, token, out| shard.offset_delete(&request, token, out));
        match bench.answers.remove(&token) {
            Some(GroupResponse::OffsetDelete(result)) => result,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(delete(&mut bench, &[]), Err(GroupError::GroupIdNotFound(GROUP.into())));
    let ids = bench.stable_group(1);
    bench.commit(&commit_of(&ids[0], 1, "t", 1));
    bench.commit(&commit_of(&ids[0], 1, "u", 1));
    let result = delete(&mut bench, &[("t", &[0]), ("u", &[0, 5])]).unwrap();
    assert_eq!(result[0].partitions[0].error, Some(GroupError::GroupSubscribedToTopic));
    assert!(result[1].partitions.iter().all(|p| p.error.is_none()));
    assert_eq!(bench.offsets().into_keys().collect::<Vec<_>>(), ["t-0"]);
    let connect =
        crate::classic::JoinRequest { protocol_type: "connect".into(), group: "c".into(), ..old_join() };
    bench.join(connect);
    let request = OffsetDeleteRequest { group: "c".into(), topics: Vec::new() };
    let token = bench.run(|shard, _, token, out| shard.offset_delete(&request, token, out));
    let expected = GroupResponse::OffsetDelete(Err(GroupError::NonEmptyGroup));
    assert_eq!(bench.answers.remove(&token), Some(expected));
}
