use super::bench::*;
use crate::classic::JoinRequest;
use crate::records::GroupRecord;
use crate::{GroupConfig, GroupError, MemberId};

fn metadata(record: &GroupRecord) -> &crate::records::GroupMetadataValue {
    match record {
        GroupRecord::GroupMetadata(_, Some(value)) => value,
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_members_form_a_generation_after_the_initial_delay() {
    let mut bench = Bench::new();
    let told = bench.join(new_join());
    let told = bench.joined(told);
    assert_eq!(told.error, Some(GroupError::MemberIdRequired));
    assert!(told.member_id.starts_with("client-"));
    assert_eq!(metadata(&bench.records[0]).generation, 0, "a new group is in the log at once");
    let first = bench.join(rejoin(&told.member_id));
    let second = bench.join(old_join());
    assert_eq!(bench.state(), "PreparingRebalance");
    bench.pass(2_999);
    assert!(bench.answers.is_empty());
    // The second came during the delay: it is prolonged once.
    bench.pass(3_001);
    let (first, second) = (bench.joined(first), bench.joined(second));
    assert_eq!((first.generation, second.generation), (1, 1));
    assert_eq!(first.leader, told.member_id, "the first is the leader");
    assert_eq!((first.members.len(), second.members.len()), (2, 0));
    assert_eq!(second.protocol.as_deref(), Some("range"));

    let follower = bench.sync(&second.member_id, 1, &[]);
    assert!(bench.answers.is_empty(), "a follower waits for the leader");
    let leader = bench.sync(&first.member_id, 1, &[(&first.member_id, "a"), (&second.member_id, "b")]);
    assert_eq!(bench.synced(follower).assignment, "b");
    assert_eq!(bench.synced(leader).assignment, "a");
    assert_eq!(bench.state(), "Stable");
    let stored = metadata(bench.records.last().unwrap());
    assert_eq!((stored.generation, stored.members.len()), (1, 2));
    assert_eq!(stored.leader.as_ref(), Some(&first.member_id));
    assert_eq!(stored.members.iter().map(|m| m.assignment.clone()).collect::<Vec<_>>().len(), 2);
    assert_eq!(bench.records.len(), 2, "one record a generation");
}

#[test]
fn initial_delay_is_prolonged_up_to_the_rebalance_timeout() {
    let mut bench = Bench::new();
    let quick = || JoinRequest { rebalance_timeout_ms: 7_000, ..old_join() };
    let first = bench.join(quick());
    for _ in 0..2 {
        bench.pass(2_900);
        bench.join(quick());
    }
    bench.pass(1_199);
    assert!(!bench.answers.contains_key(&first));
    bench.pass(1);
    assert_eq!(bench.joined(first).members.len(), 3);
}

#[test]
fn without_an_initial_delay_the_first_member_is_a_generation() {
    let mut bench = Bench::with(GroupConfig { initial_rebalance_delay_ms: 0, ..GroupConfig::default() });
    let first = bench.join(old_join());
    bench.pass(0);
    assert_eq!(bench.joined(first).generation, 1);
}

#[test]
fn initial_delay_without_another_member_is_not_prolonged() {
    let mut bench = Bench::new();
    let first = bench.join(old_join());
    bench.pass(2_999);
    assert!(!bench.answers.contains_key(&first));
    bench.pass(1);
    assert_eq!(bench.joined(first).members.len(), 1);
}

#[test]
fn initial_delay_is_kept_whole_though_the_rebalance_timeout_is_shorter() {
    let mut bench = Bench::new();
    let quick = || JoinRequest { rebalance_timeout_ms: 1_000, ..old_join() };
    let first = bench.join(quick());
    bench.pass(2_000);
    bench.join(quick());
    bench.pass(999);
    assert!(!bench.answers.contains_key(&first));
    bench.pass(1);
    assert_eq!(bench.joined(first).members.len(), 2, "but it is not prolonged");
}

#[test]
fn full_group_that_rebalances_takes_its_members_back_and_nobody_else() {
    let mut bench = Bench::with(GroupConfig { max_size: 2, ..GroupConfig::default() });
    let ids = bench.stable_group(2);
    let first = bench.join(JoinRequest { protocols: vec![protocol("range", &["u"])], ..rejoin(&ids[0]) });
    assert_eq!(bench.state(), "PreparingRebalance");
    // Places are counted by who has come: one is still free, and who comes first has it.
    let third = bench.join(old_join());
    assert!(!bench.answers.contains_key(&third));
    let second = bench.join(rejoin(&ids[1]));
    assert_eq!(bench.joined(second).error, Some(GroupError::GroupMaxSizeReached));
    let again = bench.join(rejoin(&ids[0]));
    assert_eq!(bench.joined(first).error, Some(GroupError::RebalanceInProgress), "the older of its joins");
    bench.pass(60_000);
    assert_eq!(bench.joined(again).generation, 2);
    assert_eq!(bench.joined(third).generation, 2);
}

#[test]
fn a_rebalance_timeout_below_all_numbers_is_none() {
    let mut bench = Bench::new();
    let first = bench.join(JoinRequest { rebalance_timeout_ms: i32::MIN, ..old_join() });
    bench.pass(2_900);
    bench.join(JoinRequest { rebalance_timeout_ms: i32::MIN, ..old_join() });
    bench.pass(100);
    assert_eq!(bench.joined(first).members.len(), 2, "nothing is left to prolong the delay by");
}

#[test]
fn joins_that_cannot_be() {
    let mut bench = Bench::with(GroupConfig { max_size: 1, ..GroupConfig::default() });
    let refused = |bench: &mut Bench, request: JoinRequest| {
        let token = bench.join(request);
        bench.joined(token).error.unwrap()
    };
    let cases = [
        (JoinRequest { group: "".into(), ..new_join() }, GroupError::InvalidGroupId),
        (JoinRequest { session_timeout_ms: 5_999, ..new_join() }, GroupError::InvalidSessionTimeout),
        (JoinRequest { session_timeout_ms: 1_800_001, ..new_join() }, GroupError::InvalidSessionTimeout),
        (JoinRequest { protocols: Vec::new(), ..new_join() }, GroupError::InconsistentGroupProtocol),
        (JoinRequest { protocol_type: "".into(), ..new_join() }, GroupError::InconsistentGroupProtocol),
        (JoinRequest { group: "other".into(), ..rejoin(&"x".into()) }, GroupError::UnknownMemberId),
    ];
    for (request, error) in cases {
        assert_eq!(refused(&mut bench, request), error);
    }
    bench.stable_group(1);
    assert_eq!(refused(&mut bench, new_join()), GroupError::GroupMaxSizeReached);
    let mut bench = Bench::new();
    bench.stable_group(1);
    let other = JoinRequest { protocols: vec![protocol("sticky", &["t"])], ..new_join() };
    assert_eq!(refused(&mut bench, other), GroupError::InconsistentGroupProtocol);
    let connect = JoinRequest { protocol_type: "connect".into(), ..new_join() };
    assert_eq!(refused(&mut bench, connect), GroupError::InconsistentGroupProtocol);
    assert_eq!(refused(&mut bench, rejoin(&"nobody".into())), GroupError::UnknownMemberId);
}

#[test]
fn most_wanted_common_protocol_is_selected() {
    let mut bench = Bench::new();
    let wanting = |names: &[&str]| JoinRequest {
        protocol_type: "connect".into(),
        protocols: names.iter().map(|name| protocol(name, &[])).collect(),
        ..old_join()
    };
    let tokens = [
        bench.join(wanting(&["eager", "compatible", "sessioned"])),
        bench.join(wanting(&["sessioned", "compatible"])),
        bench.join(wanting(&["compatible", "sessioned"])),
        bench.join(wanting(&["sessioned", "eager", "compatible"])),
    ];
    bench.pass(6_000);
    let joined = tokens.map(|token| bench.joined(token));
    // eager is not supported by all; its adherent votes for compatible.
    assert!(joined.iter().all(|j| j.protocol.as_deref() == Some("compatible")));
    assert!(joined.iter().all(|j| j.protocol_type.as_deref() == Some("connect")));
}

#[test]
fn member_joining_a_stable_group_makes_the_others_rejoin() {
    let mut bench = Bench::new();
    let ids = bench.stable_group(2);
    let third = bench.join(old_join());
    assert_eq!(bench.state(), "PreparingRebalance");
    assert_eq!(bench.heartbeat(&ids[0], 1), Err(GroupError::RebalanceInProgress));
    let first = bench.join(rejoin(&ids[0]));
    assert!(bench.answers.is_empty());
    let second = bench.join(rejoin(&ids[1]));
    for token in [first, second, third] {
        assert_eq!(bench.joined(token).generation, 2);
    }
    assert_eq!(bench.heartbeat(&ids[0], 1), Err(GroupError::IllegalGeneration));
    assert_eq!(bench.heartbeat(&ids[0], 2), Ok(()));
}

#[test]
fn members_that_do_not_rejoin_in_time_are_dropped() {
    let mut bench = Bench::new();
    let ids = bench.stable_group(2);
    let third = bench.join(old_join());
    for _ in 0..7 {
        // The leader lives, but does not come.
        bench.heartbeat(&ids[0], 1).unwrap_err();
        bench.pass(8_000);
    }
    bench.heartbeat(&ids[0], 1).unwrap_err();
    bench.pass(4_000);
    let joined = bench.joined(third);
    assert_eq!((joined.generation, joined.members.len()), (2, 1));
    assert_eq!(joined.leader, joined.member_id);
    assert_eq!(bench.heartbeat(&ids[0], 1), Err(GroupError::UnknownMemberId));
}

#[test]
fn rejoin_without_change_gets_the_generation_again() {
    let mut bench = Bench::new();
    let ids = bench.stable_group(2);
    let follower = bench.join(rejoin(&ids[1]));
    let joined = bench.joined(follower);
    assert_eq!((joined.generation, joined.members.len()), (1, 0));
    assert_eq!(bench.state(), "Stable");
    // The leader's rejoin asks for a rebalance.
    bench.join(rejoin(&ids[0]));
    assert_eq!(bench.state(), "PreparingRebalance");
}

#[test]
fn rejoin_while_assignments_are_awaited() {
    let mut bench = Bench::new();
    let tokens = [bench.join(old_join()), bench.join(old_join())];
    bench.pass(6_000);
    let joined = tokens.map(|token| bench.joined(token));
    let waiting = bench.sync(&joined[1].member_id, 1, &[]);
    let again = bench.join(rejoin(&joined[0].member_id));
    assert_eq!(bench.joined(again).members.len(), 2, "the leader's answer was lost: it gets it again");
    let changed = JoinRequest { protocols: vec![protocol("range", &["u"])], ..rejoin(&joined[0].member_id) };
    bench.join(changed);
    assert_eq!(bench.state(), "PreparingRebalance");
    assert_eq!(bench.synced(waiting).error, Some(GroupError::RebalanceInProgress));
}

#[test]
fn only_the_last_of_two_joins_waits() {
    let mut bench = Bench::new();
    let ids = bench.stable_group(2);
    let older = bench.join(rejoin(&ids[0]));
    let newer = bench.join(rejoin(&ids[0]));
    assert_eq!(bench.joined(older).error, Some(GroupError::RebalanceInProgress));
    bench.join(rejoin(&ids[1]));
    assert_eq!(bench.joined(newer).generation, 2);
}

#[test]
fn pending_member_holds_the_join_phase_until_its_session_ends() {
    let mut bench = Bench::new();
    let ids = bench.stable_group(1);
    let pending = bench.join(new_join());
    let pending = bench.joined(pending).member_id;
    let leader = bench.join(rejoin(&ids[0]));
    assert!(!bench.answers.contains_key(&leader));
    bench.pass(10_000);
    assert_eq!(bench.joined(leader).members.len(), 1);
    let late = bench.join(rejoin(&pending));
    assert_eq!(bench.joined(late).error, Some(GroupError::UnknownMemberId));
}

#[test]
fn unwritable_group_answers_its_waiting_members() {
    let mut bench = Bench::new();
    bench.failures.push(ottla_coordinator::WriteError::NotEnoughReplicas);
    let token = bench.join(old_join());
    let error = bench.joined(token).error.unwrap();
    assert_eq!(error.code(), ottla_protocol::ErrorCode::CoordinatorNotAvailable);
    assert_eq!(bench.state(), "-");
    assert_eq!(bench.shard().timers.iter().count(), 1, "only the look for expired offsets is left");
    let again = bench.join(old_join());
    bench.pass(3_000);
    assert_eq!(bench.joined(again).error, None);
}

#[test]
fn failed_sync_makes_the_group_rebalance() {
    let mut bench = Bench::new();
    let tokens = [bench.join(old_join()), bench.join(old_join())];
    bench.pass(6_000);
    let joined = tokens.map(|token| bench.joined(token));
    let follower = bench.sync(&joined[1].member_id, 1, &[]);
    bench.failures.push(ottla_coordinator::WriteError::NotEnoughReplicas);
    let leader = bench.sync(&joined[0].member_id, 1, &[(&joined[0].member_id, "a")]);
    for token in [follower, leader] {
        let error = bench.synced(token).error.unwrap();
        assert_eq!(error.code(), ottla_protocol::ErrorCode::CoordinatorNotAvailable);
    }
    assert_eq!(bench.state(), "PreparingRebalance");
}

#[test]
fn sync_waits_for_the_high_watermark() {
    let mut bench = Bench::new();
    let token = bench.join(old_join());
    bench.pass(3_000);
    let member: MemberId = bench.joined(token).member_id;
    bench.stuck = true;
    let sync = bench.sync(&member, 1, &[(&member, "a")]);
    assert!(bench.answers.is_empty());
    assert_eq!(bench.state(), "CompletingRebalance");
    bench.unstick();
    assert_eq!(bench.synced(sync).assignment, "a");
}
