//! A consumer group as its records tell it. Hard state changes only through the `apply_*` methods, which replay calls.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_model::TopicId;

use super::member::{ConsumerGroupMember, EpochAssignment};
use super::metadata_hash::TopicHashes;
use super::regex::ResolvedRegex;
use super::subscription::{self, MemberTopics, SubscribedTopics};
use super::topics::TopicDirectory;
use crate::assignor::{Assignment, SubscriptionType};
use crate::{GroupId, InstanceId, MemberId};

/// Epoch of a group before anything was written about it.
pub(crate) const INITIAL_EPOCH: i32 = 1;

/// The group's state as ListGroups and ConsumerGroupDescribe spell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsumerGroupState {
    /// No members.
    Empty,
    /// The group has moved on and no target assignment has been computed yet.
    Assigning,
    /// Some member has not reached the target assignment.
    Reconciling,
    Stable,
    /// Deleted.
    Dead,
}

impl ConsumerGroupState {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Assigning => "Assigning",
            Self::Reconciling => "Reconciling",
            Self::Stable => "Stable",
            Self::Dead => "Dead",
        }
    }
}

/// A record that contradicts what came before it: the log is broken, the shard must not go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IllegalRecord {
    #[error("{topic_id}-{partition} cannot be owned at epoch {epoch}: it is still owned at epoch {owned_at}")]
    StillOwned { topic_id: TopicId, partition: i32, epoch: i32, owned_at: i32 },
    #[error("tombstone of member {member_id} before those of its assignments")]
    MemberStillAssigned { member_id: MemberId },
    #[error("tombstone of a group that still has {members} members and {targets} target assignments")]
    GroupStillInUse { members: usize, targets: usize },
    #[error("tombstone of a target assignment that still has {targets} members")]
    TargetStillInUse { targets: usize },
}

/// A group's metadata hash was compared with the topics, at this group epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetadataCheck {
    pub epoch: i32,
}

/// One consumer group. What is large is shared, so that a clone, which the engine keeps of each version that may have to
/// be restored, is cheap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerGroup {
    pub(super) group_id: GroupId,
    pub(super) epoch: i32,
    pub(super) metadata_hash: i64,
    pub(super) members: BTreeMap<MemberId, Arc<ConsumerGroupMember>>,
    /// Member id by instance id.
    pub(super) static_members: BTreeMap<InstanceId, MemberId>,
    pub(super) target: BTreeMap<MemberId, Arc<Assignment>>,
    /// -1 once deleted.
    pub(super) target_epoch: i32,
    /// When the target was computed, wall clock; 0 if the next may be computed at once.
    pub(super) target_timestamp_ms: i64,
    pub(super) resolved_regexes: BTreeMap<Arc<str>, Arc<ResolvedRegex>>,
    pub(super) subscribed_topics: SubscribedTopics,
    /// Number of members by regular expression.
    pub(super) subscribed_regexes: BTreeMap<Arc<str>, usize>,
    /// Whether the log holds a `ConsumerGroupPartitionMetadata` record of Kafka 4.0, which is to be deleted.
    pub(super) has_partition_metadata: bool,
    /// As of the last change of a member: topics that a regular expression gains or loses later do not count.
    pub(super) subscription_type: SubscriptionType,
    /// The epoch at which each partition is owned, be it pending revocation: no partition is owned twice.
    owned_at: BTreeMap<(TopicId, i32), i32>,
    /// Soft state: lost on reload, when the topics are compared anew.
    metadata_checked: Option<MetadataCheck>,
}

impl ConsumerGroup {
    #[must_use]
    pub fn new(group_id: GroupId) -> Self {
        Self {
            group_id,
            epoch: INITIAL_EPOCH,
            metadata_hash: 0,
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            target: BTreeMap::new(),
            target_epoch: INITIAL_EPOCH,
            target_timestamp_ms: 0,
            resolved_regexes: BTreeMap::new(),
            subscribed_topics: SubscribedTopics::new(),
            subscribed_regexes: BTreeMap::new(),
            has_partition_metadata: false,
            subscription_type: SubscriptionType::Homogeneous,
            owned_at: BTreeMap::new(),
            metadata_checked: None,
        }
    }

    #[must_use]
    pub fn group_id(&self) -> &GroupId {
        &self.group_id
    }

    #[must_use]
    pub const fn epoch(&self) -> i32 {
        self.epoch
    }

    #[must_use]
    pub const fn members(&self) -> &BTreeMap<MemberId, Arc<ConsumerGroupMember>> {
        &self.members
    }

    #[must_use]
    pub const fn target_assignment(&self) -> &BTreeMap<MemberId, Arc<Assignment>> {
        &self.target
    }

    #[must_use]
    pub fn member(&self, member_id: &str) -> Option<&ConsumerGroupMember> {
        self.members.get(member_id).map(Arc::as_ref)
    }

    pub(super) fn target(&self, member_id: &str) -> Option<&Assignment> {
        self.target.get(member_id).map(Arc::as_ref)
    }

    /// The group epoch that the target assignment was computed for.
    #[must_use]
    pub const fn target_epoch(&self) -> i32 {
        self.target_epoch
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    #[must_use]
    pub fn state(&self) -> ConsumerGroupState {
        if self.members.is_empty() {
            ConsumerGroupState::Empty
        } else if self.epoch > self.target_epoch {
            ConsumerGroupState::Assigning
        } else if self.members.values().any(|m| !m.is_reconciled_to(self.target_epoch)) {
            ConsumerGroupState::Reconciling
        } else {
            ConsumerGroupState::Stable
        }
    }

    /// Whether a member subscribes to the topic, by name or by a resolved regular expression.
    #[must_use]
    pub fn is_subscribed_to(&self, topic: &str) -> bool {
        self.subscribed_topics.contains_key(topic)
    }

    pub(super) fn static_member(&self, instance_id: &str) -> Option<&ConsumerGroupMember> {
        self.static_members.get(instance_id).and_then(|id| self.member(id))
    }

    pub(super) fn is_owned(&self, topic_id: TopicId, partition: i32) -> bool {
        self.owned_at.contains_key(&(topic_id, partition))
    }

    /// Whether something of the member's target is still with others.
    pub(super) fn waits_for_others(&self, member: &ConsumerGroupMember) -> bool {
        let target = self.target(&member.member_id).into_iter().flatten();
        let mut missing = target
            .flat_map(|(topic, ps)| ps.iter().map(|p| (*topic, *p)))
            .filter(|(topic, p)| member.assigned.get(topic).is_none_or(|assigned| !assigned.contains_key(p)));
        missing.any(|(topic, partition)| self.is_owned(topic, partition))
    }

    /// The target of a member; that of its predecessor if it takes over an instance id.
    pub(super) fn target_of(&self, member: &ConsumerGroupMember) -> Option<&Assignment> {
        match &member.instance_id {
            None => self.target(&member.member_id),
            Some(instance_id) => self.static_members.get(instance_id).and_then(|id| self.target(id)),
        }
    }

    pub(super) fn regex_users(&self, regex: &str) -> usize {
        self.subscribed_regexes.get(regex).copied().unwrap_or(0)
    }

    fn update_subscription_type(&mut self) {
        self.subscription_type = subscription::subscription_type(
            &self.subscribed_regexes,
            &self.subscribed_topics,
            self.members.len(),
        );
    }

    pub(super) fn topics_of<'a>(
        &'a self,
        member: &'a ConsumerGroupMember,
        directory: &'a dyn TopicDirectory,
    ) -> MemberTopics<'a> {
        let matched = member.regex().and_then(|r| self.resolved_regexes.get(r)).map(|r| &r.topics);
        MemberTopics { named: &member.subscribed_topic_names, matched, directory }
    }

    /// Whether the metadata hash must be compared with the topics: a subscribed one changed, it never was (since the
    /// group was loaded), or the epoch that was written then was lost.
    pub(super) fn needs_metadata_check(&self) -> bool {
        self.metadata_checked.is_none_or(|checked| self.epoch < checked.epoch)
    }

    /// Whether a topic that the group subscribes to is not in `new` what it was in `old`; each with its own hashes.
    pub fn topics_changed(
        &self,
        old: (&dyn TopicDirectory, &mut TopicHashes),
        new: (&dyn TopicDirectory, &mut TopicHashes),
    ) -> bool {
        self.subscribed_topics
            .keys()
            .any(|name| old.1.topic_hash(name, old.0) != new.1.topic_hash(name, new.0))
    }

    /// Remembers a comparison; the caller does so once the records that came with it are replayed.
    pub fn set_metadata_checked(&mut self, check: MetadataCheck) {
        self.metadata_checked = Some(check);
    }

    /// A topic that the group is subscribed to was created, deleted or changed: the next heartbeat looks at it.
    pub fn request_metadata_check(&mut self) {
        self.metadata_checked = None;
    }

    pub(crate) fn apply_epoch(&mut self, epoch: i32, metadata_hash: i64) {
        self.epoch = epoch;
        self.metadata_hash = metadata_hash;
    }

    pub(crate) fn apply_target(&mut self, member_id: MemberId, target: Assignment) {
        self.target.insert(member_id, Arc::new(target));
    }

    pub(crate) fn apply_target_removed(&mut self, member_id: &str) {
        self.target.remove(member_id);
    }

    pub(crate) fn apply_target_epoch(&mut self, epoch: i32, timestamp_ms: i64) {
        self.target_epoch = epoch;
        self.target_timestamp_ms = timestamp_ms;
    }

    pub(crate) fn apply_target_epoch_removed(&mut self) -> Result<(), IllegalRecord> {
        if !self.target.is_empty() {
            return Err(IllegalRecord::TargetStillInUse { targets: self.target.len() });
        }
        self.apply_target_epoch(-1, 0);
        Ok(())
    }

    pub(crate) fn apply_regex(&mut self, regex: Arc<str>, resolved: ResolvedRegex) {
        self.apply_regex_removed(&regex);
        subscription::add_regex(&mut self.subscribed_topics, &resolved.topics);
        self.resolved_regexes.insert(regex, Arc::new(resolved));
    }

    pub(crate) fn apply_regex_removed(&mut self, regex: &str) {
        if let Some(old) = self.resolved_regexes.remove(regex) {
            subscription::remove_regex(&mut self.subscribed_topics, &old.topics);
        }
    }

    pub(crate) fn apply_partition_metadata(&mut self, exists: bool) {
        self.has_partition_metadata = exists;
    }

    /// Whether the group's last tombstone may remove it.
    pub(crate) fn check_removable(&self) -> Result<(), IllegalRecord> {
        if self.members.is_empty() && self.target.is_empty() && self.target_epoch == -1 {
            return Ok(());
        }
        Err(IllegalRecord::GroupStillInUse { members: self.members.len(), targets: self.target.len() })
    }

    pub(crate) fn apply_member(&mut self, member: ConsumerGroupMember) -> Result<(), IllegalRecord> {
        if let Some(old) = self.members.remove(&member.member_id) {
            self.forget(&old);
        }
        self.own(&member.assigned, member.member_epoch)?;
        self.own(&member.pending_revocation, member.member_epoch)?;
        subscription::add_names(&mut self.subscribed_topics, &member.subscribed_topic_names);
        if let Some(regex) = member.regex() {
            *self.subscribed_regexes.entry(regex.clone()).or_default() += 1;
        }
        if let Some(instance_id) = &member.instance_id {
            self.static_members.insert(instance_id.clone(), member.member_id.clone());
        }
        self.members.insert(member.member_id.clone(), Arc::new(member));
        self.update_subscription_type();
        Ok(())
    }

    /// The last tombstone of a member; those of its assignments must have come before.
    pub(crate) fn apply_member_removed(&mut self, member_id: &str) -> Result<(), IllegalRecord> {
        let Some(old) = self.members.get(member_id) else { return Ok(()) };
        if old.member_epoch != super::member::LEAVE_EPOCH || self.target.contains_key(member_id) {
            return Err(IllegalRecord::MemberStillAssigned { member_id: MemberId::from(member_id) });
        }
        if let Some(old) = self.members.remove(member_id) {
            self.forget(&old);
            self.update_subscription_type();
        }
        Ok(())
    }

    /// Undoes what a member counts for.
    fn forget(&mut self, old: &ConsumerGroupMember) {
        self.disown(&old.assigned, old.member_epoch);
        self.disown(&old.pending_revocation, old.member_epoch);
        subscription::remove_names(&mut self.subscribed_topics, &old.subscribed_topic_names);
        if let Some(regex) = old.regex() {
            subscription::decrease(&mut self.subscribed_regexes, regex);
        }
        if let Some(instance_id) = &old.instance_id
            && self.static_members.get(instance_id) == Some(&old.member_id)
        {
            self.static_members.remove(instance_id);
        }
    }

    fn own(&mut self, partitions: &EpochAssignment, epoch: i32) -> Result<(), IllegalRecord> {
        for (topic_id, partition) in pairs(partitions) {
            if let Some(owned_at) = self.owned_at.insert((topic_id, partition), epoch)
                && owned_at >= epoch
            {
                return Err(IllegalRecord::StillOwned { topic_id, partition, epoch, owned_at });
            }
        }
        Ok(())
    }

    /// A partition that another member has taken at a later epoch stays with it.
    fn disown(&mut self, partitions: &EpochAssignment, epoch: i32) {
        for key in pairs(partitions) {
            if self.owned_at.get(&key) == Some(&epoch) {
                self.owned_at.remove(&key);
            }
        }
    }
}

fn pairs(partitions: &EpochAssignment) -> impl Iterator<Item = (TopicId, i32)> {
    partitions.iter().flat_map(|(t, ps)| ps.keys().map(|p| (*t, *p)))
}
