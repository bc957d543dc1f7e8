//! Consumer groups inside the engine: topics that change, writes that fail.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_coordinator::WriteError;

use super::bench::{Bench, GROUP, commit_of};
use super::groups::{consumer_beat, consumer_join};
use crate::GroupConfig;
use crate::consumer::{ConsumerGroupSettings, FakeTopics, HeartbeatRequest, LEAVE_EPOCH};

fn stay(member: &str, epoch: i32) -> HeartbeatRequest {
    HeartbeatRequest {
        member_epoch: epoch,
        rebalance_timeout_ms: None,
        subscribed_topic_names: None,
        owned: None,
        ..consumer_join(member)
    }
}

fn set_topics(bench: &mut Bench, topics: &FakeTopics) {
    let topics = Arc::new(topics.clone());
    bench.run(|shard, _, _, _| shard.set_topics(topics));
}

#[test]
fn topics_that_change_reach_the_groups_that_subscribe_to_them() {
    let mut bench = Bench::new();
    let mut topics = FakeTopics::default();
    topics.add("t", 1, 2);
    set_topics(&mut bench, &topics);
    assert_eq!(consumer_beat(&mut bench, &consumer_join("m")), Ok(2));
    let written = bench.records.len();
    topics.add("other", 2, 1);
    set_topics(&mut bench, &topics);
    assert_eq!(consumer_beat(&mut bench, &stay("m", 2)), Ok(2));
    assert_eq!(bench.records.len(), written, "nothing of the group's has changed");
    topics.add("t", 1, 3);
    set_topics(&mut bench, &topics);
    // Not within the assignment interval.
    assert_eq!(consumer_beat(&mut bench, &stay("m", 2)), Ok(2));
    assert_eq!(bench.shard().list_groups(&[], &[])[0].state, "Assigning");
    bench.pass(1_000);
    assert_eq!(consumer_beat(&mut bench, &stay("m", 2)), Ok(3));
    let group = bench.shard().consumer_group(&GROUP.into()).unwrap();
    assert_eq!(group.target_assignment()["m"].values().next().unwrap().len(), 3);
}

#[test]
fn a_heartbeat_that_cannot_be_stored_changes_nothing() {
    let mut bench = Bench::new();
    let mut topics = FakeTopics::default();
    topics.add("t", 1, 2);
    set_topics(&mut bench, &topics);
    assert_eq!(consumer_beat(&mut bench, &consumer_join("m1")), Ok(2));
    bench.pass(1_000);
    let before = bench.shard().consumer_group(&GROUP.into()).cloned();
    bench.failures.push(WriteError::NotEnoughReplicas);
    let token = bench
        .run(|shard, now, token, out| shard.consumer_group_heartbeat(now, &consumer_join("m2"), token, out));
    assert!(format!("{:?}", bench.answers[&token]).contains("NotEnoughReplicas"));
    assert_eq!(bench.shard().consumer_group(&GROUP.into()).cloned(), before);
    // Again, and now it works.
    assert_eq!(consumer_beat(&mut bench, &consumer_join("m2")), Ok(3));
    assert_eq!(bench.restarted().shard().consumer_group(&GROUP.into()).unwrap().members().len(), 2);
}

#[test]
fn a_group_with_its_own_settings_keeps_to_them() {
    let mut bench = Bench::new();
    let own = ConsumerGroupSettings { session_timeout_ms: 50_000, ..ConsumerGroupSettings::default() };
    let own = BTreeMap::from([(GROUP.into(), own)]);
    bench.run(|shard, _, _, _| shard.set_consumer_settings(ConsumerGroupSettings::default(), own));
    assert!(consumer_beat(&mut bench, &consumer_join("m")).is_ok());
    bench.pass(49_999);
    assert_eq!(bench.shard().list_groups(&[], &[])[0].state, "Stable");
    bench.pass(1);
    assert_eq!(bench.shard().list_groups(&[], &[])[0].state, "Empty");
}

#[test]
fn offsets_of_what_a_consumer_group_subscribes_to_do_not_expire() {
    let hours = |n: u64| n * 3_600_000;
    let retention = i64::try_from(hours(1)).unwrap();
    let mut bench = Bench::with(GroupConfig { offsets_retention_ms: retention, ..GroupConfig::default() });
    let mut topics = FakeTopics::default();
    topics.add("t", 1, 1);
    set_topics(&mut bench, &topics);
    let epoch = consumer_beat(&mut bench, &consumer_join("m")).unwrap();
    bench.commit(&commit_of("m", epoch, "t", 5));
    bench.commit(&commit_of("m", epoch, "left", 6));
    for _ in 0..hours(3) / 30_000 {
        bench.pass(30_000);
        consumer_beat(&mut bench, &stay("m", epoch)).unwrap();
    }
    assert_eq!(bench.offsets(), BTreeMap::from([("t-0".into(), 5)]));
    // Without a member it is subscribed to nothing, and its commit is older than the retention.
    consumer_beat(&mut bench, &stay("m", LEAVE_EPOCH)).unwrap();
    assert_eq!(bench.offsets().len(), 1);
    bench.pass(600_000);
    assert_eq!((bench.offsets().len(), bench.shard().group_count()), (0, 0));
}

#[test]
fn settings_of_a_group_apply_to_members_that_are_there() {
    let mut bench = Bench::new();
    let token = bench
        .run(|shard, now, token, out| shard.consumer_group_heartbeat(now, &consumer_join("m"), token, out));
    assert!(format!("{:?}", bench.answers[&token]).contains("heartbeat_interval_ms: 5000"));
    let own = ConsumerGroupSettings {
        session_timeout_ms: 60_000,
        heartbeat_interval_ms: 7_000,
        ..ConsumerGroupSettings::default()
    };
    let own = BTreeMap::from([(GROUP.into(), own)]);
    bench.run(|shard, _, _, _| shard.set_consumer_settings(ConsumerGroupSettings::default(), own));
    let rejoin = consumer_join("m");
    let token = bench.run(|shard, now, token, out| shard.consumer_group_heartbeat(now, &rejoin, token, out));
    assert!(format!("{:?}", bench.answers[&token]).contains("heartbeat_interval_ms: 7000"));
    bench.pass(59_999);
    assert_eq!(bench.shard().list_groups(&[], &[])[0].state, "Stable");
    bench.pass(1);
    assert_eq!(bench.shard().list_groups(&[], &[])[0].state, "Empty");
}

#[test]
fn a_member_that_could_not_be_fenced_is_fenced_once_there_is_room() {
    let mut bench = Bench::new();
    assert!(consumer_beat(&mut bench, &consumer_join("m")).is_ok());
    for _ in 0..3 {
        bench.failures.push(WriteError::Storage);
        bench.pass(45_000);
        assert_eq!(bench.failures, []);
        assert_eq!(bench.shard().list_groups(&[], &[])[0].state, "Stable");
    }
    bench.pass(45_000);
    assert_eq!(bench.shard().list_groups(&[], &[])[0].state, "Empty");
}
