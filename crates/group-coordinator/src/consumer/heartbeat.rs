//! ConsumerGroupHeartbeat: join, stay, leave.

use super::context::{Context, Outcome};
use super::error::ConsumerGroupError;
use super::fence;
use super::group::ConsumerGroup;
use super::member::{ConsumerGroupMember, JOIN_EPOCH, LEAVE_EPOCH, STATIC_LEAVE_EPOCH};
use super::refresh::RegexStatus;
use super::request::{HeartbeatRequest, HeartbeatResponse};
use super::subscribe;
use super::target;
use super::timer::{TimerCommand, TimerKey};
use super::update::Update;
use crate::MemberId;

/// Handles a heartbeat that [`HeartbeatRequest::validate`] has passed.
///
/// `group` is `None` if there is no such group, or an empty one of another type whose tombstones the caller puts in
/// front of the records.
///
/// # Errors
/// [`ConsumerGroupError`]: nothing has changed, the member reads the code.
pub fn heartbeat(
    group: Option<&ConsumerGroup>,
    request: &HeartbeatRequest,
    ctx: &mut Context<'_>,
) -> Result<Outcome<HeartbeatResponse>, ConsumerGroupError> {
    let group_id = &request.group_id;
    match (request.member_epoch, group) {
        (LEAVE_EPOCH | STATIC_LEAVE_EPOCH, None) => Err(ConsumerGroupError::GroupNotFound(group_id.clone())),
        (LEAVE_EPOCH | STATIC_LEAVE_EPOCH, Some(group)) => fence::leave(group, request, ctx),
        (_, Some(group)) => beat(group, request, ctx),
        (JOIN_EPOCH, None) => beat(&ConsumerGroup::new(group_id.clone()), request, ctx),
        (_, None) => Err(ConsumerGroupError::ConsumerGroupNotFound(group_id.clone())),
    }
}

/// A member joins, or stays.
fn beat(
    group: &ConsumerGroup,
    request: &HeartbeatRequest,
    ctx: &mut Context<'_>,
) -> Result<Outcome<HeartbeatResponse>, ConsumerGroupError> {
    subscribe::check_room(group, &request.member_id, request.instance_id.as_ref(), ctx.settings.max_size)?;
    let settings = ctx.settings;
    let mut update = Update::new(group, ctx);
    let member_id = member_id(request);
    let member = subscribe::member_of(group, request, &member_id, &mut update.records)?;
    let updated = subscribe::updated(&member, request);
    let subscription = update.subscribe(&member, &updated)?;
    let assignor_changed = target::preferred_assignor(group, None, settings)
        != target::preferred_assignor(group, Some(&updated), settings);
    let bump =
        subscription.names || subscription.regex == RegexStatus::ChangedAndResolved || assignor_changed;
    let change = update.update_group(&member, &updated, bump);
    let target = target::update(&mut update, &updated, change)?;
    let updated = update.reconcile(updated, &target, subscription.any(), request.owned.as_ref())?;
    update.timers.push(session_timer(group, &member_id, settings.session_timeout_ms.into()));
    Ok(update.outcome(response(request, settings.heartbeat_interval_ms, &member, &updated)))
}

fn member_id(request: &HeartbeatRequest) -> MemberId {
    if request.member_id.is_empty() { request.new_member_id.clone() } else { request.member_id.clone() }
}

pub(super) fn session_timer(group: &ConsumerGroup, member_id: &MemberId, after_ms: u64) -> TimerCommand {
    TimerCommand::Schedule {
        key: TimerKey::Session(group.group_id.clone(), member_id.clone()),
        after_ms,
        member_epoch: 0,
    }
}

fn response(
    request: &HeartbeatRequest,
    heartbeat_interval_ms: u32,
    member: &ConsumerGroupMember,
    updated: &ConsumerGroupMember,
) -> HeartbeatResponse {
    let wants_all = request.member_epoch == JOIN_EPOCH || request.is_full();
    let assigned = || updated.assigned.iter().map(|(t, ps)| (*t, ps.keys().copied().collect())).collect();
    HeartbeatResponse {
        member_id: updated.member_id.clone(),
        member_epoch: updated.member_epoch,
        heartbeat_interval_ms,
        assignment: (wants_all || member.assigned != updated.assigned).then(assigned),
    }
}
