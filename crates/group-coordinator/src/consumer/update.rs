//! What a heartbeat of either protocol changes: the member, the group's epoch and target, the member's assignment.

use super::context::{Context, Outcome};
use super::error::ConsumerGroupError;
use super::group::{ConsumerGroup, MetadataCheck};
use super::member::{ConsumerGroupMember, MemberState};
use super::reconcile::Reconciliation;
use super::records;
use super::refresh::RegexStatus;
use super::subscription::{self, SubscribedTopics};
use super::target::Target;
use super::timer::{TimerCommand, TimerKey};
use crate::assignor::{Assignment, SubscriptionType};
use crate::records::GroupRecord;

/// One member's request on its way: reads the group, collects records and effects.
pub(super) struct Update<'a, 'c> {
    pub(super) group: &'a ConsumerGroup,
    pub(super) ctx: &'a mut Context<'c>,
    pub(super) records: Vec<GroupRecord>,
    pub(super) timers: Vec<TimerCommand>,
    pub(super) checked: Option<MetadataCheck>,
}

/// The group's epoch and kind once this request's changes count.
#[derive(Clone, Copy, Debug)]
pub(super) struct GroupChange {
    pub(super) epoch: i32,
    pub(super) subscription_type: SubscriptionType,
}

/// What a request says of the member's subscription.
#[derive(Clone, Copy, Debug)]
pub(super) struct SubscriptionChange {
    pub(super) names: bool,
    pub(super) regex: RegexStatus,
}

impl SubscriptionChange {
    pub(super) fn any(self) -> bool {
        self.names || self.regex != RegexStatus::Unchanged
    }
}

impl<'a, 'c> Update<'a, 'c> {
    pub(super) const fn new(group: &'a ConsumerGroup, ctx: &'a mut Context<'c>) -> Self {
        Self { group, ctx, records: Vec::new(), timers: Vec::new(), checked: None }
    }

    pub(super) fn outcome<T>(self, response: T) -> Outcome<T> {
        let Self { records, timers, checked, .. } = self;
        Outcome { records, timers, metadata_checked: checked, ..Outcome::of(response) }
    }

    /// Writes the member if anything about it changed, and what becomes of regular expressions.
    pub(super) fn subscribe(
        &mut self,
        member: &ConsumerGroupMember,
        updated: &ConsumerGroupMember,
    ) -> Result<SubscriptionChange, ConsumerGroupError> {
        if updated != member {
            self.records.push(records::member(&self.group.group_id, updated));
        }
        let names = updated.subscribed_topic_names != member.subscribed_topic_names;
        Ok(SubscriptionChange { names, regex: self.update_regexes(member, updated)? })
    }

    /// Moves the group on if `bump`, or if the topics that it subscribes to have changed. The kind of the group is
    /// looked at anew only then, as in Kafka.
    pub(super) fn update_group(
        &mut self,
        member: &ConsumerGroupMember,
        updated: &ConsumerGroupMember,
        bump: bool,
    ) -> GroupChange {
        let group = self.group;
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

    /// One step of the member towards the target; `owned` is what it says it owns, if it said so.
    pub(super) fn reconcile(
        &mut self,
        member: ConsumerGroupMember,
        target: &Target,
        subscription_changed: bool,
        owned: Option<&Assignment>,
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
            owned,
        };
        let updated = step.step(&member).map_err(|_| ConsumerGroupError::UnknownState)?;
        if updated != member {
            self.records.push(records::current(&group.group_id, &updated));
            self.timers.extend(rebalance_timer(group, &updated));
        }
        Ok(updated)
    }
}

/// A member that must revoke has its rebalance timeout for it; any other step ends that. One that speaks the classic
/// protocol is watched otherwise: it must join and sync in time.
fn rebalance_timer(group: &ConsumerGroup, member: &ConsumerGroupMember) -> Option<TimerCommand> {
    if member.uses_classic_protocol() {
        return None;
    }
    let key = TimerKey::Rebalance(group.group_id.clone(), member.member_id.clone());
    if member.state != MemberState::UnrevokedPartitions {
        return Some(TimerCommand::Cancel(key));
    }
    let after_ms = milliseconds(member.rebalance_timeout_ms);
    Some(TimerCommand::Schedule { key, after_ms, member_epoch: member.member_epoch })
}

/// A negative timeout is no timeout.
pub(super) fn milliseconds(timeout_ms: i32) -> u64 {
    u64::try_from(timeout_ms).unwrap_or(0)
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
