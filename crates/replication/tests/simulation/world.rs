//! Three brokers, a controller, a bad network, and the promises that must hold after every event.

use std::collections::BTreeMap;

use ottla_model::{BrokerId, LeaderEpoch, MonoMs, Offset};
use ottla_replication::{Durability, PartitionConfig};

use crate::controller::Controller;
use crate::message::{Body, Message};
use crate::node::{Node, Record, index};
use crate::rng::Rng;

#[derive(Debug)]
pub(crate) struct World {
    rng: Rng,
    now: MonoMs,
    power_cuts: bool,
    trouble: usize,
    min_isr: usize,
    /// Links that lose everything, as (one end, other end).
    cut: Vec<(BrokerId, BrokerId)>,
    nodes: Vec<Node>,
    controller: Controller,
    in_flight: Vec<Message>,
    next_number: u64,
    /// What any leader has ever shown below its HW: it may never change.
    committed: Vec<Record>,
    leaders: BTreeMap<LeaderEpoch, BrokerId>,
    /// The HW that each broker had last, with its leader epoch, while it was leader.
    high_watermarks: BTreeMap<BrokerId, (LeaderEpoch, Offset)>,
    pub(crate) trace: Vec<String>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let durability = if rng.percent(50) { Durability::Flushed } else { Durability::Appended };
        let min_isr = 1 + rng.below(2);
        let replica_lag_time_max_ms = if rng.percent(50) { 1_000 } else { 100 };
        let config = PartitionConfig { min_insync_replicas: min_isr, replica_lag_time_max_ms, durability };
        let ids = [BrokerId(1), BrokerId(2), BrokerId(3)];
        let trouble = 1 + rng.below(4);
        let mut world = Self {
            rng,
            now: MonoMs(1),
            // What is only appended survives a dead process, not a dead machine.
            power_cuts: durability == Durability::Flushed,
            trouble,
            min_isr,
            cut: Vec::new(),
            nodes: ids.iter().map(|id| Node::new(*id, config)).collect(),
            controller: Controller::new(ids.to_vec()),
            in_flight: Vec::new(),
            next_number: 0,
            committed: Vec::new(),
            leaders: BTreeMap::new(),
            high_watermarks: BTreeMap::new(),
            trace: Vec::new(),
        };
        world.broadcast();
        world
    }

    /// One event of the bad time: messages overtake each other, get lost, come twice; brokers die and come back.
    pub(crate) fn step(&mut self) {
        self.now = self.now.plus_ms(u64::try_from(self.rng.below(20)).unwrap());
        let at = self.rng.below(self.nodes.len());
        match self.rng.below(100) {
            0..65 => {
                let keep = self.rng.percent(10);
                self.deliver(keep);
            }
            65..67 => self.lose(),
            67..80 => self.produce(at),
            80..90 => self.tick(at),
            90..95 => self.flush(at),
            95 if self.rng.percent(25 * self.trouble) => self.crash(at),
            96 if self.rng.percent(25 * self.trouble) => self.cut_link(at),
            97 => self.heal_link(),
            98 => self.heartbeat(at),
            99 => self.restart(at),
            _ => {}
        }
        self.check();
    }

    /// One round of the good time.
    pub(crate) fn settle(&mut self) {
        self.now = self.now.plus_ms(50);
        self.cut.clear();
        for at in 0..self.nodes.len() {
            self.restart(at);
            self.heartbeat(at);
            self.tick(at);
            self.flush(at);
            self.check();
        }
        // Metadata comes for certain in the end.
        self.broadcast();
        // Followers fetch without end: a round takes what fits into it.
        for _ in 0..100 {
            if self.in_flight.is_empty() {
                return;
            }
            self.deliver_at(0, false);
            self.check();
        }
    }

    /// Everybody has everything, and knows it.
    pub(crate) fn assert_converged(&self) {
        let leader = self.nodes.iter().find(|node| node.machine.is_leader()).unwrap();
        assert_eq!(leader.machine.isr().len(), 3, "{:?}", leader.machine);
        let end = leader.log.end();
        for node in &self.nodes {
            assert_eq!(node.log.records, leader.log.records, "{}", node.id);
            assert_eq!(node.machine.high_watermark(), end, "{:?}", node.machine);
        }
        for (end, number) in self.nodes.iter().flat_map(|node| &node.acknowledged) {
            assert_eq!(leader.log.records[index(*end) - 1].number, *number, "an acknowledged record is gone");
        }
    }

    pub(crate) fn committed_count(&self) -> usize {
        self.committed.len()
    }

    pub(crate) fn epoch_count(&self) -> usize {
        self.leaders.len()
    }

    fn deliver(&mut self, keep: bool) {
        if !self.in_flight.is_empty() {
            let at = self.rng.below(self.in_flight.len());
            self.deliver_at(at, keep);
        }
    }

    fn deliver_at(&mut self, at: usize, keep: bool) {
        let message = if keep { self.in_flight[at].clone() } else { self.in_flight.remove(at) };
        if self.is_cut(message.from, message.to) {
            return;
        }
        if let Body::AlterPartition { broker_epoch, proposal } = message.body {
            let answer = self.controller.alter_partition(message.from, broker_epoch, &proposal);
            let proposed_at = proposal.partition_epoch;
            let body = Body::AlterPartitionAnswer { broker_epoch, proposed_at, answer };
            self.in_flight.push(Message { from: Controller::ID, to: message.from, body });
            self.broadcast();
            return;
        }
        let node = self.nodes.iter_mut().find(|node| node.id == message.to && node.up);
        if let Some(node) = node {
            node.receive(message, &self.controller, self.now, &mut self.in_flight);
        }
    }

    fn lose(&mut self) {
        if !self.in_flight.is_empty() {
            let at = self.rng.below(self.in_flight.len());
            // What the controller has committed comes again with the next change; nothing else does.
            let _ = self.in_flight.remove(at);
        }
    }

    fn produce(&mut self, at: usize) {
        self.next_number += 1;
        if self.nodes[at].up {
            self.nodes[at].produce(self.next_number, self.now, &mut self.in_flight);
        }
    }

    fn tick(&mut self, at: usize) {
        if self.nodes[at].up {
            self.nodes[at].tick(self.now, &mut self.in_flight);
        }
        // Brokers pull the metadata log: it comes late, but it comes.
        if self.rng.percent(20) {
            self.broadcast();
        }
    }

    fn flush(&mut self, at: usize) {
        if self.nodes[at].up {
            self.nodes[at].flush(self.now, &mut self.in_flight);
        }
    }

    fn crash(&mut self, at: usize) {
        let power = self.power_cuts && self.rng.percent(50);
        if self.nodes[at].up {
            self.trace.push(format!("{} crash {} power {power}", self.now.0, self.nodes[at].id));
            self.nodes[at].crash(power);
        }
    }

    /// A broker that the controller hears stays or comes back; one that it does not hear is fenced.
    fn heartbeat(&mut self, at: usize) {
        let id = self.nodes[at].id;
        if self.nodes[at].up && !self.is_cut(id, Controller::ID) {
            self.controller.unfence(id, self.nodes[at].broker_epoch);
        } else {
            self.controller.fence(id);
        }
        self.broadcast();
    }

    fn cut_link(&mut self, at: usize) {
        let ends = [BrokerId(1), BrokerId(2), BrokerId(3), Controller::ID, Controller::ID];
        let other = ends[self.rng.below(ends.len())];
        self.cut.push((self.nodes[at].id, other));
    }

    fn heal_link(&mut self) {
        if !self.cut.is_empty() {
            let at = self.rng.below(self.cut.len());
            self.cut.remove(at);
        }
    }

    fn is_cut(&self, one: BrokerId, other: BrokerId) -> bool {
        self.cut.iter().any(|link| *link == (one, other) || *link == (other, one))
    }

    fn restart(&mut self, at: usize) {
        if self.nodes[at].up || self.is_cut(self.nodes[at].id, Controller::ID) {
            return;
        }
        let broker_epoch = self.controller.register(self.nodes[at].id);
        let known = index(self.nodes[at].machine.high_watermark().min(self.nodes[at].log.end()));
        let checkpoint = Offset(i64::try_from(self.rng.below(known + 1)).unwrap());
        self.trace.push(format!("{} restart {}", self.now.0, self.nodes[at].id));
        self.high_watermarks.remove(&self.nodes[at].id);
        self.nodes[at].restart(broker_epoch, checkpoint);
        // It catches up on the metadata before it serves.
        let registration = self.controller.registration.clone();
        self.nodes[at].register(&registration, self.now, &mut self.in_flight);
        self.broadcast();
    }

    fn broadcast(&mut self) {
        for to in self.nodes.iter().map(|node| node.id) {
            let body = Body::Registration(self.controller.registration.clone());
            self.in_flight.push(Message { from: Controller::ID, to, body });
        }
        // Old news may be dropped: it is not news.
        if self.in_flight.len() > 100 {
            self.in_flight.drain(..50);
        }
    }

    fn check(&mut self) {
        for node in self.nodes.iter().filter(|node| node.up) {
            assert_eq!(node.machine.check(), Ok(()), "{:?}", node.machine);
            assert_eq!(node.machine.log().leo, node.log.end());
            let high_watermark = node.machine.high_watermark();
            let shown = &node.log.records[..index(high_watermark)];
            let both = shown.len().min(self.committed.len());
            assert_eq!(shown[..both], self.committed[..both], "{} shows what was not committed", node.id);
            if !node.machine.is_leader() {
                assert!(shown.len() <= self.committed.len(), "{} is ahead of every leader", node.id);
                self.high_watermarks.remove(&node.id);
                continue;
            }
            if shown.len() > self.committed.len() {
                self.committed = shown.to_vec();
                assert!(node.machine.isr().len() >= self.min_isr, "KIP-966: {:?}", node.machine);
            }
            let epoch = node.machine.leader_epoch();
            let leader = *self.leaders.entry(epoch).or_insert(node.id);
            assert_eq!(leader, node.id, "two leaders in epoch {epoch}");
            let last = self.high_watermarks.insert(node.id, (epoch, high_watermark));
            assert!(last.is_none_or(|(_, last)| last <= high_watermark), "the HW of {} went back", node.id);
        }
        self.check_newest_leader();
    }

    /// No committed record is lost: whoever leads in the newest epoch holds them all.
    fn check_newest_leader(&self) {
        let Some((newest, leader)) = self.leaders.last_key_value() else { return };
        let leads = |node: &&Node| node.id == *leader && node.up && node.machine.is_leader();
        if let Some(node) =
            self.nodes.iter().find(leads).filter(|node| node.machine.leader_epoch() == *newest)
        {
            let held = node.log.records.get(..self.committed.len());
            assert_eq!(held, Some(&self.committed[..]), "{leader} leads without all that is committed");
        }
    }
}
