//! A leader's detour. L leads, M's log is short of its end, and F's next fetch, which says that F has all, is held up. M leads
//! while L hears of nothing, and F cuts its log to M's; then L leads again, and the fetch arrives. What it says is not so any more.

use ottla_model::{BrokerId, LeaderEpoch, Offset, TopicIdPartition};

use crate::ledger::Violation;
use crate::message::{Address, Body, CONTROLLERS, Message};
use crate::node::Replica;
use crate::world::{Event, Mend, World};

/// Between two looks at how far it has come.
const LOOK_MS: u64 = 2;
/// It comes to its end within so long, or to none.
const WITHIN_MS: u64 = 800;

#[derive(Debug)]
pub(crate) struct Detour {
    /// The topic's number in the plan.
    topic: usize,
    id: TopicIdPartition,
    replicas: Vec<BrokerId>,
    /// L, M and F.
    leader: Address,
    between: Address,
    follower: Address,
    epoch: LeaderEpoch,
    until: u64,
    step: Step,
    held: Option<Message>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// M is sent nothing; the fetch is not there yet.
    Waits,
    /// It is held, and says that F has all up to there.
    Held(Offset),
    /// M leads.
    Away(Offset),
    /// L shall lead again.
    Back,
}

impl World {
    pub(crate) fn begin_detour(&mut self, topic: usize, index: i32) {
        if self.detour.is_some() {
            return;
        }
        let Some(detour) = self.possible_detour(topic, index) else { return };
        self.counts.add("detour begun");
        self.cut(detour.leader, detour.between, WITHIN_MS);
        self.detour = Some(detour);
        self.later(LOOK_MS, Event::Detour);
    }

    fn possible_detour(&self, topic: usize, index: i32) -> Option<Detour> {
        let known = self.controller.image.topic(self.plan.topic_name(topic)?)?;
        let partition = known.partition(index).filter(|partition| !partition.is_reassigning())?;
        let mut others = partition.isr.iter().filter(|id| **id != partition.leader).map(|id| id.get());
        Some(Detour {
            topic,
            id: TopicIdPartition { topic_id: known.id, partition: index },
            replicas: partition.replicas.clone(),
            leader: partition.has_leader().then_some(partition.leader.get())?,
            between: others.next()?,
            follower: others.next()?,
            epoch: partition.leader_epoch,
            until: self.now + WITHIN_MS,
            step: Step::Waits,
            held: None,
        })
    }

    /// Whether the message is the fetch that is waited for: it is kept.
    pub(crate) fn is_held_up(&mut self, message: &Message) -> bool {
        let Some(detour) = self.detour.as_ref().filter(|detour| detour.step == Step::Waits) else {
            return false;
        };
        let Body::Fetch { plan, .. } = &message.body else { return false };
        if (message.from, message.to) != (detour.follower, detour.leader) {
            return false;
        }
        let position = plan.wanted.iter().find(|(id, _)| *id == detour.id).map(|(_, position)| position);
        let Some(position) = position.filter(|position| position.current_leader_epoch == Some(detour.epoch))
        else {
            return false;
        };
        let end = position.fetch_offset;
        if self.replica_of(detour.between, detour.id).is_none_or(|short| short.log.log_end_offset() >= end) {
            return false;
        }
        self.detour.iter_mut().for_each(|detour| {
            (detour.step, detour.held) = (Step::Held(end), Some(message.clone()));
        });
        true
    }

    pub(crate) fn go_on_with_detour(&mut self) -> Result<(), Violation> {
        let Some(mut detour) = self.detour.take() else { return Ok(()) };
        if self.healing || self.now >= detour.until {
            return Ok(());
        }
        let (leader, between, follower) = (detour.leader, detour.between, detour.follower);
        match detour.step {
            Step::Waits => {}
            Step::Held(end) => {
                let links =
                    [(leader, follower), (follower, leader), (between, leader), (CONTROLLERS, leader)];
                links.into_iter().for_each(|(from, to)| self.cut(from, to, WITHIN_MS));
                self.have_lead(detour.topic, detour.id.partition, BrokerId(between), &detour.replicas)?;
                detour.step = Step::Away(end);
            }
            Step::Away(end) => {
                let is_cut = |replica: &Replica| {
                    replica.machine.leader_epoch() > detour.epoch && replica.log.log_end_offset() < end
                };
                if self.replica_of(follower, detour.id).is_some_and(is_cut) {
                    let links = [(leader, between), (between, leader), (CONTROLLERS, leader)];
                    links.into_iter().for_each(|(from, to)| self.later(0, Event::Mend(Mend::Link(from, to))));
                    self.have_lead(detour.topic, detour.id.partition, BrokerId(leader), &detour.replicas)?;
                    detour.step = Step::Back;
                }
            }
            Step::Back => {
                let leads = |replica: &Replica| {
                    replica.machine.is_leader() && replica.machine.leader_epoch() > detour.epoch
                };
                if self.replica_of(leader, detour.id).is_some_and(leads) {
                    self.counts.add("fetch of before a detour");
                    if let Some(held) = detour.held {
                        self.later(1, Event::Deliver(Box::new(held)));
                    }
                    return Ok(());
                }
            }
        }
        self.detour = Some(detour);
        self.later(LOOK_MS, Event::Detour);
        Ok(())
    }

    fn replica_of(&self, node: Address, id: TopicIdPartition) -> Option<&Replica> {
        self.nodes.get(&node)?.process.as_ref()?.replicas.get(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counts::Counts;
    use crate::plan::{Fault, FaultKind, Plan};
    use crate::world::Tells;

    #[test]
    fn a_detour_comes_to_its_end() {
        let mut counts = Counts::default();
        for seed in 1..9 {
            let mut plan = Plan::of(seed);
            plan.topics.truncate(1);
            plan.topics[0].partitions = vec![vec![1, 2, 3]];
            plan.faults = vec![Fault { at: 1_100, kind: FaultKind::Detour { topic: 0, partition: 0 } }];
            let mut world = World::new(plan, Tells::Nothing);
            let result = world.run();
            assert_eq!(result, Ok(()), "{seed}");
            counts.merge(&world.counts);
        }
        assert_eq!(counts.of("detour begun"), 8);
        assert!(counts.of("fetch of before a detour") > 3, "{counts:?}");
    }
}
