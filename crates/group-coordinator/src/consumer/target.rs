//! The target assignment: computed when the group epoch has moved on, at most once per assignment interval.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_model::TimestampMs;

use super::context::ConsumerGroupSettings;
use super::error::ConsumerGroupError;
use super::group::ConsumerGroup;
use super::member::ConsumerGroupMember;
use super::records;
use super::update::{GroupChange, Update};
use crate::MemberId;
use crate::assignor::{Assignment, Assignor, GroupSpec, MemberSpec, SubscriptionType};

/// One member's part of the target assignment.
#[derive(Clone, Debug, Default)]
pub(super) struct Target {
    pub(super) epoch: i32,
    pub(super) assignment: Assignment,
}

impl Target {
    /// The target as it stands.
    pub(super) fn last(group: &ConsumerGroup, member: &ConsumerGroupMember) -> Self {
        let assignment = group.target_of(member).cloned().unwrap_or_default();
        Self { epoch: group.target_epoch, assignment }
    }
}

/// The target of `updated` for the group at the epoch of `change`: a new one if one is due, else the last.
pub(super) fn update(
    update: &mut Update<'_, '_>,
    updated: &ConsumerGroupMember,
    change: GroupChange,
) -> Result<Target, ConsumerGroupError> {
    let (group, epoch) = (update.group, change.epoch);
    let settings = update.ctx.settings;
    let now = update.ctx.now.wall;
    if group.target_epoch >= epoch || !is_due(group.target_timestamp_ms, settings, now) {
        return Ok(Target::last(group, updated));
    }
    let spec = group_spec(update, updated, change.subscription_type);
    let assignor = preferred_assignor(group, Some(updated), settings);
    let mut target = assignor.assign(&spec).map_err(|cause| ConsumerGroupError::Assignor { epoch, cause })?;
    for member_id in spec.members.keys() {
        let new = target.entry(member_id.clone()).or_default();
        if last_target(group, updated, member_id) != Some(new) {
            update.records.push(records::target(&group.group_id, member_id, new));
        }
    }
    update.records.push(records::target_epoch(&group.group_id, epoch, now));
    Ok(Target { epoch, assignment: target.remove(&updated.member_id).unwrap_or_default() })
}

/// KIP-1263: members that come in one by one are given partitions together. A clock that has gone back since the last time, or is
/// behind that of whoever coordinated then, says nothing: nobody waits for it to come there.
fn is_due(last_ms: i64, settings: &ConsumerGroupSettings, now: TimestampMs) -> bool {
    let interval = i64::from(settings.assignment_interval_ms);
    last_ms == 0 || interval == 0 || now.get() < last_ms || now.get() >= last_ms.saturating_add(interval)
}

/// The assignor that most members want, with `updated` as one of them; else the default.
pub(super) fn preferred_assignor(
    group: &ConsumerGroup,
    updated: Option<&ConsumerGroupMember>,
    settings: &ConsumerGroupSettings,
) -> Assignor {
    let mut votes: BTreeMap<Assignor, usize> = BTreeMap::new();
    let others =
        group.members.values().map(Arc::as_ref).filter(|m| updated.is_none_or(|u| !is_replaced_by(m, u)));
    for name in others.chain(updated).filter_map(|m| m.server_assignor.as_deref()) {
        if let Some(assignor) = Assignor::from_name(name) {
            *votes.entry(assignor).or_default() += 1;
        }
    }
    // Of those with the most votes the first in the enum's order.
    let most = votes.values().copied().max();
    let winner = votes.into_iter().find(|(_, count)| Some(*count) == most);
    winner.map_or_else(|| settings.default_assignor(), |(assignor, _)| assignor)
}

/// Whether `updated` is this member, or takes its place under the same instance id.
fn is_replaced_by(member: &ConsumerGroupMember, updated: &ConsumerGroupMember) -> bool {
    member.member_id == updated.member_id
        || (member.instance_id.is_some() && member.instance_id == updated.instance_id)
}

/// The last target of a member; for `updated` that of the member that it replaces.
fn last_target<'a>(
    group: &'a ConsumerGroup,
    updated: &ConsumerGroupMember,
    member_id: &MemberId,
) -> Option<&'a Assignment> {
    if *member_id == updated.member_id
        && let Some(replaced) = updated.instance_id.as_ref().and_then(|i| group.static_members.get(i))
    {
        return group.target(replaced);
    }
    group.target(member_id)
}

fn group_spec(
    update: &Update<'_, '_>,
    updated: &ConsumerGroupMember,
    subscription_type: SubscriptionType,
) -> GroupSpec {
    let group = update.group;
    let directory = update.ctx.topics;
    let others = group.members.values().map(Arc::as_ref).filter(|m| !is_replaced_by(m, updated));
    let members: BTreeMap<MemberId, MemberSpec> = others
        .chain([updated])
        .map(|member| {
            let spec = MemberSpec {
                instance_id: member.instance_id.clone(),
                subscribed: group.topics_of(member, directory).ids(),
                assigned: last_target(group, updated, &member.member_id).cloned().unwrap_or_default(),
            };
            (member.member_id.clone(), spec)
        })
        .collect();
    let subscribed = members.values().flat_map(|m| &m.subscribed);
    let partition_counts =
        subscribed.filter_map(|id| directory.topic_by_id(*id)).map(|t| (t.id, t.partition_count)).collect();
    GroupSpec { members, subscription_type, partition_counts }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_has_gone_back_holds_no_assignment_back() {
        let settings =
            ConsumerGroupSettings { assignment_interval_ms: 1_000, ..ConsumerGroupSettings::default() };
        let due = |now| is_due(5_000, &settings, TimestampMs(now));
        assert_eq!([5_000, 5_999, 6_000].map(due), [false, false, true]);
        assert!(due(4_999), "the last one is in the future");
    }
}
