//! The uniform assignor where members subscribe to different topics: keep old assignments, give what is free to the
//! least loaded subscribers, then move partitions from the most to the least loaded, topic by topic.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::MemberId;
use ottla_model::TopicId;

use super::balancer::MemberBalancer;
use super::{AssignError, Assignment, GroupAssignment, GroupSpec, length};

/// Rounds over all topics before settling for what there is: a bound, in practice two or three do.
const MAX_ROUNDS: usize = 16;

/// One subscribed topic.
#[derive(Debug)]
struct Topic {
    id: TopicId,
    /// Member indices, ascending.
    subscribers: Vec<usize>,
    /// Member index by partition.
    owners: Vec<Option<usize>>,
}

#[derive(Debug)]
struct Builder {
    members: Vec<MemberId>,
    /// In the order in which topics are worked on.
    topics: Vec<Topic>,
    /// Number of partitions by member index.
    loads: Vec<i64>,
}

pub(super) fn assign(spec: &GroupSpec) -> Result<GroupAssignment, AssignError> {
    let mut builder = Builder::new(spec)?;
    if builder.topics.is_empty() {
        return Ok(GroupAssignment::new());
    }
    let mut balancer = MemberBalancer::default();
    builder.keep_old(spec);
    builder.assign_free(&mut balancer);
    builder.balance(&mut balancer);
    Ok(builder.finish())
}

impl Builder {
    fn new(spec: &GroupSpec) -> Result<Self, AssignError> {
        let mut subscribers: BTreeMap<TopicId, Vec<usize>> = BTreeMap::new();
        for (index, member) in spec.members.values().enumerate() {
            for topic_id in &member.subscribed {
                subscribers.entry(*topic_id).or_default().push(index);
            }
        }
        let mut topics = Vec::with_capacity(subscribers.len());
        for (id, subscribers) in subscribers {
            let owners = vec![None; length(spec.partition_count(id)?)];
            topics.push(Topic { id, subscribers, owners });
        }
        topics.sort_by(work_order);
        let members: Vec<_> = spec.members.keys().cloned().collect();
        Ok(Self { loads: vec![0; members.len()], members, topics })
    }

    /// Members keep what they have of the topics that they still subscribe to.
    fn keep_old(&mut self, spec: &GroupSpec) {
        for topic in &mut self.topics {
            for (index, member) in spec.members.values().enumerate() {
                let Some(partitions) = member.assigned.get(&topic.id) else { continue };
                if !member.subscribed.contains(&topic.id) {
                    continue;
                }
                for partition in partitions {
                    topic.give(length(*partition), index, &mut self.loads);
                }
            }
        }
    }

    fn assign_free(&mut self, balancer: &mut MemberBalancer) {
        for topic in &mut self.topics {
            let free: Vec<usize> = (0..topic.owners.len()).filter(|p| topic.owner(*p).is_none()).collect();
            if free.is_empty() {
                continue;
            }
            balancer.start(&topic.subscribers, &self.loads);
            for partition in free {
                let Some(member) = balancer.next_least_loaded(&self.loads) else { break };
                topic.give(partition, member, &mut self.loads);
            }
        }
    }

    /// Balances topic after topic, round after round, until a whole round moves nothing.
    fn balance(&mut self, balancer: &mut MemberBalancer) {
        let mut last_moved: Option<usize> = None;
        for _ in 0..MAX_ROUNDS {
            for index in 0..self.topics.len() {
                if self.topics[index].subscribers.len() < 2 {
                    continue;
                }
                if last_moved == Some(index) {
                    return;
                }
                let moved = self.topics[index].balance(balancer, &mut self.loads);
                if moved || last_moved.is_none() {
                    last_moved = Some(index);
                }
            }
        }
    }

    fn finish(self) -> GroupAssignment {
        let mut assignments = vec![Assignment::new(); self.members.len()];
        for topic in self.topics {
            for (partition, owner) in (0..).zip(topic.owners) {
                if let Some(assignment) = owner.and_then(|m| assignments.get_mut(m)) {
                    assignment.entry(topic.id).or_default().insert(partition);
                }
            }
        }
        self.members.into_iter().zip(assignments).collect()
    }
}

/// Topics with the most partitions per subscriber first (they move load fastest), then those with the fewest
/// subscribers (they have the least choice), then by id.
fn work_order(a: &Topic, b: &Topic) -> Ordering {
    // a.partitions / a.subscribers against b.partitions / b.subscribers, without rounding.
    let (left, right) = (b.owners.len() * a.subscribers.len(), a.owners.len() * b.subscribers.len());
    left.cmp(&right).then(a.subscribers.len().cmp(&b.subscribers.len())).then(a.id.cmp(&b.id))
}

impl Topic {
    fn owner(&self, partition: usize) -> Option<usize> {
        self.owners.get(partition).copied().flatten()
    }

    fn give(&mut self, partition: usize, member: usize, loads: &mut [i64]) {
        let Some(owner) = self.owners.get_mut(partition) else { return };
        if let Some(load) = owner.replace(member).and_then(|old| loads.get_mut(old)) {
            *load -= 1;
        }
        if let Some(load) = loads.get_mut(member) {
            *load += 1;
        }
    }

    /// Moves this topic's partitions from the most to the least loaded subscribers; whether any moved.
    fn balance(&mut self, balancer: &mut MemberBalancer, loads: &mut [i64]) -> bool {
        if balancer.start(&self.subscribers, loads) <= 1 {
            return false;
        }
        let mut movable = self.partitions_by_owner();
        let mut moved = false;
        while !balancer.is_balanced() {
            let Some(from) = balancer.next_most_loaded(loads) else { break };
            // The highest partition goes first.
            let Some(partition) = movable.get_mut(&from).and_then(Vec::pop) else {
                balancer.exclude_most_loaded();
                continue;
            };
            let Some(to) = balancer.next_least_loaded(loads) else { break };
            if balancer.is_balanced() {
                break;
            }
            self.give(partition, to, loads);
            moved = true;
        }
        moved
    }

    fn partitions_by_owner(&self) -> BTreeMap<usize, Vec<usize>> {
        let mut by_owner: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (partition, owner) in self.owners.iter().enumerate() {
            if let Some(owner) = owner {
                by_owner.entry(*owner).or_default().push(partition);
            }
        }
        by_owner
    }
}
