use super::bench::*;
use crate::consumer;
use crate::manage::GroupType;
use crate::records::GroupRecord;
use crate::{GroupError, GroupId, GroupResponse};

fn delete(bench: &mut Bench, groups: &[&str]) -> Vec<Option<GroupError>> {
    let groups: Vec<GroupId> = groups.iter().map(|id| (*id).into()).collect();
    let token = bench.run(|shard, _, token, out| shard.delete_groups(&groups, token, out));
    match bench.answers.remove(&token) {
        Some(GroupResponse::DeleteGroups(deleted)) => deleted.into_iter().map(|d| d.error).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn groups_are_listed_by_state_and_type() {
    let mut bench = Bench::new();
    bench.stable_group(1);
    let mut simple = commit_of("", -1, "t", 1);
    simple.group = "simple".into();
    bench.commit(&simple);
    let list = |states: &[&str], types: &[&str]| -> Vec<String> {
        let owned = |names: &[&str]| names.iter().map(|n| (*n).to_string()).collect::<Vec<_>>();
        let listed = bench.shard().list_groups(&owned(states), &owned(types));
        listed.iter().map(|g| format!("{} {} {}", g.group, g.protocol_type, g.state)).collect()
    };
    assert_eq!(list(&[], &[]), ["g consumer Stable", "simple  Empty"]);
    assert_eq!(list(&["stable"], &["Classic"]), ["g consumer Stable"]);
    assert_eq!(list(&["Empty", "Dead"], &[]), ["simple  Empty"]);
    assert!(list(&[], &["consumer"]).is_empty());
}

#[test]
fn describe_tells_metadata_of_a_stable_group_only() {
    let mut bench = Bench::new();
    assert_eq!(bench.shard().describe_group(&GROUP.into()), Err(GroupError::GroupIdNotFound(GROUP.into())));
    let ids = bench.stable_group(1);
    let described = bench.shard().describe_group(&GROUP.into()).unwrap();
    assert_eq!((described.state, &*described.protocol), ("Stable", "range"));
    let member = &described.members[0];
    assert_eq!((&*member.client_id, &*member.client_host), ("client", "/127.0.0.1"));
    assert_eq!((member.assignment.as_ref(), member.metadata.is_empty()), (&b"assigned"[..], false));
    bench.join(old_join());
    let described = bench.shard().describe_group(&GROUP.into()).unwrap();
    assert_eq!((described.state, &*described.protocol), ("PreparingRebalance", ""));
    assert!(described.members.iter().all(|m| m.metadata.is_empty()));
    assert!(described.members.iter().any(|m| m.member_id == ids[0]));
}

#[test]
fn only_empty_groups_can_be_deleted() {
    let mut bench = Bench::new();
    let ids = bench.stable_group(1);
    bench.commit(&commit_of(&ids[0], 1, "t", 1));
    let not_found = Some(GroupError::GroupIdNotFound("none".into()));
    assert_eq!(delete(&mut bench, &[GROUP, "none"]), [Some(GroupError::NonEmptyGroup), not_found]);
    bench.leave(&[(&ids[0], None)]);
    assert_eq!(delete(&mut bench, &[GROUP]), [None]);
    assert_eq!((bench.state(), bench.offsets().len()), ("-", 0));
    assert_eq!(bench.restarted().shard().group_count(), 0);
}

#[test]
fn failed_deletion_leaves_the_group() {
    let mut bench = Bench::new();
    let ids = bench.stable_group(1);
    bench.commit(&commit_of(&ids[0], 1, "t", 1));
    bench.leave(&[(&ids[0], None)]);
    bench.failures.push(ottla_coordinator::WriteError::NotEnoughReplicas);
    assert!(delete(&mut bench, &[GROUP])[0].is_some());
    assert_eq!((bench.state(), bench.offsets().len()), ("Empty", 1));
}

pub(super) fn consumer_join(member: &str) -> consumer::HeartbeatRequest {
    consumer::HeartbeatRequest {
        group_id: GROUP.into(),
        member_id: member.into(),
        member_epoch: consumer::JOIN_EPOCH,
        rebalance_timeout_ms: Some(60_000),
        subscribed_topic_names: Some(vec!["t".into()]),
        owned: Some(std::collections::BTreeMap::new()),
        client_id: "client".into(),
        client_host: "/127.0.0.1".into(),
        requires_member_id: true,
        ..consumer::HeartbeatRequest::default()
    }
}

pub(super) fn consumer_beat(
    bench: &mut Bench,
    request: &consumer::HeartbeatRequest,
) -> Result<i32, ottla_protocol::ErrorCode> {
    let token = bench.run(|shard, now, token, out| shard.consumer_group_heartbeat(now, request, token, out));
    match bench.answers.remove(&token) {
        Some(GroupResponse::ConsumerHeartbeat(Ok(response))) => Ok(response.member_epoch),
        Some(GroupResponse::ConsumerHeartbeat(Err(crate::ConsumerHeartbeatError::Group(e)))) => Err(e.code()),
        Some(GroupResponse::ConsumerHeartbeat(Err(crate::ConsumerHeartbeatError::Coordinator(e)))) => {
            Err(e.code())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn consumer_group_lives_in_the_shard() {
    let mut bench = Bench::new();
    let epoch = consumer_beat(&mut bench, &consumer_join("m")).unwrap();
    assert!(epoch > 0);
    let listed = bench.shard().list_groups(&[], &[]);
    assert_eq!((listed[0].group_type, listed[0].state), (GroupType::Consumer, "Stable"));
    assert_eq!(bench.state(), "-", "it is no classic group");
    let token = bench.commit(&commit_of("m", epoch, "t", 4));
    assert_eq!(bench.committed(token), Ok(vec![None]));
    let token = bench.commit(&commit_of("m", epoch + 1, "t", 5));
    assert_eq!(bench.committed(token).unwrap_err().code(), ottla_protocol::ErrorCode::StaleMemberEpoch);
    let again = bench.restarted();
    assert_eq!(again.shard().consumer_group(&GROUP.into()).unwrap().members().len(), 1);
    let mut again = again;
    again.pass(44_999);
    assert_eq!(again.shard().list_groups(&[], &[])[0].state, "Stable");
    again.pass(1);
    assert_eq!(again.shard().list_groups(&[], &[])[0].state, "Empty", "its session has ended");
}

#[test]
fn empty_groups_change_their_type() {
    let mut bench = Bench::new();
    let ids = bench.stable_group(1);
    let not_found = Err(ottla_protocol::ErrorCode::GroupIdNotFound);
    assert_eq!(consumer_beat(&mut bench, &consumer_join("m")), not_found);
    bench.commit(&commit_of(&ids[0], 1, "t", 4));
    bench.leave(&[(&ids[0], None)]);
    assert!(consumer_beat(&mut bench, &consumer_join("m")).is_ok());
    assert!(bench.records.iter().any(|r| matches!(r, GroupRecord::GroupMetadata(_, None))));
    assert_eq!(bench.offsets()["t-0"], 4, "offsets stay");
    let refused = bench.join(new_join());
    assert_eq!(bench.joined(refused).error, Some(GroupError::MemberIdRequired), "classic members may join");
    let leave = consumer::HeartbeatRequest { member_epoch: consumer::LEAVE_EPOCH, ..consumer_join("m") };
    consumer_beat(&mut bench, &leave).unwrap();
    let token = bench.join(old_join());
    bench.pass(3_000);
    assert_eq!(bench.joined(token).error, None);
    assert_eq!(bench.state(), "CompletingRebalance");
    assert_eq!(bench.shard().consumer_group(&GROUP.into()).map(|_| ()), None);
    let again = bench.restarted();
    assert_eq!((again.state(), again.offsets()), ("Empty", bench.offsets()));
}
