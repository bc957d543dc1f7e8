//! Members that go: by leaving, or because they did not keep a deadline.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_model::TimestampMs;

use super::context::{Context, Outcome};
use super::downgrade;
use super::error::ConsumerGroupError;
use super::group::ConsumerGroup;
use super::member::{ConsumerGroupMember, STATIC_LEAVE_EPOCH};
use super::records;
use super::request::{HeartbeatRequest, HeartbeatResponse};
use super::subscribe;
use super::subscription;
use super::timer::{TimerCommand, TimerKey};
use crate::MemberId;

/// Handles a heartbeat with epoch -1 or -2.
pub(super) fn leave(
    group: &ConsumerGroup,
    request: &HeartbeatRequest,
    ctx: &mut Context<'_>,
) -> Result<Outcome<HeartbeatResponse>, ConsumerGroupError> {
    let member = subscribe::leaving_member(group, request)?;
    let response = HeartbeatResponse {
        member_id: member.member_id.clone(),
        member_epoch: request.member_epoch,
        ..HeartbeatResponse::default()
    };
    if request.member_epoch == STATIC_LEAVE_EPOCH && request.instance_id.is_some() {
        return Ok(leave_for_a_while(group, member, response));
    }
    Ok(fence(group, member, response, ctx))
}

/// The static member's assignment waits for its return, or for the end of its session.
fn leave_for_a_while(
    group: &ConsumerGroup,
    member: &ConsumerGroupMember,
    response: HeartbeatResponse,
) -> Outcome<HeartbeatResponse> {
    let mut leaving = member.clone();
    leaving.member_epoch = STATIC_LEAVE_EPOCH;
    leaving.pending_revocation.clear();
    // Whoever comes back under this instance id may commit for these partitions from its first epoch on.
    leaving.assigned.values_mut().flat_map(|ps| ps.values_mut()).for_each(|epoch| *epoch = 0);
    let mut out = Outcome::of(response);
    out.records.push(records::current(&group.group_id, &leaving));
    out
}

/// Removes a member and moves the group on; the next heartbeat of another distributes its partitions.
pub(super) fn fence<T>(
    group: &ConsumerGroup,
    member: &ConsumerGroupMember,
    response: T,
    ctx: &mut Context<'_>,
) -> Outcome<T> {
    fence_all(group, &BTreeSet::from([member.member_id.clone()]), response, ctx)
}

/// As [`fence`], for several members of the group, which moves on once. If all that stay speak the classic protocol, the
/// group becomes a classic one.
pub(super) fn fence_all<T>(
    group: &ConsumerGroup,
    leaving: &BTreeSet<MemberId>,
    response: T,
    ctx: &mut Context<'_>,
) -> Outcome<T> {
    let id = &group.group_id;
    let mut out = Outcome::of(response);
    out.downgrade = downgrade::by_leaving(group, leaving, ctx.settings);
    if out.downgrade.is_some() {
        return out;
    }
    out.records.extend(leaving.iter().flat_map(|member| records::member_tombstones(id, member)));
    let mut topics = group.subscribed_topics.clone();
    let mut regexes: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
    for member in leaving.iter().filter_map(|id| group.member(id)) {
        subscription::remove_names(&mut topics, &member.subscribed_topic_names);
        if let Some(regex) = member.regex() {
            *regexes.entry(regex).or_default() += 1;
        }
    }
    for (regex, _) in regexes.into_iter().filter(|(regex, users)| group.regex_users(regex) == *users) {
        out.records.push(records::regex_tombstone(id, regex));
        if let Some(resolved) = group.resolved_regexes.get(regex) {
            subscription::remove_regex(&mut topics, &resolved.topics);
        }
    }
    let hash = ctx.hashes.group_hash(topics.keys(), ctx.topics);
    let epoch = group.epoch + 1;
    out.records.push(records::epoch(id, epoch, hash));
    if group.members.len() == leaving.len() {
        // Nothing to compute for an empty group: it counts as assigned, and the next to join need not wait.
        out.records.push(records::target_epoch(id, epoch, TimestampMs(0)));
    }
    for member in leaving {
        let keys = [TimerKey::Session, TimerKey::Rebalance, TimerKey::Join, TimerKey::Sync];
        out.timers.extend(keys.map(|key| TimerCommand::Cancel(key(id.clone(), member.clone()))));
    }
    out
}
