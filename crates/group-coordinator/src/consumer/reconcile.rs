//! One step of a member towards its target assignment: give up first, wait for others, then take.
//!
//! ```text
//!              must give up something          has said so
//!   Stable ----------------------------> Unrevoked -----------+
//!     ^  \                               (old epoch)          |
//!     |   \  something is still owned by others               v
//!     |    +-----------------------------------------> Unreleased (target epoch)
//!     +----------------- all taken -----------------------------+
//! ```

use std::collections::BTreeSet;

use ottla_model::TopicId;
use ottla_planted::planted;

use super::member::{ConsumerGroupMember, EpochAssignment, MemberState};
use super::subscription::MemberTopics;
use crate::assignor::Assignment;

/// What the step depends on besides the member itself.
pub(crate) struct Reconciliation<'a> {
    pub(crate) target_epoch: i32,
    pub(crate) target: &'a Assignment,
    /// The member's own subscription changed in this request: topics that it dropped are revoked at once.
    pub(crate) subscription_changed: bool,
    pub(crate) topics: MemberTopics<'a>,
    /// Whether any member, this one included, owns the partition.
    pub(crate) is_owned: &'a dyn Fn(TopicId, i32) -> bool,
    /// The partitions that the member says it owns; `None` if it did not say.
    pub(crate) owned: Option<&'a Assignment>,
}

/// The member's state was written by a version that we do not know: it must start over.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UnknownState;

/// The next assignment, split.
#[derive(Debug, Default)]
struct Split {
    keep: EpochAssignment,
    revoke: EpochAssignment,
    take: Assignment,
    /// Something of the target is still with others.
    unreleased: bool,
}

impl Reconciliation<'_> {
    pub(crate) fn step(&self, member: &ConsumerGroupMember) -> Result<ConsumerGroupMember, UnknownState> {
        match member.state {
            MemberState::Stable if member.member_epoch == self.target_epoch => Ok(self.unsubscribed(member)),
            MemberState::UnrevokedPartitions if self.still_owns(&member.pending_revocation) => {
                Ok(self.unsubscribed(member))
            }
            MemberState::Unknown => match self.owned {
                Some(owned) if owned.is_empty() => Ok(self.next(member, self.target_epoch)),
                _ => Err(UnknownState),
            },
            _ => Ok(self.next(member, member.member_epoch)),
        }
    }

    /// Unless the member says otherwise, it still owns everything.
    fn still_owns(&self, partitions: &EpochAssignment) -> bool {
        self.owned.is_none_or(|owned| {
            owned.iter().any(|(topic_id, owned)| {
                partitions.get(topic_id).is_some_and(|ps| owned.iter().any(|p| ps.contains_key(p)))
            })
        })
    }

    /// Moves what the member no longer subscribes to from assigned to pending revocation, in the same epoch.
    fn unsubscribed(&self, member: &ConsumerGroupMember) -> ConsumerGroupMember {
        let dropped: Vec<TopicId> =
            member.assigned.keys().filter(|t| !self.topics.contains(**t)).copied().collect();
        // Kafka leaves the member (and its epochs) alone only if nothing is dropped, with one exception: a member
        // without any subscription and nothing pending is always rewritten.
        let nothing_subscribed = self.topics.is_empty() && member.pending_revocation.is_empty();
        if !self.subscription_changed || (dropped.is_empty() && !nothing_subscribed) {
            return member.clone();
        }
        let mut updated = member.clone();
        let mut revoke = member.pending_revocation.clone();
        for topic_id in dropped {
            if let Some(partitions) = updated.assigned.remove(&topic_id) {
                revoke.entry(topic_id).or_default().extend(partitions);
            }
        }
        updated.advance_to(member.member_epoch);
        if !revoke.is_empty() && self.still_owns(&revoke) {
            updated.state = MemberState::UnrevokedPartitions;
            updated.pending_revocation = revoke;
        }
        updated
    }

    fn next(&self, member: &ConsumerGroupMember, epoch: i32) -> ConsumerGroupMember {
        let split = self.split(member);
        let mut updated = member.clone();
        updated.assigned = split.keep;
        if !split.revoke.is_empty() && self.still_owns(&split.revoke) {
            updated.state = MemberState::UnrevokedPartitions;
            updated.advance_to(epoch);
            updated.pending_revocation = split.revoke;
            return updated;
        }
        for (topic_id, partitions) in split.take {
            let taken = partitions.into_iter().map(|p| (p, self.target_epoch));
            updated.assigned.entry(topic_id).or_default().extend(taken);
        }
        updated.state =
            if split.unreleased { MemberState::UnreleasedPartitions } else { MemberState::Stable };
        updated.advance_to(self.target_epoch);
        updated.pending_revocation = EpochAssignment::new();
        updated
    }

    fn split(&self, member: &ConsumerGroupMember) -> Split {
        let mut split = Split::default();
        let topics: BTreeSet<TopicId> = self.target.keys().chain(member.assigned.keys()).copied().collect();
        let none = BTreeSet::new();
        for topic_id in topics {
            let subscribed = self.topics.contains(topic_id);
            let target = self.target.get(&topic_id).filter(|_| subscribed).unwrap_or(&none);
            for (partition, epoch) in member.assigned.get(&topic_id).into_iter().flatten() {
                let side = if target.contains(partition) { &mut split.keep } else { &mut split.revoke };
                side.entry(topic_id).or_default().insert(*partition, *epoch);
            }
            let kept = split.keep.get(&topic_id);
            for partition in target.iter().filter(|p| kept.is_none_or(|k| !k.contains_key(p))) {
                let revoked_by_itself =
                    member.pending_revocation.get(&topic_id).is_some_and(|ps| ps.contains_key(partition));
                let is_owned = !revoked_by_itself && (self.is_owned)(topic_id, *partition);
                if is_owned && !planted!("given_before_released") {
                    split.unreleased = true;
                } else {
                    split.take.entry(topic_id).or_default().insert(*partition);
                }
            }
        }
        split
    }
}
