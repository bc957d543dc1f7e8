use super::bench::*;
use crate::classic::{JoinRequest, SyncRequest};
use crate::{GroupError, MemberId};

#[test]
fn silent_member_is_dropped_after_its_session() {
    let mut bench = Bench::new();
    let ids = bench.stable_group(2);
    bench.pass(6_000);
    bench.heartbeat(&ids[0], 1).unwrap();
    bench.pass(4_000);
    assert_eq!(bench.state(), "PreparingRebalance");
    assert_eq!(bench.heartbeat(&ids[1], 1), Err(GroupError::UnknownMemberId));
    let left = bench.join(rejoin(&ids[0]));
    assert_eq!(bench.joined(left).members.len(), 1);
}

#[test]
fn last_member_leaves_an_empty_generation_in_the_log() {
    let mut bench = Bench::new();
    let ids = bench.stable_group(1);
    assert_eq!(bench.leave(&[(&ids[0], None)])[0].error, None);
    assert_eq!(bench.state(), "Empty");
    let Some(crate::records::GroupRecord::GroupMetadata(_, Some(value))) = bench.records.last() else {
        panic!()
    };
    assert_eq!((value.generation, value.members.len()), (2, 0));
    assert_eq!((value.protocol.as_deref(), &*value.protocol_type), (None, "consumer"));
    // The next member starts with the delay again, in generation 3.
    let token = bench.join(old_join());
    bench.pass(3_000);
    assert_eq!(bench.joined(token).generation, 3);
}

#[test]
fn leave_answers_each_member_for_itself() {
    let mut bench = Bench::new();
    let ids = bench.stable_group(2);
    let token = bench.join(static_join("i"));
    for id in &ids {
        bench.join(rejoin(id));
    }
    let stated = bench.joined(token).member_id;
    let pending = bench.join(new_join());
    let pending = bench.joined(pending).member_id;
    let left = bench.leave(&[
        (&ids[0], None),
        ("nobody", None),
        ("wrong", Some("i")),
        ("", Some("i")),
        ("", Some("j")),
        (&stated, Some("i")),
        (&pending, None),
    ]);
    let errors: Vec<_> = left.into_iter().map(|member| member.error).collect();
    let unknown = Some(GroupError::UnknownMemberId);
    let fenced = Some(GroupError::FencedInstanceId);
    assert_eq!(errors, [None, unknown.clone(), fenced, None, unknown.clone(), unknown, None]);
    assert_eq!(bench.state(), "PreparingRebalance");
    assert!(bench.leave(&[]).is_empty());
}

#[test]
fn member_that_never_syncs_is_dropped() {
    let mut bench = Bench::new();
    let quick = || JoinRequest { rebalance_timeout_ms: 7_000, session_timeout_ms: 30_000, ..old_join() };
    let tokens = [bench.join(quick()), bench.join(quick())];
    bench.pass(6_000);
    let joined = tokens.map(|token| bench.joined(token));
    let leader = joined[0].leader.clone();
    bench.sync(&leader, 1, &[(&leader, "a")]);
    assert_eq!(bench.state(), "Stable");
    bench.pass(7_000);
    assert_eq!(bench.state(), "PreparingRebalance");
    let other = joined.iter().map(|j| &j.member_id).find(|id| **id != leader).unwrap();
    assert_eq!(bench.heartbeat(other, 1), Err(GroupError::UnknownMemberId));
}

#[test]
fn sync_is_checked() {
    let mut bench = Bench::new();
    let ids = bench.stable_group(1);
    let request =
        |member: &str, generation, protocol_type: Option<&str>, protocol: Option<&str>| SyncRequest {
            group: GROUP.into(),
            generation,
            member_id: member.into(),
            instance_id: None,
            protocol_type: protocol_type.map(Into::into),
            protocol: protocol.map(Into::into),
            assignments: Vec::new(),
        };
    let cases = [
        (request("nobody", 1, None, None), Some(GroupError::UnknownMemberId)),
        (request(&ids[0], 2, None, None), Some(GroupError::IllegalGeneration)),
        (request(&ids[0], 1, Some("connect"), None), Some(GroupError::InconsistentGroupProtocol)),
        (request(&ids[0], 1, Some("consumer"), Some("sticky")), Some(GroupError::InconsistentGroupProtocol)),
        (request(&ids[0], 1, Some("consumer"), Some("range")), None),
        (SyncRequest { group: "".into(), ..request("m", 1, None, None) }, Some(GroupError::InvalidGroupId)),
        (
            SyncRequest { group: "none".into(), ..request("m", 1, None, None) },
            Some(GroupError::UnknownMemberId),
        ),
    ];
    for (request, error) in cases {
        let token = bench.run(|shard, now, token, out| shard.sync_group(now, request, token, out));
        let response = bench.synced(token);
        assert_eq!(response.error, error);
        assert_eq!(response.assignment.is_empty(), error.is_some());
    }
}

/// A stable group of one static member and one dynamic one; their ids.
fn static_group(bench: &mut Bench) -> (MemberId, MemberId) {
    let tokens = [bench.join(static_join("i")), bench.join(old_join())];
    bench.pass(6_000);
    let joined = tokens.map(|token| bench.joined(token));
    assert!(joined[0].member_id.starts_with("i-"), "{}", joined[0].member_id);
    let ids = (joined[0].member_id.clone(), joined[1].member_id.clone());
    bench.sync(&joined[0].leader, 1, &[(&ids.0, "a"), (&ids.1, "b")]);
    let other = if joined[0].leader == ids.0 { &ids.1 } else { &ids.0 };
    bench.sync(other, 1, &[]);
    bench.answers.clear();
    ids
}

#[test]
fn static_member_returns_without_a_rebalance() {
    let mut bench = Bench::new();
    let (old, _) = static_group(&mut bench);
    let back = bench.join(static_join("i"));
    let joined = bench.joined(back);
    assert_eq!((joined.error.clone(), joined.generation, joined.skip_assignment), (None, 1, true));
    assert_ne!(joined.member_id, old);
    assert_eq!(joined.leader, joined.member_id);
    assert_eq!(joined.members.len(), 2, "a leader that may skip the assignment is told the members");
    assert_eq!(bench.state(), "Stable");
    let token = bench.sync(&joined.member_id, 1, &[]);
    assert_eq!(bench.synced(token).assignment, "a", "the assignment is the old one");
    let old_sync = SyncRequest {
        group: GROUP.into(),
        generation: 1,
        member_id: old,
        instance_id: Some("i".into()),
        protocol_type: None,
        protocol: None,
        assignments: Vec::new(),
    };
    let token = bench.run(|shard, now, token, out| shard.sync_group(now, old_sync, token, out));
    assert_eq!(bench.synced(token).error, Some(GroupError::FencedInstanceId));
}

#[test]
fn old_client_that_returns_is_not_told_that_it_leads() {
    let mut bench = Bench::new();
    let (old, _) = static_group(&mut bench);
    let token = bench.join(JoinRequest { supports_skipping_assignment: false, ..static_join("i") });
    let joined = bench.joined(token);
    assert_eq!((joined.leader, joined.skip_assignment, joined.members.len()), (old, false, 0));
}

#[test]
fn static_member_with_another_protocol_causes_a_rebalance() {
    let mut bench = Bench::new();
    let token = bench.join(static_join("i"));
    bench.pass(3_000);
    let member = bench.joined(token).member_id;
    bench.sync(&member, 1, &[(&member, "a")]);
    let token = bench.join(JoinRequest {
        protocols: vec![protocol("range", &["t"]), protocol("x", &[])],
        ..static_join("i")
    });
    assert_eq!(bench.joined(token).generation, 1, "its vote is the same");
    let x_first = vec![protocol("x", &["t"]), protocol("range", &["t"])];
    let token = bench.join(JoinRequest { protocols: x_first, ..static_join("i") });
    let joined = bench.joined(token);
    assert_eq!((joined.generation, joined.protocol.as_deref()), (2, Some("x")));
}

#[test]
fn unstored_replacement_is_taken_back() {
    let mut bench = Bench::new();
    let (old, _) = static_group(&mut bench);
    bench.failures.push(ottla_coordinator::WriteError::Storage);
    let token = bench.join(static_join("i"));
    let error = bench.joined(token).error.unwrap();
    assert_eq!(error.code(), ottla_protocol::ErrorCode::NotCoordinator);
    assert_eq!(bench.heartbeat(&old, 1), Ok(()));
    assert_eq!(bench.state(), "Stable");
}

#[test]
fn static_member_that_is_late_keeps_its_place_until_its_session_ends() {
    let mut bench = Bench::new();
    let (stays, goes) = static_group(&mut bench);
    let third =
        bench.join(JoinRequest { rebalance_timeout_ms: 5_000, session_timeout_ms: 6_000, ..old_join() });
    bench.pass(9_000);
    // Their sessions have not ended; their rebalance timeout is 60 s.
    assert!(!bench.answers.contains_key(&third));
    bench.pass(1_000);
    let joined = bench.joined(third);
    assert_eq!(joined.members.len(), 1);
    for id in [stays, goes] {
        assert_eq!(bench.heartbeat(&id, 1), Err(GroupError::UnknownMemberId));
    }
}

#[test]
fn fenced_while_it_waits() {
    let mut bench = Bench::new();
    let (old, other) = static_group(&mut bench);
    bench.join(old_join());
    let mut request = rejoin(&old);
    request.instance_id = Some("i".into());
    let waiting = bench.join(request);
    let back = bench.join(static_join("i"));
    let fenced = bench.joined(waiting);
    assert_eq!((fenced.error, fenced.member_id), (Some(GroupError::FencedInstanceId), old));
    bench.join(rejoin(&other));
    assert_eq!(bench.joined(back).generation, 2);
}

#[test]
fn close_answers_those_who_wait() {
    let mut bench = Bench::new();
    let join = bench.join(old_join());
    bench.core.close();
    let (token, response) = bench.core.poll_reply().unwrap();
    assert_eq!(token, join);
    let crate::GroupResponse::Join(response) = response else { panic!() };
    assert_eq!(response.error.unwrap().code(), ottla_protocol::ErrorCode::NotCoordinator);
}
