//! The range assignor: per topic, each subscriber in member order gets a contiguous range.

use std::collections::{BTreeMap, BTreeSet};

use crate::MemberId;
use ottla_model::TopicId;

use super::{AssignError, Assignment, GroupAssignment, GroupSpec, MemberSpec, SubscriptionType};

/// How far the ranges of one topic have been handed out.
#[derive(Debug)]
struct TopicRanges {
    partition_count: i32,
    quota: i32,
    /// Subscribers that still get one partition more than `quota`.
    extra: i32,
    next: i32,
}

pub(super) fn assign(spec: &GroupSpec) -> Result<GroupAssignment, AssignError> {
    let members = subscribers(spec);
    let mut topics = topic_ranges(spec, &members)?;
    let mut out = GroupAssignment::new();
    for (member_id, subscribed) in members {
        let mut assignment = Assignment::new();
        for topic_id in subscribed {
            let Some(range) = topics.get_mut(topic_id).map(TopicRanges::take) else { continue };
            if !range.is_empty() {
                assignment.insert(*topic_id, range.collect());
            }
        }
        out.insert(member_id.clone(), assignment);
    }
    Ok(out)
}

/// Members in range order with their topics. In a homogeneous group the first member's are everyone's, also those of a
/// member whose regular expression is not resolved yet: its part waits for it.
fn subscribers(spec: &GroupSpec) -> Vec<(&MemberId, &BTreeSet<TopicId>)> {
    let members = in_range_order(spec);
    let shared = members.first().map(|(_, m)| &m.subscribed);
    let shared = shared.filter(|_| spec.subscription_type == SubscriptionType::Homogeneous);
    members.into_iter().map(|(id, m)| (id, shared.unwrap_or(&m.subscribed))).collect()
}

fn topic_ranges(
    spec: &GroupSpec,
    members: &[(&MemberId, &BTreeSet<TopicId>)],
) -> Result<BTreeMap<TopicId, TopicRanges>, AssignError> {
    let mut subscribers: BTreeMap<TopicId, i32> = BTreeMap::new();
    for topic_id in members.iter().flat_map(|(_, subscribed)| *subscribed) {
        *subscribers.entry(*topic_id).or_default() += 1;
    }
    subscribers
        .into_iter()
        .map(|(topic_id, count)| {
            let partition_count = spec.partition_count(topic_id)?;
            let ranges = TopicRanges {
                partition_count,
                quota: partition_count / count,
                extra: partition_count % count,
                next: 0,
            };
            Ok((topic_id, ranges))
        })
        .collect()
}

/// Static members by instance id, then the others by member id: a static member's restart under a new member id
/// does not move ranges.
fn in_range_order(spec: &GroupSpec) -> Vec<(&MemberId, &MemberSpec)> {
    let mut members: Vec<_> = spec.members.iter().collect();
    members.sort_by(|(a_id, a), (b_id, b)| match (&a.instance_id, &b.instance_id) {
        (Some(a), Some(b)) => a.cmp(b),
        (Some(_), None) => std::cmp::Ordering::Less,
        (None, Some(_)) => std::cmp::Ordering::Greater,
        (None, None) => a_id.cmp(b_id),
    });
    members
}

impl TopicRanges {
    fn take(&mut self) -> std::ops::Range<i32> {
        let mut quota = self.quota;
        if self.extra > 0 {
            self.extra -= 1;
            quota += 1;
        }
        let start = self.next;
        self.next = (start + quota).min(self.partition_count);
        start..self.next
    }
}
