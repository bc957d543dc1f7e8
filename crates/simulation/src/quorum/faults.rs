//! What a fault does to a world of controllers.

use std::time::Duration;

use ottla_controller::{Peer, Simulation, VoteWish};
use ottla_metadata::DirectoryId;
use ottla_model::BrokerId;
use tokio::time::{sleep, timeout};

use super::client;
use super::node::{Node, directory_id};
use super::plan::{Fault, Shape, Whom};
use super::world::{Event, Mend, News, Said, World};
use crate::message::Address;

/// How long an administrator waits.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// What is about to be proposed when the leader is first taken for dead waits since so long, and is proposed so long after the last time.
const ALARM_AFTER_MS: u64 = 40;
const STALL_LONGER_MS: u64 = 100;
/// Two are cut off from each other for so long before the third one's disk is gone, and after it is back.
const CUT_BEFORE_MS: u64 = 60;
const CUT_AFTER_MS: u64 = 600;

impl World {
    pub(super) fn fault(&mut self, index: usize) {
        if self.healing {
            return;
        }
        let fault = self.plan.faults[index].1.clone();
        {
            let mut shared = self.common.lock();
            shared.tell(|| format!("FAULT {fault:?}"));
            shared.counts.add(fault.name());
        }
        match fault {
            Fault::Kill { whom, down_ms } => {
                let Some(id) = self.whom(whom) else { return };
                self.end(id);
                self.later(down_ms, Event::Start(id));
                self.tell_of_death(id);
            }
            Fault::PowerCut { whom, down_ms, seed } => {
                let Some(id) = self.whom(whom) else { return };
                self.power_cut(id, seed, down_ms);
            }
            Fault::PowerCutOfAll { down_ms, seed } => self.power_cut_of_all(seed, down_ms),
            Fault::CutLater { whom, changes, down_ms, seed } => {
                let Some(id) = self.whom(whom) else { return };
                if let Some(node) = self.nodes.get_mut(&id).filter(|node| node.runs && node.is_controller) {
                    node.dying = Some((seed, down_ms));
                    node.disk.fail_after(changes);
                }
            }
            Fault::Restart { whom, down_ms } => {
                let Some(id) = self.whom(whom) else { return };
                self.stop(id, down_ms);
            }
            Fault::EmptyDisk { node, down_ms } if down_ms % 2 == 1 => self.empty_disk_of_cut(node, down_ms),
            Fault::EmptyDisk { node, down_ms } => self.empty_disk(node, down_ms),
            Fault::Cut { from, to, both, for_ms } => {
                self.cut(from, to, for_ms);
                if both {
                    self.cut(to, from, for_ms);
                }
            }
            Fault::Isolate { whom, for_ms } => {
                let Some(id) = self.whom(whom) else { return };
                let all = self.nodes.keys().copied().chain(1..=self.plan.followers);
                let others: Vec<Address> = all.filter(|other| *other != id).collect();
                for other in others {
                    self.cut(id, other, for_ms);
                    self.cut(other, id, for_ms);
                }
            }
            Fault::Pause { whom, for_ms } => {
                let Some(id) = self.whom(whom) else { return };
                let until = self.now + for_ms;
                self.common.lock().paused.insert(id, until);
            }
            Fault::FullDisk { whom, for_ms } => {
                let Some(id) = self.whom(whom) else { return };
                self.nodes.entry(id).and_modify(Node::fill);
                self.later(for_ms, Event::Mend(Mend::Room(id)));
            }
            Fault::FalseAlarms { times, every_ms } => self.alarms(times, every_ms),
            Fault::Loss { percent, for_ms } => {
                self.common.lock().loss_percent = percent;
                self.later(for_ms, Event::Mend(Mend::Loss));
            }
            Fault::Delay { up_to_ms, for_ms } => {
                self.common.lock().delay_ms = up_to_ms;
                self.later(for_ms, Event::Mend(Mend::Delay));
            }
            Fault::Repeat { percent, for_ms } => {
                self.common.lock().repeat_percent = percent;
                self.later(for_ms, Event::Mend(Mend::Repeat));
            }
            Fault::AddVoter { node } => self.add_voter(node),
            Fault::RemoveVoter { whom } => self.remove_voter(whom),
            Fault::RaiseKraftVersion => self.raise_kraft_version(),
            Fault::StruckRaise(strike) => self.struck_raise(strike),
        }
    }

    pub(super) fn whom(&self, whom: Whom) -> Option<Address> {
        match whom {
            Whom::Node(id) => self.nodes.contains_key(&id).then_some(id),
            Whom::Leader => self.common.lock().active().map(|(id, ..)| id),
        }
    }

    pub(super) fn end(&mut self, id: Address) {
        let common = self.common.clone();
        self.nodes.entry(id).and_modify(|node| node.end(&common));
    }

    pub(super) fn power_cut(&mut self, id: Address, seed: u64, down_ms: u64) {
        self.end(id);
        self.nodes.entry(id).and_modify(|node| node.disk.power_cut(seed));
        self.later(down_ms, Event::Start(id));
    }

    pub(super) fn power_cut_of_all(&mut self, seed: u64, down_ms: u64) {
        let ids: Vec<Address> = self.nodes.keys().copied().collect();
        for (i, id) in (0..).zip(ids) {
            self.power_cut(id, seed.wrapping_add(i), down_ms + i * 37 % 200);
        }
    }

    /// Whoever held a connection to it is refused the next one.
    pub(super) fn tell_of_death(&self, id: Address) {
        let mut shared = self.common.lock();
        let heard = |other: &Address| !shared.cuts.contains(&(id, *other));
        let others: Vec<Address> = shared.there.keys().copied().filter(heard).collect();
        for other in others {
            let after = Duration::from_millis(1 + shared.chance.below(6));
            let Some(peers) = shared.there.get(&other).map(|there| there.peers.clone()) else { continue };
            tokio::spawn(async move {
                sleep(after).await;
                peers.leader_died(BrokerId(id)).await;
            });
        }
    }

    /// An even number of them brings the leader back, if it is one of the two lowest: meanwhile it is about to propose something.
    fn alarms(&mut self, times: u64, every_ms: u64) {
        if times % 2 == 1 {
            return self.alarm(times, every_ms);
        }
        Simulation::stall_next(Duration::from_millis(ALARM_AFTER_MS + times * every_ms + STALL_LONGER_MS));
        self.later(ALARM_AFTER_MS, Event::Alarm { left: times, every_ms });
    }

    /// A connection to the leader breaks though it lives.
    pub(super) fn alarm(&mut self, left: u64, every_ms: u64) {
        if let Some(id) = self.whom(Whom::Leader).filter(|_| !self.healing) {
            self.tell_of_death(id);
        }
        if left > 1 {
            self.later(every_ms, Event::Alarm { left: left - 1, every_ms });
        }
    }

    fn stop(&mut self, id: Address, down_ms: u64) {
        let shared = self.common.lock();
        let Some(there) = shared.there.get(&id) else { return };
        let (boot, tell) = (there.boot, self.tell.clone());
        if let Some(controller) = there.controller.clone() {
            tokio::spawn(async move {
                controller.shutdown().await;
                // The world may have ended.
                let _ = tell.send(News { id, boot, said: Said::Stopped { down_ms } });
            });
        }
    }

    /// Of three, while the other two are cut off from each other: what the leader has committed since, it and that disk have alone.
    fn empty_disk_of_cut(&mut self, id: Address, down_ms: u64) {
        let (leader, controllers) = (self.whom(Whom::Leader), self.plan.controllers);
        let Some(leader) = leader.filter(|leader| controllers == 3 && *leader != id) else {
            return self.empty_disk(id, down_ms);
        };
        let for_ms = CUT_BEFORE_MS + down_ms + CUT_AFTER_MS;
        for other in self.plan.ids().filter(|other| *other != id) {
            self.cut(leader, other, for_ms);
            self.cut(other, leader, for_ms);
        }
        self.later(CUT_BEFORE_MS, Event::EmptyDisk { node: id, down_ms });
    }

    /// Only while everybody else remembers what it has promised: with two at a time nobody could tell what was lost. Nor of two voters,
    /// or where one is still to take the place of its former disk, or somebody removes voters: those that are left may be no majority.
    pub(super) fn empty_disk(&mut self, id: Address, down_ms: u64) {
        let removes = self.plan.faults.iter().any(|(_, fault)| matches!(fault, Fault::RemoveVoter { .. }));
        let is_replaced = match self.plan.shape {
            Shape::Static => !removes,
            Shape::Bootstrap(wish) => wish != VoteWish::Watch && !removes,
            Shape::Joined(wish) => wish != VoteWish::Watch && !removes && id != self.plan.first,
        };
        let controllers = self.plan.controllers;
        let all_well = {
            let mut shared = self.common.lock();
            let remember = shared.there.range(self.plan.ids()).filter(|(_, there)| there.remembers()).count();
            let all = usize::try_from(controllers).unwrap_or(0);
            let others_suffice = shared.there.range(self.plan.ids()).all(|(_, there)| {
                let voters = there.peers.voters();
                let votes = voters.iter().any(|voter| voter.id == BrokerId(id));
                voters.iter().all(|voter| self.is_present(voter)) && (!votes || voters.len() > 2)
            });
            let all_well = is_replaced && controllers > 2 && remember == all && others_suffice;
            shared.counts.add(if all_well { "quorum: disk emptied" } else { "quorum: disk spared" });
            all_well
        };
        if all_well {
            self.end(id);
            self.nodes.entry(id).and_modify(super::node::Node::empty_disk);
            self.later(down_ms, Event::Start(id));
        }
    }

    /// Whether the voter's disk is the one that is in its place now.
    fn is_present(&self, voter: &Peer) -> bool {
        let node = self.nodes.get(&voter.id.get());
        let present = node.map_or(DirectoryId::UNASSIGNED, |node| directory_id(node.directory));
        [present, DirectoryId::UNASSIGNED].contains(&voter.directory_id)
    }

    pub(super) fn cut(&mut self, from: Address, to: Address, for_ms: u64) {
        if from != to {
            self.common.lock().cuts.insert((from, to));
            self.later(for_ms, Event::Mend(Mend::Link(from, to)));
        }
    }

    fn add_voter(&self, id: Address) {
        let Some(voter) = self.nodes.get(&id).map(super::node::Node::peer) else { return };
        let Some((_, _, controller)) = self.common.lock().active() else { return };
        let common = self.common.clone();
        tokio::spawn(async move {
            let added = timeout(PATIENCE, controller.add_voter(&voter)).await;
            let mut shared = common.lock();
            shared.tell(|| format!("node {id} is added as a voter: {added:?}"));
            if matches!(added, Ok(Ok(()))) {
                shared.counts.add("quorum: voters changed");
            }
        });
    }

    fn remove_voter(&self, whom: Whom) {
        let Some(id) = self.whom(whom) else { return };
        let Some(directory) = self.nodes.get(&id).map(|node| directory_id(node.directory)) else { return };
        let Some((_, _, controller)) = self.common.lock().active() else { return };
        let common = self.common.clone();
        tokio::spawn(async move {
            let removed = timeout(PATIENCE, controller.remove_voter(BrokerId(id), directory)).await;
            let mut shared = common.lock();
            shared.tell(|| format!("node {id} is removed from the voters: {removed:?}"));
            if matches!(removed, Ok(Ok(()))) {
                shared.counts.add("quorum: voters changed");
            }
        });
    }

    /// Everything works again; what is left to do must be done soon.
    pub(super) fn heal(&mut self) {
        self.healing = true;
        {
            let mut shared = self.common.lock();
            shared.tell(|| "everything is mended".to_owned());
            shared.cuts.clear();
            shared.paused.clear();
            (shared.delay_ms, shared.loss_percent, shared.repeat_percent) = (3, 0, 0);
            shared.healing = true;
        }
        let ids: Vec<Address> = self.nodes.keys().copied().collect();
        for id in ids {
            self.nodes.entry(id).and_modify(Node::make_room);
            if let Some((seed, _)) = self.nodes.get_mut(&id).and_then(|node| node.dying.take()) {
                self.power_cut(id, seed, 1);
            }
            self.later(1, Event::Start(id));
        }
        tokio::spawn(client::probe(self.common.clone()));
    }
}
