//! The uniform assignor where all members subscribe to the same topics: everyone gets the same number of partitions,
//! give or take one, and keeps as many of its old ones as that allows.

use std::collections::BTreeSet;

use crate::MemberId;
use ottla_model::{TopicId, TopicIdPartition};

use super::{AssignError, Assignment, GroupAssignment, GroupSpec, length};

#[derive(Debug)]
struct Builder<'a> {
    spec: &'a GroupSpec,
    subscribed: &'a BTreeSet<TopicId>,
    unassigned: Vec<TopicIdPartition>,
    /// Members with room, and how much.
    unfilled: Vec<(MemberId, usize)>,
    target: GroupAssignment,
}

pub(super) fn assign(spec: &GroupSpec) -> Result<GroupAssignment, AssignError> {
    let Some(subscribed) = spec.members.values().next().map(|m| &m.subscribed) else {
        return Ok(GroupAssignment::new());
    };
    if subscribed.is_empty() {
        return Ok(GroupAssignment::new());
    }
    let mut builder = Builder {
        spec,
        subscribed,
        unassigned: Vec::new(),
        unfilled: Vec::new(),
        target: GroupAssignment::new(),
    };
    let total = builder.collect_unassigned()?;
    builder.keep_old_within_quota(total);
    builder.hand_out_unassigned()
}

impl Builder<'_> {
    /// Fills `unassigned` with what no member has; returns the number of all partitions.
    fn collect_unassigned(&mut self) -> Result<usize, AssignError> {
        let owned: BTreeSet<(TopicId, i32)> = self
            .spec
            .members
            .values()
            .flat_map(|m| m.assigned.iter().flat_map(|(t, ps)| ps.iter().map(|p| (*t, *p))))
            .collect();
        let mut total = 0;
        for topic_id in self.subscribed {
            let count = self.spec.partition_count(*topic_id)?;
            total += length(count);
            let free = (0..count).filter(|p| !owned.contains(&(*topic_id, *p)));
            self.unassigned.extend(free.map(|partition| TopicIdPartition { topic_id: *topic_id, partition }));
        }
        Ok(total)
    }

    /// Each member keeps its old partitions up to its quota; what is above goes to `unassigned`. The partitions that
    /// do not divide evenly go, one each, first to members that already have them.
    fn keep_old_within_quota(&mut self, total: usize) {
        let member_count = self.spec.members.len();
        let minimum = total / member_count;
        let mut extra = total % member_count;
        for (index, (member_id, member)) in self.spec.members.iter().enumerate() {
            let mut quota = minimum + usize::from(extra > 0);
            let mut takes_extra = extra > 0;
            let kept = self.keep_up_to(&member.assigned, &mut quota);
            if quota > 0 && takes_extra && member_count - index > extra {
                quota -= 1;
                takes_extra = false;
            }
            if quota > 0 {
                self.unfilled.push((member_id.clone(), quota));
            }
            extra -= usize::from(takes_extra);
            self.target.insert(member_id.clone(), kept);
        }
    }

    fn keep_up_to(&mut self, old: &Assignment, quota: &mut usize) -> Assignment {
        let mut kept = Assignment::new();
        for (topic_id, partitions) in old.iter().filter(|(t, _)| self.subscribed.contains(t)) {
            for partition in partitions {
                if *quota > 0 {
                    *quota -= 1;
                    kept.entry(*topic_id).or_default().insert(*partition);
                } else {
                    self.unassigned.push(TopicIdPartition { topic_id: *topic_id, partition: *partition });
                }
            }
        }
        kept
    }

    fn hand_out_unassigned(mut self) -> Result<GroupAssignment, AssignError> {
        let mut free = self.unassigned.into_iter();
        for (member_id, room) in self.unfilled {
            let assignment = self.target.entry(member_id).or_default();
            for tp in free.by_ref().take(room) {
                assignment.entry(tp.topic_id).or_default().insert(tp.partition);
            }
        }
        if free.next().is_some() { Err(AssignError::LeftOver) } else { Ok(self.target) }
    }
}
