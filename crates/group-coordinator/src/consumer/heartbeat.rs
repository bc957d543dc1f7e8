//! ConsumerGroupHeartbeat: join, stay, leave.

use super::context::{Context, Outcome};
use super::error::ConsumerGroupError;
use super::fence;
use super::group::{ConsumerGroup, MetadataCheck};
use super::member::{ConsumerGroupMember, JOIN_EPOCH, LEAVE_EPOCH, MemberState, STATIC_LEAVE_EPOCH};
use super::reconcile::Reconciliation;
use super::records;
use super::refresh::RegexStatus;
use super::request::{HeartbeatRequest, HeartbeatResponse};
use super::subscribe;
use super::subscription::{self, SubscribedTopics};
use super::target::{self, Target};
use super::timer::{TimerCommand, TimerKey};
use crate::MemberId;
use crate::assignor::SubscriptionType;
use crate::records::GroupRecord;

/// Handles a heartbeat.
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
    request.validate(ctx.settings)?;
    let group_id = &request.group_id;
    match (request.member_epoch, group) {
        (LEAVE_EPOCH | STATIC_LEAVE_EPOCH, None) => Err(ConsumerGroupError::GroupNotFound(group_id.clone())),
        (LEAVE_EPOCH | STATIC_LEAVE_EPOCH, Some(group)) => fence::leave(group, request, ctx),
        (_, Some(group)) => Heartbeat::new(group, request, ctx).run(),
        (JOIN_EPOCH, None) => Heartbeat::new(&ConsumerGroup::new(group_id.clone()), request, ctx).run(),
        (_, None) => Err(ConsumerGroupError::ConsumerGroupNotFound(group_id.clone())),
    }
}

/// One heartbeat on its way: reads the group, collects records and effects.
pub(super) struct Heartbeat<'a, 'c> {
    pub(super) group: &'a ConsumerGroup,
    pub(super) request: &'a HeartbeatRequest,
    pub(super) ctx: &'a mut Context<'c>,
    pub(super) records: Vec<GroupRecord>,
    pub(super) timers: Vec<TimerCommand>,
    checked: Option<MetadataCheck>,
}

/// The group's epoch and kind once this heartbeat's changes count.
#[derive(Clone, Copy, Debug)]
struct GroupChange {
    epoch: i32,
    subscription_type: SubscriptionType,
}

impl<'a, 'c> Heartbeat<'a, 'c> {
    fn new(group: &'a ConsumerGroup, request: &'a HeartbeatRequest, ctx: &'a mut Context<'c>) -> Self {
        Self { group, request, ctx, records: Vec::new(), timers: Vec::new(), checked: None }
    }

    fn run(mut self) -> Result<Outcome<HeartbeatResponse>, ConsumerGroupError> {
        subscribe::check_room(self.group, self.request, self.ctx.settings.max_size)?;
        let member_id = self.member_id();
        let member = subscribe::member_of(self.group, self.request, &member_id, &mut self.records)?;
        let updated = subscribe::updated(&member, self.request);
        let names_changed = self.write_member(&member, &updated);
        let regex = self.update_regexes(&member, &updated)?;
        let change = self.update_group(&member, &updated, names_changed, regex);
        let target = target::update(&mut self, &updated, change.epoch, change.subscription_type)?;
        let subscription_changed = names_changed || regex != RegexStatus::Unchanged;
        let updated = self.reconcile(updated, &target, subscription_changed)?;
        self.schedule_session(&member_id);
        let response = self.response(&member, &updated);
        Ok(Outcome { records: self.records, timers: self.timers, metadata_checked: self.checked, response })
    }

    fn member_id(&self) -> MemberId {
        if self.request.member_id.is_empty() {
            self.request.new_member_id.clone()
        } else {
            self.request.member_id.clone()
        }
    }

    /// Writes the member if anything about it changed; whether the topic names did.
    fn write_member(&mut self, member: &ConsumerGroupMember, updated: &ConsumerGroupMember) -> bool {
        if updated != member {
            self.records.push(records::member(&self.group.group_id, updated));
        }
        updated.subscribed_topic_names != member.subscribed_topic_names
    }

    /// Bumps the group epoch if subscriptions, the preferred assignor or the subscribed topics changed. The kind of the
    /// group is looked at anew only then, as in Kafka.
    fn update_group(
        &mut self,
        member: &ConsumerGroupMember,
        updated: &ConsumerGroupMember,
        names_changed: bool,
        regex: RegexStatus,
    ) -> GroupChange {
        let group = self.group;
        let assignor_changed = target::preferred_assignor(group, None, self.ctx.settings)
            != target::preferred_assignor(group, Some(updated), self.ctx.settings);
        let bump = names_changed || regex == RegexStatus::ChangedAndResolved || assignor_changed;
        if !bump && !group.needs_metadata_check() {
            return GroupChange { epoch: group.epoch, subscription_type: group.subscription_type };
        }
        let topics = topics_after(group, member, updated);
        let hash = self.ctx.hashes.group_hash(topics.keys(), self.ctx.topics);
        let mut epoch = group.epoch;
        if bump || hash != group.metadata_hash {
            epoch += 1;
            self.records.push(records::epoch(&group.group_id, epoch, hash));
        }
        self.checked = Some(MetadataCheck { epoch });
        if group.has_partition_metadata {
            self.records.push(records::partition_metadata_tombstone(&group.group_id));
        }
        let subscription_type = subscription_type_after(group, member, updated, &topics);
        GroupChange { epoch, subscription_type }
    }

    fn reconcile(
        &mut self,
        member: ConsumerGroupMember,
        target: &Target,
        subscription_changed: bool,
    ) -> Result<ConsumerGroupMember, ConsumerGroupError> {
        if !subscription_changed && member.is_reconciled_to(target.epoch) {
            return Ok(member);
        }
        let group = self.group;
        let step = Reconciliation {
            target_epoch: target.epoch,
            target: &target.assignment,
            subscription_changed,
            topics: group.topics_of(&member, self.ctx.topics),
            is_owned: &|topic_id, partition| group.is_owned(topic_id, partition),
            owned: self.request.owned.as_ref(),
        };
        let updated = step.step(&member).map_err(|_| ConsumerGroupError::UnknownState)?;
        if updated != member {
            self.records.push(records::current(&group.group_id, &updated));
            self.timers.push(rebalance_timer(group, &updated));
        }
        Ok(updated)
    }

    fn schedule_session(&mut self, member_id: &MemberId) {
        self.timers.push(TimerCommand::Schedule {
            key: TimerKey::Session(self.group.group_id.clone(), member_id.clone()),
            after_ms: self.ctx.settings.session_timeout_ms.into(),
            member_epoch: 0,
        });
    }

    fn response(&self, member: &ConsumerGroupMember, updated: &ConsumerGroupMember) -> HeartbeatResponse {
        let wants_all = self.request.member_epoch == JOIN_EPOCH || self.request.is_full();
        let assigned = || updated.assigned.iter().map(|(t, ps)| (*t, ps.keys().copied().collect())).collect();
        HeartbeatResponse {
            member_id: updated.member_id.clone(),
            member_epoch: updated.member_epoch,
            heartbeat_interval_ms: self.ctx.settings.heartbeat_interval_ms,
            assignment: (wants_all || member.assigned != updated.assigned).then(assigned),
        }
    }
}

/// A member that must revoke has its rebalance timeout for it; any other step ends that.
fn rebalance_timer(group: &ConsumerGroup, member: &ConsumerGroupMember) -> TimerCommand {
    let key = TimerKey::Rebalance(group.group_id.clone(), member.member_id.clone());
    if member.state != MemberState::UnrevokedPartitions {
        return TimerCommand::Cancel(key);
    }
    let after_ms = u64::try_from(member.rebalance_timeout_ms).unwrap_or(0);
    TimerCommand::Schedule { key, after_ms, member_epoch: member.member_epoch }
}

/// The topics that the group subscribes to once `updated` takes the place of `member`. A new regular expression does
/// not count yet: it is resolved later.
fn topics_after(
    group: &ConsumerGroup,
    member: &ConsumerGroupMember,
    updated: &ConsumerGroupMember,
) -> SubscribedTopics {
    let mut topics = group.subscribed_topics.clone();
    subscription::remove_names(&mut topics, &member.subscribed_topic_names);
    subscription::add_names(&mut topics, &updated.subscribed_topic_names);
    if let Some(old) = member.regex().filter(|old| updated.regex() != Some(old))
        && group.regex_users(old) == 1
        && let Some(resolved) = group.resolved_regexes.get(old)
    {
        subscription::remove_regex(&mut topics, &resolved.topics);
    }
    topics
}

fn subscription_type_after(
    group: &ConsumerGroup,
    member: &ConsumerGroupMember,
    updated: &ConsumerGroupMember,
    topics: &SubscribedTopics,
) -> SubscriptionType {
    let mut regexes = group.subscribed_regexes.clone();
    if let Some(old) = member.regex() {
        subscription::decrease(&mut regexes, old);
    }
    if let Some(new) = updated.regex() {
        *regexes.entry(new.clone()).or_default() += 1;
    }
    let known = group.members.contains_key(&updated.member_id)
        || updated.instance_id.as_ref().is_some_and(|i| group.static_members.contains_key(i));
    let members = group.members.len() + usize::from(!known);
    subscription::subscription_type(&regexes, topics, members)
}
