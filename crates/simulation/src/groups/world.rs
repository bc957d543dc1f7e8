//! The clients of groups in the world, and the checks on what coordinators say.

use std::collections::BTreeMap;

use ottla_controller::{CreateTopics, NewTopic};
use ottla_group_coordinator::GroupId;
use ottla_model::LeaderEpoch;
use ottla_storage::Seeded;

use super::committer::Committer;
use super::{MEMBERS, OFFSETS_TOPIC};
use crate::command::{Ask, Told};
use crate::ledger::Violation;
use crate::message::{Address, Body, Message, broker};
use crate::world::{Event, World};

/// In a world without groups empty.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    pub(crate) committers: BTreeMap<Address, Committer>,
    /// Who has answered for a partition of `__consumer_offsets` in an epoch.
    coordinators: BTreeMap<(i32, LeaderEpoch), Address>,
}

impl World {
    pub(crate) fn set_up_groups(&mut self) -> Result<(), Violation> {
        let Some(plan) = self.plan.groups.clone() else { return Ok(()) };
        let count = if self.plan.flushed { 2 } else { 1 };
        let configs = [("min.insync.replicas", "2"), ("flush.messages", "1")][..count].iter();
        let topic = NewTopic {
            configs: configs.map(|(key, value)| ((*key).to_owned(), Some((*value).to_owned()))).collect(),
            assignments: (0..)
                .zip(&plan.partitions)
                .map(|(index, replicas)| (index, replicas.iter().map(|id| broker(*id)).collect()))
                .collect(),
            ..NewTopic::named(OFFSETS_TOPIC)
        };
        let told = self.command(&Ask::Create(CreateTopics { topics: vec![topic], validate_only: false }));
        if !matches!(&told, Told::Created(answers) if matches!(answers.first(), Some(Ok(_)))) {
            return Err(Violation::new("a topic can be created", format!("{OFFSETS_TOPIC}: {told:?}")));
        }
        let mut chance = Seeded::new(plan.seed);
        let partitions = i32::try_from(plan.partitions.len()).unwrap_or(1);
        for (number, address) in (0..).zip(MEMBERS..).take(usize::try_from(plan.committers).unwrap_or(0)) {
            let group = GroupId::from(format!("committer-{number}"));
            let committer = Committer::new(address, group, number % partitions, Seeded::new(chance.bits()));
            self.groups.committers.insert(address, committer);
            self.later(1, Event::ClientTick(address));
        }
        Ok(())
    }

    fn coordinator_of(&self, index: i32) -> Option<Address> {
        let partition = self.controller.image.topic(OFFSETS_TOPIC)?.partition(index)?;
        partition.has_leader().then_some(partition.leader.get())
    }

    pub(crate) fn member_tick(&mut self, address: Address) {
        let index = self.groups.committers.get(&address).map_or(0, |committer| committer.index);
        let (leader, mut out) = (self.coordinator_of(index), Vec::new());
        if let Some(committer) = self.groups.committers.get_mut(&address) {
            committer.tick(self.now, leader, &mut out);
        }
        self.send(out);
        self.later(10, Event::ClientTick(address));
    }

    pub(crate) fn at_member(&mut self, message: &Message) -> Result<(), Violation> {
        let Body::GroupTold { request, index, leader_epoch, outcome } = &message.body else { return Ok(()) };
        if outcome.is_ok() {
            let first = *self.groups.coordinators.entry((*index, *leader_epoch)).or_insert(message.from);
            if first != message.from {
                let what = format!("{first} and {} for partition {index} in {leader_epoch}", message.from);
                return Err(Violation::new("one coordinator in an epoch", what));
            }
        }
        match self.groups.committers.get_mut(&message.to) {
            Some(committer) => committer.told(*request, *leader_epoch, outcome, self.now, &mut self.counts),
            None => Ok(()),
        }
    }

    pub(crate) fn stop_members(&mut self) {
        self.groups.committers.values_mut().for_each(|committer| committer.stopped = true);
    }

    /// Whether groups are served and nobody waits; else who does.
    pub(crate) fn groups_are_well(&self) -> Result<(), String> {
        let Some(plan) = &self.plan.groups else { return Ok(()) };
        if let Some(waiting) = self.groups.committers.values().find(|committer| !committer.is_idle()) {
            return Err(format!("a committer waits: {waiting:?}"));
        }
        for index in (0..).take(plan.partitions.len()) {
            let leader = self.coordinator_of(index).and_then(|leader| self.nodes.get(&leader));
            let process = leader.and_then(|node| node.process.as_ref());
            if process.and_then(|process| process.coordinators.serving(index)).is_none() {
                return Err(format!("nobody coordinates partition {index} of {OFFSETS_TOPIC}"));
            }
        }
        Ok(())
    }

    /// What the coordinators have in the end, and what is in their logs.
    pub(crate) fn look_at_groups(&mut self) -> Result<(), Violation> {
        let mut groups = std::mem::take(&mut self.groups);
        for committer in groups.committers.values_mut() {
            let leader = self.coordinator_of(committer.index).and_then(|leader| self.nodes.get(&leader));
            let process = leader.and_then(|node| node.process.as_ref());
            let Some(coordinators) = process.map(|process| &process.coordinators) else { continue };
            let Some((epoch, shard)) = coordinators.serving(committer.index) else { continue };
            committer.look(epoch, |request| {
                let topics = shard.offset_fetch(request).unwrap_or_default();
                let partition = topics.first().and_then(|topic| topic.partitions.first());
                partition.map_or(-1, |partition| partition.offset.get())
            })?;
            self.counts.add("group looked at in the end");
        }
        Ok(())
    }
}
