//! What a fault does to a world of controllers.

use std::time::Duration;

use ottla_controller::VoteWish;
use ottla_model::BrokerId;
use tokio::time::{sleep, timeout};

use super::client;
use super::node::directory_id;
use super::plan::{Fault, Shape, Whom};
use super::world::{Event, Mend, News, Said, World};
use crate::message::Address;

/// How long an administrator waits.
const PATIENCE: Duration = Duration::from_secs(20);

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
            Fault::PowerCutOfAll { down_ms, seed } => {
                let ids: Vec<Address> = self.nodes.keys().copied().collect();
                for (i, id) in (0..).zip(ids) {
                    self.power_cut(id, seed.wrapping_add(i), down_ms + i * 37 % 200);
                }
            }
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
            Fault::EmptyDisk { node, down_ms } => self.empty_disk(node, down_ms),
            Fault::Cut { from, to, both, for_ms } => {
                self.cut(from, to, for_ms);
                if both {
                    self.cut(to, from, for_ms);
                }
            }
            Fault::Isolate { whom, for_ms } => {
                let Some(id) = self.whom(whom) else { return };
                let others: Vec<Address> = self.nodes.keys().copied().filter(|other| *other != id).collect();
                for other in others {
                    self.cut(id, other, for_ms);
                    self.cut(other, id, for_ms);
                }
            }
            Fault::FalseAlarms { times, every_ms } => self.alarm(times, every_ms),
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
        }
    }

    fn whom(&self, whom: Whom) -> Option<Address> {
        match whom {
            Whom::Node(id) => self.nodes.contains_key(&id).then_some(id),
            Whom::Leader => self.common.lock().active().map(|(id, ..)| id),
        }
    }

    fn end(&mut self, id: Address) {
        let common = self.common.clone();
        self.nodes.entry(id).and_modify(|node| node.end(&common));
    }

    pub(super) fn power_cut(&mut self, id: Address, seed: u64, down_ms: u64) {
        self.end(id);
        self.nodes.entry(id).and_modify(|node| node.disk.power_cut(seed));
        self.later(down_ms, Event::Start(id));
    }

    /// Whoever held a connection to it is refused the next one.
    fn tell_of_death(&self, id: Address) {
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

    /// Only while everybody else remembers what it has promised: with two at a time nobody could tell what was lost. Nor where
    /// somebody removes voters: without the one whose disk has gone those that are left may be no majority.
    fn empty_disk(&mut self, id: Address, down_ms: u64) {
        let removes = self.plan.faults.iter().any(|(_, fault)| matches!(fault, Fault::RemoveVoter { .. }));
        let is_replaced = match self.plan.shape {
            Shape::Static => true,
            Shape::Bootstrap(wish) => wish != VoteWish::Watch && !removes,
            Shape::Joined(wish) => wish != VoteWish::Watch && !removes && id != 1,
        };
        let controllers = self.plan.controllers;
        let all_well = {
            let mut shared = self.common.lock();
            let remember = shared.there.range(1..=controllers).filter(|(_, there)| there.remembers()).count();
            let all = usize::try_from(controllers).unwrap_or(0);
            let all_well = is_replaced && controllers > 2 && remember == all;
            shared.counts.add(if all_well { "quorum: disk emptied" } else { "quorum: disk spared" });
            all_well
        };
        if all_well {
            self.end(id);
            self.nodes.entry(id).and_modify(super::node::Node::empty_disk);
            self.later(down_ms, Event::Start(id));
        }
    }

    fn cut(&mut self, from: Address, to: Address, for_ms: u64) {
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
            (shared.delay_ms, shared.loss_percent, shared.repeat_percent) = (3, 0, 0);
            shared.healing = true;
        }
        let ids: Vec<Address> = self.nodes.keys().copied().collect();
        for id in ids {
            if let Some((seed, _)) = self.nodes.get_mut(&id).and_then(|node| node.dying.take()) {
                self.power_cut(id, seed, 1);
            }
            self.later(1, Event::Start(id));
        }
        tokio::spawn(client::probe(self.common.clone()));
    }
}
