//! Groups that change between the protocols: what the transcripts of Kafka's coordinator do not reach.

use std::collections::BTreeSet;
use std::sync::Arc;

use ottla_coordinator::WriteError;

use super::bench::{Bench, GROUP, old_join};
use super::groups::{consumer_beat, consumer_join};
use crate::assignor::Assignment;
use crate::classic::SyncRequest;
use crate::consumer::{self, FakeTopics};
use crate::error::GroupError;
use crate::{MemberId, embedded};

/// A stable classic group of one member, which has both partitions of `t`.
fn classic_group() -> (Bench, MemberId) {
    let mut bench = Bench::new();
    let mut topics = FakeTopics::default();
    let id = topics.add("t", 1, 2);
    let directory = Arc::new(topics.clone());
    bench.run(|shard, _, _, _| shard.set_topics(directory));
    let token = bench.join(old_join());
    bench.pass(3_000);
    let joined = bench.joined(token);
    let member = joined.member_id;
    let both: Assignment = [(id, BTreeSet::from([0, 1]))].into();
    let request = SyncRequest {
        group: GROUP.into(),
        generation: joined.generation,
        member_id: member.clone(),
        instance_id: None,
        protocol_type: None,
        protocol: None,
        assignments: vec![(member.clone(), embedded::write_assignment(&both, 1, &topics))],
    };
    let token = bench.run(|shard, now, token, out| shard.sync_group(now, request, token, out));
    assert_eq!(bench.synced(token).error, None);
    assert_eq!(bench.state(), "Stable");
    (bench, member)
}

fn consumer_state(bench: &Bench) -> Option<&'static str> {
    bench.shard().consumer_group(&GROUP.into()).map(|group| group.state().name())
}

#[test]
fn upgrade_that_cannot_be_stored_leaves_the_classic_group() {
    let (mut bench, member) = classic_group();
    bench.failures.push(WriteError::NotEnoughReplicas);
    assert!(consumer_beat(&mut bench, &consumer_join("m")).is_err());
    assert_eq!((bench.state(), consumer_state(&bench)), ("Stable", None));
    assert_eq!(bench.heartbeat(&member, 1), Ok(()));
    bench.pass(9_999);
    assert_eq!(bench.state(), "Stable", "its session is a classic one");
    bench.pass(1);
    assert_eq!(bench.state(), "Empty");
}

#[test]
fn member_that_an_upgrade_brought_along_keeps_its_partitions_and_its_session() {
    let (mut bench, member) = classic_group();
    assert_eq!(consumer_beat(&mut bench, &consumer_join("m")), Ok(2));
    let group = bench.shard().consumer_group(&GROUP.into()).unwrap();
    assert_eq!(group.members()[&member].assigned.values().map(|ps| ps.len()).sum::<usize>(), 2);
    assert_eq!(bench.heartbeat(&member, 1), Err(GroupError::RebalanceInProgress));
    bench.pass(10_000);
    let members = bench.shard().consumer_group(&GROUP.into()).unwrap().members();
    assert_eq!(members.keys().map(MemberId::as_str).collect::<Vec<_>>(), ["m"], "ten seconds of silence");
}

#[test]
fn downgrade_that_cannot_be_stored_leaves_the_consumer_group_and_its_timers() {
    let (mut bench, member) = classic_group();
    assert_eq!(consumer_beat(&mut bench, &consumer_join("m")), Ok(2));
    let before = bench.shard().consumer_group(&GROUP.into()).cloned();
    bench.failures.push(WriteError::NotEnoughReplicas);
    let leave = consumer::HeartbeatRequest { member_epoch: consumer::LEAVE_EPOCH, ..consumer_join("m") };
    assert!(consumer_beat(&mut bench, &leave).is_err());
    assert_eq!(bench.shard().consumer_group(&GROUP.into()).cloned(), before);
    // The classic member lives, the other has gone silent.
    for _ in 0..8 {
        bench.pass(5_000);
        assert_eq!(bench.heartbeat(&member, 1), Err(GroupError::RebalanceInProgress));
    }
    bench.pass(5_000);
    assert_eq!((consumer_state(&bench), bench.state()), (None, "PreparingRebalance"));
    assert_eq!(bench.restarted().state(), "Stable", "as its record tells it");
}

#[test]
fn committed_offsets_outlive_both_ways() {
    let (mut bench, member) = classic_group();
    let token = bench.commit(&super::bench::commit_of(&member, 1, "t", 7));
    assert_eq!(bench.committed(token), Ok(vec![None]));
    assert_eq!(consumer_beat(&mut bench, &consumer_join("m")), Ok(2));
    assert_eq!(bench.offsets()["t-0"], 7);
    // Still in its generation: it commits before it joins again.
    let token = bench.commit(&super::bench::commit_of(&member, 1, "t", 8));
    assert_eq!(bench.committed(token), Ok(vec![None]));
    let leave = consumer::HeartbeatRequest { member_epoch: consumer::LEAVE_EPOCH, ..consumer_join("m") };
    consumer_beat(&mut bench, &leave).unwrap();
    assert_eq!((bench.offsets()["t-0"], bench.state()), (8, "PreparingRebalance"));
}
