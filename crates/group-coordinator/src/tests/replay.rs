//! What is rebuilt from the log is what was there.

use super::bench::*;
use crate::{GroupError, GroupResponse};

#[test]
fn group_survives_a_restart() {
    let mut bench = Bench::new();
    let ids = bench.stable_group(3);
    bench.commit(&commit_of(&ids[0], 1, "t", 4));
    let mut again = bench.restarted();
    let described = |b: &Bench| b.shard().describe_group(&GROUP.into()).unwrap();
    assert_eq!(described(&again), described(&bench));
    for id in &ids {
        assert_eq!(again.heartbeat(id, 1), Ok(()), "members keep their ids and the generation");
    }
    let token = again.sync(&ids[1], 1, &[]);
    assert_eq!(again.synced(token).assignment, "assigned");
    // A full session from the restart on, then they are gone.
    again.pass(9_999);
    assert_eq!(again.state(), "Stable");
    again.pass(1);
    assert_eq!((again.state(), again.restarted().state()), ("Empty", "Empty"));
    let token = again.join(old_join());
    again.pass(3_000);
    let generation = again.joined(token).generation;
    assert!(generation > 1, "the generation does not go back: {generation}");
}

#[test]
fn restart_in_the_middle_of_a_rebalance_knows_the_last_generation() {
    let mut bench = Bench::new();
    let ids = bench.stable_group(2);
    bench.join(old_join());
    let mut again = bench.restarted();
    assert_eq!(again.state(), "Stable");
    assert_eq!(again.heartbeat(&ids[0], 1), Ok(()));
    let leader = again.join(rejoin(&ids[0]));
    let other = again.join(rejoin(&ids[1]));
    assert_eq!((again.joined(leader).generation, again.joined(other).generation), (2, 2));
}

#[test]
fn group_that_is_too_large_rebalances_after_the_load() {
    let mut bench = Bench::new();
    let ids = bench.stable_group(3);
    let mut smaller = crate::GroupConfig { max_size: 2, ..crate::GroupConfig::default() };
    smaller.initial_rebalance_delay_ms = 0;
    let mut again = Bench::with(smaller.clone());
    again.log = bench.log.clone();
    // `restarted` takes log and settings.
    let mut again = again.restarted_with_end_of(&bench);
    assert_eq!(again.state(), "PreparingRebalance");
    let tokens: Vec<u32> = ids.iter().map(|id| again.join(rejoin(id))).collect();
    let errors = tokens.iter().filter_map(|token| match again.answers.get(token) {
        Some(GroupResponse::Join(response)) => response.error.clone(),
        _ => None,
    });
    assert_eq!(errors.collect::<Vec<_>>(), [GroupError::GroupMaxSizeReached]);
}

const KAFKAS_LOG: &[u8] = include_bytes!("../../testdata/kafka-4.4.0-consumer-offsets.log");

#[test]
fn log_of_a_killed_kafka_broker_is_taken_over() {
    let mut bench = Bench::found(KAFKAS_LOG);
    let listed: Vec<String> = bench
        .shard()
        .list_groups(&[], &[])
        .iter()
        .map(|g| format!("{} {} {}", g.group, g.group_type.name(), g.state))
        .collect();
    assert_eq!(listed, ["classic classic Stable", "modern consumer Stable"]);
    let classic = bench.shard().describe_group(&"classic".into()).unwrap();
    let member = classic.members[0].clone();
    assert_eq!((member.instance_id.as_deref(), &*classic.protocol), (Some("i"), "range"));
    let heartbeat = crate::classic::HeartbeatRequest {
        group: "classic".into(),
        generation: 1,
        member_id: member.member_id,
        instance_id: member.instance_id,
    };
    let token = bench.run(|shard, now, token, out| shard.heartbeat(now, &heartbeat, token, out));
    assert_eq!(bench.answers.remove(&token), Some(GroupResponse::Heartbeat(Ok(()))));
    let modern = bench.shard().consumer_group(&"modern".into()).unwrap();
    assert_eq!((modern.epoch(), modern.members().len()), (2, 1));
    for group in ["classic", "modern"] {
        let all = crate::offsets::OffsetFetchRequest {
            group: group.into(),
            member_id: None,
            member_epoch: -1,
            topics: None,
        };
        let offsets = bench.shard().offset_fetch(&all).unwrap();
        assert_eq!(offsets[0].partitions[0].offset.get(), 20, "{group}");
    }
}

#[test]
fn records_of_a_kafka_broker_are_written_back_byte_for_byte() {
    let mut count = 0;
    for item in ottla_model::batch::batches(KAFKAS_LOG) {
        let (header, batch) = item.unwrap();
        for record in ottla_model::batch::Records::new(&header, &batch[61..]) {
            let record = record.unwrap();
            let (key, value) = (record.key.unwrap(), record.value);
            let decoded = crate::records::GroupRecord::decode(key, value).unwrap();
            assert_eq!(decoded.encode_key(), key, "{decoded:?}");
            assert_eq!(decoded.encode_value().as_deref(), value, "{decoded:?}");
            count += 1;
        }
    }
    assert_eq!(count, 27);
}

#[test]
fn strings_longer_than_a_record_can_say_do_not_get_into_the_log() {
    let mut bench = Bench::new();
    let client: std::sync::Arc<str> = "c".repeat(32_767).into();
    let token = bench.join(crate::classic::JoinRequest { client_id: client, ..old_join() });
    bench.pass(3_000);
    let member = bench.joined(token).member_id;
    let token = bench.sync(&member, 1, &[(&member, "a")]);
    assert!(matches!(bench.synced(token).error, Some(GroupError::Write(_))));
    let long = crate::GroupId::from("g".repeat(40_000));
    let token =
        bench.commit(&crate::offsets::OffsetCommitRequest { group: long, ..commit_of("", -1, "t", 1) });
    assert!(bench.committed(token).is_err());
    let token = bench.commit(&crate::offsets::OffsetCommitRequest {
        group: "g".repeat(30_000).into(),
        ..commit_of("", -1, "t", 1)
    });
    assert_eq!(bench.committed(token), Ok(vec![None]));
    bench.restarted();
}
