//! What a fault does to the world.

use crate::ambush::Ambush;
use crate::ledger::Violation;
use crate::message::{Address, CONTROLLERS, broker};
use crate::plan::FaultKind;
use crate::world::{Event, Mend, World};

impl World {
    pub(crate) fn fault(&mut self, index: usize) -> Result<(), Violation> {
        let Some(kind) = self.of_the_leader(self.plan.faults[index].kind.clone()) else { return Ok(()) };
        if self.healing {
            return Ok(());
        }
        self.tell(|| format!("FAULT {kind:?}"));
        self.counts.add(kind.name());
        match kind {
            FaultKind::Reassign { topic, partition, replicas } => {
                self.reassign(topic, partition, &replicas)?
            }
            FaultKind::Delete { topic } => self.delete(topic)?,
            FaultKind::Elect => self.elect()?,
            FaultKind::Clock { node, ahead_ms } => {
                if let Some(node) = self.nodes.get_mut(&node) {
                    node.wall_ahead_ms = ahead_ms;
                }
            }
            FaultKind::EmptyDisk { node, down_ms } => {
                if self.is_healthy() {
                    self.counts.add("disk emptied");
                    self.end(node);
                    if let Some(node) = self.nodes.get_mut(&node) {
                        node.empty_disk();
                    }
                    self.suspect = Some(node);
                    self.later(down_ms, Event::Start { node });
                }
            }
            FaultKind::FullDisk { node, for_ms } => {
                let until = self.now + for_ms;
                if let Some(node) = self.nodes.get_mut(&node) {
                    node.fill(until);
                }
                self.later(for_ms, Event::Mend(Mend::Disk(node)));
            }
            FaultKind::FailingDisk { node, nth, down_ms } => {
                // The process ends when the disk is next used: nobody knows what else has failed by then.
                if self.plan.flushed && self.suspect.is_none() {
                    if let Some(node) = self.nodes.get_mut(&node) {
                        node.fail_once(nth);
                    }
                    self.later(down_ms + 300, Event::Start { node });
                }
            }
            FaultKind::LosingDisk { node, nth, seed } => {
                // As with a power cut, only what is flushed is promised.
                if self.plan.flushed
                    && self.suspect.is_none()
                    && let Some(node) = self.nodes.get_mut(&node)
                {
                    node.ends_with_cut = Some(seed);
                    node.lose_at_fsync(nth);
                }
            }
            FaultKind::Turns { topic, partition, times, every_ms } => {
                self.turn(topic, partition, times, every_ms)?;
            }
            FaultKind::CutJoiner { down_ms, late_ms, seed } => {
                self.ambush = Some(Ambush { down_ms, late_ms, seed });
            }
            FaultKind::Detour { topic, partition } => self.begin_detour(topic, partition),
            FaultKind::LostWrite { partition } => self.lost_write = Some(partition),
            FaultKind::Stragglers { for_ms } => {
                self.network.straggles = true;
                self.later(for_ms, Event::Mend(Mend::Stragglers));
            }
            FaultKind::Kill { node, down_ms } => self.kill(node, down_ms),
            FaultKind::KillAll { down_ms } => {
                let ids: Vec<Address> = self.nodes.keys().copied().collect();
                for (i, id) in (0..).zip(ids) {
                    self.kill(id, down_ms + i * 37 % 200);
                }
            }
            FaultKind::PowerCut { node, down_ms, seed } => {
                // Without a flush before each acknowledgement only so much is promised: one broker at a time may lose what it has
                // not synced.
                let is_suspect = self.suspect.is_some() && !self.is_healthy();
                if (self.plan.flushed && !is_suspect) || self.is_healthy() {
                    self.power_cut(node, down_ms, seed);
                } else {
                    self.kill(node, down_ms);
                }
            }
            FaultKind::Restart { node, down_ms } => {
                if let Some(process) = self.nodes.get_mut(&node).and_then(|node| node.process.as_mut()) {
                    process.leaving = true;
                }
                // Whoever is not let go is killed.
                self.later(down_ms + 2_000, Event::Start { node });
            }
            FaultKind::Pause { node, for_ms } => {
                let until = self.now + for_ms;
                if let Some(node) = self.nodes.get_mut(&node) {
                    node.paused_until = until.max(node.paused_until);
                }
                self.later(for_ms, Event::Wake(node));
                if let Some(joint) = &self.joint {
                    joint.pause(node, until);
                }
            }
            FaultKind::Cut { from, to, both, for_ms } => {
                self.cut(from, to, for_ms);
                if both {
                    self.cut(to, from, for_ms);
                }
            }
            FaultKind::Isolate { node, for_ms } => {
                let others: Vec<Address> = self.nodes.keys().copied().filter(|id| *id != node).collect();
                for other in others.into_iter().chain([CONTROLLERS]) {
                    self.cut(node, other, for_ms);
                    self.cut(other, node, for_ms);
                }
            }
            FaultKind::Loss { percent, for_ms } => {
                self.network.loss_percent = percent;
                self.later(for_ms, Event::Mend(Mend::Loss));
            }
            FaultKind::Delay { up_to_ms, for_ms } => {
                self.network.delay_ms = up_to_ms;
                self.later(for_ms, Event::Mend(Mend::Delay));
            }
            FaultKind::Repeat { percent, for_ms } => {
                self.network.repeat_percent = percent;
                self.later(for_ms, Event::Mend(Mend::Repeat));
            }
        }
        Ok(())
    }

    /// Of a fault that is for whoever leads the controllers, and so names all of them, the one for that broker.
    fn of_the_leader(&self, mut kind: FaultKind) -> Option<FaultKind> {
        if let FaultKind::Kill { node, .. }
        | FaultKind::PowerCut { node, .. }
        | FaultKind::Restart { node, .. }
        | FaultKind::Pause { node, .. }
        | FaultKind::Isolate { node, .. } = &mut kind
            && *node == CONTROLLERS
        {
            *node = self.joint.as_ref()?.leader()?;
        }
        Some(kind)
    }

    pub(crate) fn power_cut(&mut self, node: Address, down_ms: u64, seed: u64) {
        self.counts.add("power cut with data lost");
        self.end(node);
        if let Some(node) = self.nodes.get_mut(&node) {
            node.disk.power_cut(seed);
        }
        if let Some(joint) = &mut self.joint {
            joint.power_cut(node, seed);
        }
        if !self.plan.flushed {
            self.suspect = Some(node);
        }
        self.later(down_ms, Event::Start { node });
    }

    pub(crate) fn cut(&mut self, from: Address, to: Address, for_ms: u64) {
        match &self.joint {
            // Which of them a broker asks is seen when it does.
            Some(joint) if [from, to].contains(&CONTROLLERS) => joint.cut(from, to),
            Some(joint) => {
                joint.cut(from, to);
                self.network.cut(from, to);
            }
            None => self.network.cut(from, to),
        }
        self.later(for_ms, Event::Mend(Mend::Link(from, to)));
    }

    /// kill -9, unless that would be a second broker whose unsynced data may be needed.
    fn kill(&mut self, id: Address, down_ms: u64) {
        if self.suspect.is_some() && !self.is_healthy() {
            self.counts.add("kill spared");
            return;
        }
        self.end(id);
        self.later(down_ms, Event::Start { node: id });
    }

    /// The process is gone.
    pub(crate) fn end(&mut self, id: Address) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        node.note_flushed();
        let was_there = node.process.take().is_some();
        let boot = node.boot;
        node.disk.kill();
        if let Some(joint) = &mut self.joint {
            joint.leave(id);
        }
        if was_there {
            self.later(2, Event::Gone { node: id, boot });
        }
    }

    /// The controller notices, if it hears of the node, and no other process has taken the connection meanwhile.
    pub(crate) fn gone(&mut self, id: Address, boot: u64) {
        let is_gone = self.nodes.get(&id).is_some_and(|node| node.boot == boot && node.process.is_none());
        if is_gone && !self.network.is_cut(id, CONTROLLERS) && !self.network.is_cut(CONTROLLERS, id) {
            self.counts.add("process noticed gone");
            if let Some(joint) = &self.joint {
                return joint.gone(id);
            }
            let mut out = Vec::new();
            self.controller.process_gone(broker(id), self.now, &mut out);
            self.send(out);
        }
    }

    /// Its disk has failed.
    pub(crate) fn disk_ends(&mut self, id: Address, boot: u64) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        if node.boot != boot || node.process.is_none() {
            return;
        }
        let cut = node.ends_with_cut.take();
        self.tell(|| format!("node {id} ends: its disk has failed"));
        self.counts.add("process ended by its disk");
        match cut {
            Some(seed) => self.power_cut(id, 200, seed),
            None => {
                self.end(id);
                self.later(200, Event::Start { node: id });
            }
        }
    }

    /// A controlled shutdown has come to its end.
    pub(crate) fn stop_in_order(&mut self, id: Address) -> Result<(), Violation> {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(&id) else { return Ok(()) };
        let time = node.now(now);
        node.note_flushed();
        if let Some(process) = node.process.take() {
            let node_is_sick = node.is_sick;
            let stopped = process.stop(time);
            node.disk.kill();
            if let Some(joint) = &mut self.joint {
                joint.leave(id);
            }
            self.counts.add("clean shutdown");
            self.tell(|| format!("node {id} has stopped in order"));
            match stopped {
                Err(error) if !error.is_for_lack_of_room() && !node_is_sick => {
                    return Err(Violation::new("a broker stops in order", format!("{id}: {error}")));
                }
                _ => {}
            }
            if self.healing {
                self.later(20, Event::Start { node: id });
            }
        }
        Ok(())
    }

    /// Every broker is there and every partition has all of its replicas in sync: nobody is suspect any more.
    fn is_healthy(&mut self) -> bool {
        let image = &self.controller.image;
        let in_sync = image.topics().iter().all(|topic| {
            topic.partitions().all(|(_, partition)| partition.isr.len() == partition.replicas.len())
        });
        let all_here = self.nodes.iter().all(|(id, node)| {
            let epoch = node.process.as_ref().and_then(|process| process.broker_epoch());
            let known = image.brokers().get(crate::message::broker(*id));
            known.is_some_and(|known| !known.fenced && Some(known.epoch) == epoch)
        });
        if in_sync && all_here {
            self.suspect = None;
        }
        in_sync && all_here
    }

    /// Whoever is there ends what it has begun, and begins nothing more.
    pub(crate) fn stop_clients(&mut self) {
        for producer in self.producers.values_mut() {
            producer.stopped = true;
        }
        self.stop_members();
    }

    /// Everything works again; what is left to do must be done soon.
    pub(crate) fn heal(&mut self) {
        self.healing = true;
        self.network.heal();
        self.stop_clients();
        let ids: Vec<Address> = self.nodes.keys().copied().collect();
        for id in ids {
            if let Some(node) = self.nodes.get_mut(&id) {
                node.paused_until = node.paused_until.min(self.now);
                node.mend_disk();
                node.ends_with_cut = None;
            }
            self.later(0, Event::Wake(id));
            self.later(1, Event::Start { node: id });
        }
    }
}
