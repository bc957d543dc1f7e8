//! Who sends this heartbeat: a known member, a new one, or one that takes over a static member's place.

use super::error::ConsumerGroupError;
use super::group::ConsumerGroup;
use super::member::{ConsumerGroupMember, EpochAssignment, JOIN_EPOCH, STATIC_LEAVE_EPOCH};
use super::records;
use super::request::HeartbeatRequest;
use crate::assignor::Assignment;
use crate::error::GroupError;
use crate::records::GroupRecord;
use crate::{InstanceId, MemberId};

/// Refuses a new member of a full group. A static member that comes back takes its old place.
pub(super) fn check_room(
    group: &ConsumerGroup,
    member_id: &MemberId,
    instance_id: Option<&InstanceId>,
    max: usize,
) -> Result<(), ConsumerGroupError> {
    let returns = instance_id.is_some_and(|i| group.static_members.contains_key(i));
    if returns || group.members.len() < max || group.members.contains_key(member_id) {
        return Ok(());
    }
    Err(ConsumerGroupError::GroupFull { max })
}

/// The member as it stands before this heartbeat. A static member's replacement starts at epoch 0 with the old one's
/// assignment; the records for that go first.
pub(super) fn member_of(
    group: &ConsumerGroup,
    request: &HeartbeatRequest,
    member_id: &MemberId,
    out: &mut Vec<GroupRecord>,
) -> Result<ConsumerGroupMember, ConsumerGroupError> {
    match &request.instance_id {
        None => dynamic_member(group, request, member_id),
        Some(instance_id) => static_member(group, request, member_id, instance_id, out),
    }
}

fn dynamic_member(
    group: &ConsumerGroup,
    request: &HeartbeatRequest,
    member_id: &MemberId,
) -> Result<ConsumerGroupMember, ConsumerGroupError> {
    let Some(member) = group.member(member_id) else {
        if request.member_epoch == JOIN_EPOCH {
            return Ok(ConsumerGroupMember::new(member_id.clone()));
        }
        return Err(unknown_member(group, member_id));
    };
    check_epoch(member, request)?;
    Ok(member.clone())
}

fn static_member(
    group: &ConsumerGroup,
    request: &HeartbeatRequest,
    member_id: &MemberId,
    instance_id: &InstanceId,
    out: &mut Vec<GroupRecord>,
) -> Result<ConsumerGroupMember, ConsumerGroupError> {
    let existing = group.static_member(instance_id);
    if request.member_epoch != JOIN_EPOCH {
        let existing = existing.ok_or_else(|| ConsumerGroupError::UnknownInstance(instance_id.clone()))?;
        check_instance(existing, member_id, instance_id)?;
        check_epoch(existing, request)?;
        return Ok(existing.clone());
    }
    let Some(existing) = existing else {
        let known = group.member(member_id).cloned();
        return Ok(known.unwrap_or_else(|| ConsumerGroupMember::new(member_id.clone())));
    };
    if existing.member_epoch != STATIC_LEAVE_EPOCH && !existing.uses_classic_protocol() {
        return Err(ConsumerGroupError::UnreleasedInstance {
            member_id: member_id.clone(),
            instance_id: instance_id.clone(),
            owner: existing.member_id.clone(),
        });
    }
    Ok(replace(group, existing, member_id, out))
}

fn replace(
    group: &ConsumerGroup,
    old: &ConsumerGroupMember,
    member_id: &MemberId,
    out: &mut Vec<GroupRecord>,
) -> ConsumerGroupMember {
    let mut new = old.clone();
    new.member_id = member_id.clone();
    new.member_epoch = JOIN_EPOCH;
    new.previous_member_epoch = JOIN_EPOCH;
    let id = &group.group_id;
    let none = Assignment::new();
    out.extend(records::member_tombstones(id, &old.member_id));
    out.push(records::member(id, &new));
    out.push(records::target(id, member_id, group.target(&old.member_id).unwrap_or(&none)));
    out.push(records::current(id, &new));
    new
}

/// As [`member_of`], for a member that speaks the classic protocol; `is_new` if it has no id of its own yet. It takes
/// over an instance id without waiting for its release.
pub(super) fn classic_member_of(
    group: &ConsumerGroup,
    member_id: &MemberId,
    instance_id: Option<&InstanceId>,
    is_new: bool,
    out: &mut Vec<GroupRecord>,
) -> Result<ConsumerGroupMember, GroupError> {
    let known = group.member(member_id).cloned();
    let known_or_new = || known.unwrap_or_else(|| ConsumerGroupMember::new(member_id.clone()));
    let Some(instance_id) = instance_id else { return Ok(known_or_new()) };
    match group.static_member(instance_id) {
        None if is_new => Ok(known_or_new()),
        None => Err(GroupError::UnknownMemberId),
        Some(existing) if is_new => Ok(replace(group, existing, member_id, out)),
        Some(existing) if existing.member_id == *member_id => Ok(existing.clone()),
        Some(_) => Err(GroupError::FencedInstanceId),
    }
}

/// A member that leaves, by its own id or by its instance id.
pub(super) fn leaving_member<'a>(
    group: &'a ConsumerGroup,
    request: &HeartbeatRequest,
) -> Result<&'a ConsumerGroupMember, ConsumerGroupError> {
    let Some(instance_id) = &request.instance_id else {
        let member = group.member(&request.member_id);
        return member.ok_or_else(|| unknown_member(group, &request.member_id));
    };
    let unknown = || ConsumerGroupError::UnknownInstance(instance_id.clone());
    let member = group.static_member(instance_id).ok_or_else(unknown)?;
    check_instance(member, &request.member_id, instance_id)?;
    Ok(member)
}

fn unknown_member(group: &ConsumerGroup, member_id: &MemberId) -> ConsumerGroupError {
    ConsumerGroupError::UnknownMember { group_id: group.group_id.clone(), member_id: member_id.clone() }
}

fn check_instance(
    existing: &ConsumerGroupMember,
    member_id: &MemberId,
    instance_id: &InstanceId,
) -> Result<(), ConsumerGroupError> {
    if existing.member_id == *member_id {
        return Ok(());
    }
    Err(ConsumerGroupError::FencedInstance {
        member_id: member_id.clone(),
        instance_id: instance_id.clone(),
        owner: existing.member_id.clone(),
    })
}

/// A member may be one epoch behind if it missed an answer, as long as it owns nothing that it was not given.
fn check_epoch(member: &ConsumerGroupMember, request: &HeartbeatRequest) -> Result<(), ConsumerGroupError> {
    let (received, known) = (request.member_epoch, member.member_epoch);
    if received == JOIN_EPOCH || received == known {
        return Ok(());
    }
    if received > known {
        return Err(ConsumerGroupError::GreaterEpoch { received, known });
    }
    let owns_its_own = request.owned.as_ref().is_some_and(|owned| is_subset(owned, &member.assigned));
    if received == member.previous_member_epoch && owns_its_own {
        return Ok(());
    }
    Err(ConsumerGroupError::SmallerEpoch { received, known })
}

fn is_subset(owned: &Assignment, assigned: &EpochAssignment) -> bool {
    owned.iter().all(|(topic_id, partitions)| {
        assigned.get(topic_id).is_some_and(|known| partitions.iter().all(|p| known.contains_key(p)))
    })
}

/// The member with what this heartbeat says of it.
pub(super) fn updated(member: &ConsumerGroupMember, request: &HeartbeatRequest) -> ConsumerGroupMember {
    let mut updated = member.clone();
    if request.instance_id.is_some() {
        updated.instance_id.clone_from(&request.instance_id);
    }
    if request.rack_id.is_some() {
        updated.rack_id.clone_from(&request.rack_id);
    }
    if let Some(timeout) = request.rebalance_timeout_ms {
        updated.rebalance_timeout_ms = timeout;
    }
    if request.server_assignor.is_some() {
        updated.server_assignor.clone_from(&request.server_assignor);
    }
    if let Some(names) = &request.subscribed_topic_names {
        updated.subscribed_topic_names = names.iter().cloned().collect();
    }
    if request.subscribed_topic_regex.is_some() {
        updated.subscribed_topic_regex.clone_from(&request.subscribed_topic_regex);
    }
    updated.client_id = request.client_id.clone();
    updated.client_host = request.client_host.clone();
    updated.classic = None;
    updated
}
