//! The clients of groups in the world, and the checks on what coordinators say.

use std::collections::{BTreeMap, BTreeSet};

use ottla_controller::CreateTopics;
use ottla_group_coordinator::GroupId;
use ottla_group_coordinator::offsets::OffsetFetchRequest;
use ottla_model::LeaderEpoch;
use ottla_storage::Seeded;

use super::caller::Caller;
use super::checks::Checks;
use super::committer::Committer;
use super::member::{Kind, Member};
use super::past::Past;
use super::statics::instance;
use super::{MEMBERS, OFFSETS_TOPIC, work};
use crate::admin::Errand;
use crate::command::Ask;
use crate::ledger::Violation;
use crate::message::{Address, Body, Message};
use crate::node::{Node, Shard};
use crate::world::{Event, World};

/// In a world without groups empty.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    committers: BTreeMap<Address, Committer>,
    members: BTreeMap<Address, Member>,
    checks: Checks,
    /// Who has answered for a partition of `__consumer_offsets` in an epoch.
    coordinators: BTreeMap<(i32, LeaderEpoch), Address>,
}

impl Groups {
    /// Whom a node coordinates for, now that it has done something.
    pub(crate) fn look_at(&mut self, node: &Node, now: u64) {
        let coordinators = node.process.iter().flat_map(|process| process.coordinators.at_work());
        for (index, epoch, since) in coordinators {
            self.checks.works(index, epoch, since, now);
        }
    }
}

impl World {
    pub(crate) fn set_up_groups(&mut self) -> Result<(), Violation> {
        let Some(plan) = &self.plan.groups else { return Ok(()) };
        let topics = vec![self.new_topic(OFFSETS_TOPIC, &plan.partitions)];
        self.ask_for(Ask::Create(CreateTopics { topics, validate_only: false }), Errand::SetUpGroups)
    }

    /// Their topic is there.
    pub(crate) fn groups_are_set_up(&mut self) {
        let Some(plan) = self.plan.groups.clone() else { return };
        let mut chance = Seeded::new(plan.seed);
        let partitions = i32::try_from(plan.partitions.len()).unwrap_or(1);
        let mut addresses = MEMBERS..;
        for (number, address) in (0..plan.committers).zip(&mut addresses) {
            let index = i32::try_from(number).unwrap_or(0) % partitions;
            let group = GroupId::from(format!("committer-{number}"));
            let committer = Committer::new(address, group, index, Seeded::new(chance.bits()));
            self.groups.committers.insert(address, committer);
            self.later(1, Event::ClientTick(address));
        }
        for (kind, name, count) in
            [(Kind::Classic, "classic", plan.classic), (Kind::Consumer, "consumer", plan.consumer)]
        {
            let index = if kind == Kind::Classic { 0 } else { partitions - 1 };
            for (_, address) in (0..count).zip(&mut addresses) {
                let chance = Seeded::new(chance.bits());
                let past = Past::new(Seeded::new(plan.statics ^ u64::from(address.unsigned_abs())));
                let mut member = Member::new(Caller::new(address, index, chance), name.into(), kind, past);
                if plan.statics >> (address - MEMBERS) & 1 == 1 {
                    member.instance = Some(instance(address));
                }
                self.groups.members.insert(address, member);
                self.later(1, Event::ClientTick(address));
            }
        }
    }

    fn coordinator_of(&self, index: i32) -> Option<Address> {
        let partition = self.controller.image.topic(OFFSETS_TOPIC)?.partition(index)?;
        partition.has_leader().then_some(partition.leader.get())
    }

    pub(crate) fn member_tick(&mut self, address: Address) {
        let committer = self.groups.committers.get(&address).map(Committer::index);
        let index = committer.or_else(|| self.groups.members.get(&address).map(Member::index)).unwrap_or(0);
        let (leader, mut out) = (self.coordinator_of(index), Vec::new());
        let Groups { committers, members, checks, .. } = &mut self.groups;
        if let Some(committer) = committers.get_mut(&address) {
            committer.tick(self.now, leader, &mut out);
        }
        if let Some(member) = members.get_mut(&address) {
            member.tick(self.now, leader, checks, &mut out);
        }
        self.send(out);
        self.later(10, Event::ClientTick(address));
    }

    pub(crate) fn at_member(&mut self, message: &Message) -> Result<(), Violation> {
        let Body::GroupTold { request, index, leader_epoch, since, outcome } = &message.body else {
            return Ok(());
        };
        if outcome.is_ok() {
            let first = *self.groups.coordinators.entry((*index, *leader_epoch)).or_insert(message.from);
            if first != message.from {
                let what = format!("{first} and {} for partition {index} in {leader_epoch}", message.from);
                return Err(Violation::new("one coordinator in an epoch", what));
            }
        }
        let Groups { committers, members, checks, .. } = &mut self.groups;
        if let Some(committer) = committers.get_mut(&message.to) {
            return committer.told(*request, *leader_epoch, outcome, self.now, &mut self.counts);
        }
        let Some(member) = members.get_mut(&message.to) else { return Ok(()) };
        member.told(*request, (*leader_epoch, *since), outcome, self.now, checks, &mut self.counts)
    }

    pub(crate) fn stop_members(&mut self) {
        self.groups.committers.values_mut().for_each(|committer| committer.stopped = true);
        self.groups.members.values_mut().for_each(|member| member.stopped = true);
    }

    /// Whether groups are served and nobody waits; else who does.
    pub(crate) fn groups_are_well(&self) -> Result<(), String> {
        let Some(plan) = &self.plan.groups else { return Ok(()) };
        if let Some(waiting) = self.groups.committers.values().find(|committer| !committer.is_idle()) {
            return Err(format!("a committer waits: {waiting:?}"));
        }
        for index in (0..).take(plan.partitions.len()) {
            if self.serving(index).is_none() {
                return Err(format!("nobody coordinates partition {index} of {OFFSETS_TOPIC}"));
            }
        }
        self.members_are_well(Kind::Classic)?;
        self.members_are_well(Kind::Consumer)
    }

    /// Whether all members of a kind are in their group, and share all there is.
    fn members_are_well(&self, kind: Kind) -> Result<(), String> {
        let members = || self.groups.members.values().filter(move |member| member.kind == kind);
        if let Some(member) = members().find(|member| !member.is_settled()) {
            return Err(format!("a member is not in its group: {member:?}"));
        }
        let epochs: BTreeSet<i32> = members().map(Member::epoch).collect();
        let mut owned: Vec<i32> = members().flat_map(Member::owned).copied().collect();
        owned.sort_unstable();
        let is_whole = owned.iter().copied().eq(0..work::PARTITIONS) && epochs.len() == 1;
        match members().next() {
            Some(member) if !is_whole => {
                Err(format!("{}: {owned:?} are owned, in {epochs:?}: {member:?}", member.group))
            }
            _ => Ok(()),
        }
    }

    /// What the coordinators have in the end, and what is in their logs.
    pub(crate) fn look_at_groups(&mut self) -> Result<(), Violation> {
        let mut groups = std::mem::take(&mut self.groups);
        for committer in groups.committers.values_mut() {
            let Some((epoch, shard)) = self.serving(committer.index()) else { continue };
            committer.look(epoch, |request| shown(shard, request))?;
            self.counts.add("group looked at in the end");
        }
        let indexes: BTreeMap<GroupId, i32> =
            groups.members.values().map(|member| (member.group.clone(), member.index())).collect();
        for ((group, partition), track) in groups.checks.tracks() {
            let serving = indexes.get(group).and_then(|index| self.serving(*index));
            let Some((epoch, shard)) = serving else { continue };
            let (offset, known) = (shown(shard, &work::fetch(group.clone(), *partition)), track.known());
            track.show(offset, epoch, &known).map_err(|what| {
                let what = format!("{group} partition {partition} has {what}");
                Violation::new("an acknowledged offset is there in the end", what)
            })?;
        }
        Ok(())
    }

    fn serving(&self, index: i32) -> Option<(LeaderEpoch, &Shard)> {
        let process = self.nodes.get(&self.coordinator_of(index)?)?.process.as_ref()?;
        process.coordinators.serving(index)
    }
}

/// -1: none.
fn shown(shard: &Shard, request: &OffsetFetchRequest) -> i64 {
    let topics = shard.offset_fetch(request).unwrap_or_default();
    let partition = topics.first().and_then(|topic| topic.partitions.first());
    partition.map_or(-1, |partition| partition.offset.get())
}
