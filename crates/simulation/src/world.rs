//! The world: events in simulated time, one after the other, and the checks after each.

use std::collections::{BTreeMap, BTreeSet};

use ottla_model::{BrokerId, TopicIdPartition};
use ottla_storage::Seeded;

use crate::ambush::Ambush;
use crate::client::{Consumer, Producer};
use crate::controller::Controller;
use crate::counts::Counts;
use crate::detour::Detour;
use crate::groups::{Groups, MEMBERS};
use crate::ledger::{Ledger, Violation};
use crate::message::{Address, Body, CLIENTS, CONTROLLERS, Message};
use crate::mover::Mover;
use crate::network::{Fate, Network};
use crate::node::Node;
use crate::plan::Plan;
use crate::quorum::Joint;
use crate::run::Outcome;

/// When topics are made.
const SETUP_MS: u64 = 700;
const TICK_MS: u64 = 20;
/// After the trouble everything must be well within so long.
pub(crate) const HEALING_MS: u64 = 20_000;

#[derive(Debug)]
pub(crate) enum Event {
    Deliver(Box<Message>),
    Tick {
        node: Address,
        boot: u64,
    },
    Flushed {
        node: Address,
        boot: u64,
        id: TopicIdPartition,
    },
    /// A pause of that broker's is over.
    Wake(Address),
    /// A broker's observer has news of the metadata.
    News {
        node: Address,
        boot: u64,
    },
    ControllerTick,
    ClientTick(Address),
    Setup,
    SetUpGroups,
    Fault(usize),
    Start {
        node: Address,
    },
    /// Whoever held a connection to that process is refused the next one.
    Gone {
        node: Address,
        boot: u64,
    },
    /// The power of a broker that nobody needs goes.
    CutOff {
        node: Address,
        down_ms: u64,
        seed: u64,
    },
    /// Another in-sync replica leads, and so many more times.
    Turn {
        topic: usize,
        partition: i32,
        left: u64,
        every_ms: u64,
    },
    /// How far a detour has come.
    Detour,
    /// A process ends of its disk.
    DiskEnds {
        node: Address,
        boot: u64,
    },
    Mend(Mend),
    Heal,
}

#[derive(Clone, Debug)]
pub(crate) enum Mend {
    Link(Address, Address),
    Loss,
    Delay,
    Repeat,
    Stragglers,
    Disk(Address),
}

/// How much a run tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tells {
    Nothing,
    /// Faults, and what the cluster makes of them.
    Story,
    /// Each message, too.
    Everything,
}

pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) now: u64,
    queue: BTreeMap<(u64, u64), Event>,
    next_event: u64,
    pub(crate) chance: Seeded,
    pub(crate) network: Network,
    pub(crate) nodes: BTreeMap<Address, Node>,
    pub(crate) controller: Controller,
    /// The quorum of controllers, in whose place the other one only shows what they have committed; `None` where that decides.
    pub(crate) joint: Option<Box<Joint>>,
    pub(crate) producers: BTreeMap<Address, Producer>,
    pub(crate) consumers: BTreeMap<Address, Consumer>,
    pub(crate) groups: Groups,
    /// Where reassigned partitions shall be.
    pub(crate) assigned: BTreeMap<TopicIdPartition, Vec<BrokerId>>,
    /// Those that may be moved elsewhere, as nobody was told whether they were.
    pub(crate) unsure: BTreeSet<TopicIdPartition>,
    pub(crate) mover: Mover,
    pub(crate) ledger: Ledger,
    pub(crate) counts: Counts,
    pub(crate) healing: bool,
    pub(crate) ambush: Option<Ambush>,
    pub(crate) detour: Option<Detour>,
    /// Of which partition of `__consumer_offsets` a write is to be lost.
    pub(crate) lost_write: Option<i32>,
    /// A broker that has lost unsynced data, and may not have told yet.
    pub(crate) suspect: Option<Address>,
    trace: u64,
    pub(crate) tells: Tells,
    /// So many metadata records.
    told: usize,
    story: Vec<String>,
    events: u64,
    /// Whether all is well, after the healing.
    looked_at: u64,
}

impl World {
    pub(crate) fn new(plan: Plan, tells: Tells) -> Self {
        let mut chance = Seeded::new(plan.seed);
        let fork = |chance: &mut Seeded| Seeded::new(chance.bits());
        let network = Network::new(fork(&mut chance));
        let controller = Controller::new(fork(&mut chance));
        let nodes = (1..=plan.brokers).map(|id| (id, Node::new(id, plan.settings.of_broker(id)))).collect();
        let mut world = Self {
            now: 0,
            queue: BTreeMap::new(),
            next_event: 0,
            chance,
            network,
            nodes,
            controller,
            joint: None,
            producers: BTreeMap::new(),
            consumers: BTreeMap::new(),
            groups: Groups::default(),
            assigned: BTreeMap::new(),
            unsure: BTreeSet::new(),
            mover: Mover::new(Seeded::new(plan.seed ^ 0x0000_ad31)),
            ledger: Ledger::default(),
            counts: Counts::default(),
            healing: false,
            ambush: None,
            detour: None,
            lost_write: None,
            suspect: None,
            looked_at: 0,
            trace: 0xcbf2_9ce4_8422_2325,
            tells,
            told: 0,
            story: Vec::new(),
            events: 0,
            plan,
        };
        for node in 1..=world.plan.brokers {
            world.later(u64::from(node.unsigned_abs()), Event::Start { node });
        }
        world.later(5, Event::ControllerTick);
        world.later(SETUP_MS, Event::Setup);
        for index in 0..world.plan.faults.len() {
            let at = world.plan.faults[index].at;
            world.later(at, Event::Fault(index));
        }
        let trouble_ms = world.plan.trouble_ms;
        world.later(trouble_ms, Event::Heal);
        world
    }

    pub(crate) fn later(&mut self, delay_ms: u64, event: Event) {
        self.next_event += 1;
        self.queue.insert((self.now + delay_ms, self.next_event), event);
    }

    /// Runs to the end.
    pub(crate) fn run(&mut self) -> Result<(), Violation> {
        while !self.go_on()? {}
        Ok(())
    }

    /// When something happens next.
    pub(crate) fn next_at(&self) -> Option<u64> {
        self.queue.keys().next().map(|(at, _)| *at)
    }

    /// Lets it happen. Whether it was the last thing.
    pub(crate) fn go_on(&mut self) -> Result<bool, Violation> {
        let Some(((at, _), event)) = self.queue.pop_first() else {
            return Err(Violation::new("the world goes on", "no event is left"));
        };
        self.now = at;
        self.events += 1;
        self.step(event)?;
        if self.healing && at >= self.looked_at {
            self.looked_at = at + 50;
            match self.is_well() {
                Ok(()) => return self.at_the_end().map(|()| true),
                Err(violation) if at > self.plan.trouble_ms + HEALING_MS => return Err(violation),
                Err(_) => {}
            }
        }
        Ok(false)
    }

    fn step(&mut self, event: Event) -> Result<(), Violation> {
        match event {
            Event::Deliver(message) => self.deliver(*message),
            Event::Tick { node, boot } => {
                self.at_node(node, boot, Event::Tick { node, boot }, |process, now| process.tick(now))
            }
            Event::Flushed { node, boot, id } => {
                self.at_node(node, boot, Event::Flushed { node, boot, id }, |process, now| {
                    process.end_flush(id, now)
                })
            }
            Event::News { node, boot } => {
                self.at_node(node, boot, Event::News { node, boot }, |process, now| process.look(now))
            }
            Event::Wake(node) => self.wake(node),
            Event::ControllerTick => {
                self.later(50, Event::ControllerTick);
                if self.joint.is_none() {
                    let mut out = Vec::new();
                    self.controller.tick(self.now, &mut out);
                    self.send(out);
                }
                self.look_at_all_in_sync()?;
                self.go_on_moving()
            }
            Event::ClientTick(address) => self.client_tick(address),
            Event::Setup => self.set_up(),
            Event::SetUpGroups => self.set_up_groups(),
            Event::Fault(index) => self.fault(index),
            Event::Start { node } => self.start(node),
            Event::Gone { node, boot } => {
                self.gone(node, boot);
                Ok(())
            }
            Event::CutOff { node, down_ms, seed } => {
                let suspect = self.suspect;
                self.power_cut(node, down_ms, seed);
                self.suspect = suspect.or(self.suspect);
                Ok(())
            }
            Event::Turn { topic, partition, left, every_ms } => self.turn(topic, partition, left, every_ms),
            Event::Detour => self.go_on_with_detour(),
            Event::DiskEnds { node, boot } => {
                self.disk_ends(node, boot);
                Ok(())
            }
            Event::Mend(mend) => {
                match mend {
                    Mend::Link(from, to) => {
                        self.network.mend(from, to);
                        if let Some(joint) = &self.joint {
                            joint.mend(from, to);
                        }
                    }
                    Mend::Loss => self.network.loss_percent = 0,
                    Mend::Delay => self.network.delay_ms = 3,
                    Mend::Repeat => self.network.repeat_percent = 0,
                    Mend::Stragglers => self.network.straggles = false,
                    Mend::Disk(id) => {
                        if let Some(node) = self.nodes.get_mut(&id) {
                            node.mend_disk();
                        }
                    }
                }
                Ok(())
            }
            Event::Heal => {
                self.tell(|| "everything is mended".to_owned());
                self.heal();
                Ok(())
            }
        }
    }

    fn deliver(&mut self, message: Message) -> Result<(), Violation> {
        self.note(&message);
        self.counts.add(message.body.name());
        if message.to == CONTROLLERS {
            if let Some(joint) = &self.joint {
                joint.receive(&message);
                return Ok(());
            }
            let mut out = Vec::new();
            self.controller.receive(&message, self.now, &mut out);
            self.send(out);
            return Ok(());
        }
        if message.to >= CLIENTS {
            return self.at_client(&message);
        }
        let (node, boot) = (message.to, self.nodes.get(&message.to).map_or(0, |node| node.boot));
        let again = message.clone();
        self.at_node(node, boot, Event::Deliver(Box::new(again)), move |process, now| {
            process.receive(&message, now)
        })
    }

    /// What has come to a node meanwhile happens now, in the order in which it came.
    fn wake(&mut self, id: Address) -> Result<(), Violation> {
        let Some(node) = self.nodes.get_mut(&id) else { return Ok(()) };
        if node.paused_until > self.now {
            return Ok(());
        }
        node.paused_until = 0;
        std::mem::take(&mut node.put_off).into_iter().try_for_each(|event| self.step(event))
    }

    /// Lets a process work, if it is there and awake, and looks at what it has done.
    fn at_node(
        &mut self,
        id: Address,
        boot: u64,
        again: Event,
        work: impl FnOnce(&mut crate::node::Process, ottla_model::Now),
    ) -> Result<(), Violation> {
        let Some(node) = self.nodes.get_mut(&id) else { return Ok(()) };
        let now = node.now(self.now);
        if node.boot != boot {
            return Ok(());
        }
        let Some(process) = &mut node.process else { return Ok(()) };
        if node.paused_until > 0 {
            node.put_off.push(again);
            return Ok(());
        }
        let is_tick = matches!(again, Event::Tick { .. });
        work(process, now);
        let shell = &mut process.shell;
        let (out, flushes) = (std::mem::take(&mut shell.out), std::mem::take(&mut shell.flushes));
        self.counts.merge(&std::mem::take(&mut shell.counts));
        let complaint = shell.complaints.pop();
        let (dir_failed, may_go) = (shell.dir_failed, process.may_go);
        for id_flushed in flushes {
            let delay = 1 + self.chance.below(12);
            self.later(delay, Event::Flushed { node: id, boot, id: id_flushed });
        }
        self.look_at_proposals(&out)?;
        self.send(out);
        if is_tick {
            self.later(TICK_MS, again);
        }
        if let Some((check, what)) = complaint {
            return Err(Violation::new(check, what));
        }
        if let Some(node) = self.nodes.get_mut(&id) {
            node.keeps_what_was_flushed()?;
            self.groups.look_at(node, self.now);
            let advanced = self.ledger.check(node)?;
            self.look_at_in_sync(&advanced)?;
        }
        self.tell_metadata();
        if dir_failed {
            // Whoever sees it tells whoever ends the process, and meanwhile it goes on.
            let delay = self.chance.below(40);
            self.later(delay, Event::DiskEnds { node: id, boot });
        } else if may_go {
            self.stop_in_order(id)?;
        }
        Ok(())
    }

    pub(crate) fn send(&mut self, out: Vec<Message>) {
        for message in out {
            if self.is_ambushed(&message) || self.is_held_up(&message) || self.is_lost_in_a_turn(&message) {
                continue;
            }
            match self.network.send(&message) {
                Fate::Cut => self.counts.add("message cut off"),
                Fate::Lost => self.counts.add("message lost"),
                Fate::Arrives(first, second) => {
                    if let Some(second) = second {
                        self.counts.add("message repeated");
                        self.later(second, Event::Deliver(Box::new(message.clone())));
                    }
                    self.later(first, Event::Deliver(Box::new(message)));
                }
            }
        }
    }

    fn client_tick(&mut self, address: Address) -> Result<(), Violation> {
        if address >= MEMBERS {
            self.member_tick(address);
            return Ok(());
        }
        let (mut out, mut again) = (Vec::new(), 10);
        if let Some(producer) = self.producers.get_mut(&address) {
            producer.tick(self.now, &self.controller.image, &mut out);
        }
        if let Some(consumer) = self.consumers.get_mut(&address) {
            consumer.tick(self.now, &self.controller.image, &mut out);
            again = 60;
        }
        self.send(out);
        self.later(again, Event::ClientTick(address));
        Ok(())
    }

    fn at_client(&mut self, message: &Message) -> Result<(), Violation> {
        match &message.body {
            Body::Produced { request, outcome } => match self.producers.get_mut(&message.to) {
                Some(producer) => {
                    let process = self.nodes.get(&message.from).and_then(|node| node.process.as_ref());
                    let by = process.and_then(|process| process.replicas.get(&producer.id));
                    producer.produced(*request, *outcome, self.now, by, &self.ledger, &mut self.counts)
                }
                None => Ok(()),
            },
            Body::Consumed { request, outcome, .. } => match self.consumers.get_mut(&message.to) {
                Some(consumer) => consumer.consumed(*request, outcome, &self.ledger, &mut self.counts),
                None => Ok(()),
            },
            _ => self.at_member(message),
        }
    }

    pub(crate) fn start(&mut self, id: Address) -> Result<(), Violation> {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(&id) else { return Ok(()) };
        if node.process.is_some() {
            return Ok(());
        }
        match node.start(now) {
            Ok(()) => {}
            // Somebody starts it again until the disk works.
            Err(_) if node.is_sick => {
                node.process = None;
                node.disk.kill();
                self.counts.add("start on a sick disk failed");
                self.later(150, Event::Start { node: id });
                return Ok(());
            }
            Err(error) => return Err(Violation::new("a broker starts", format!("{id}: {error}"))),
        }
        let boot = node.boot;
        if let Some(joint) = &mut self.joint {
            joint.follow(id, boot);
        }
        self.later(1, Event::Tick { node: id, boot });
        self.tell(|| format!("node {id} starts"));
        Ok(())
    }

    /// Adds a line to the story.
    pub(crate) fn tell(&mut self, line: impl FnOnce() -> String) {
        if self.tells != Tells::Nothing {
            self.story.push(format!("{:>6} ms  {}", self.now, line()));
        }
    }

    /// What has been committed since it was told last.
    fn tell_metadata(&mut self) {
        if self.tells == Tells::Nothing {
            return;
        }
        let news: Vec<String> =
            self.controller.records.iter().skip(self.told).filter_map(crate::telling::sentence).collect();
        self.told = self.controller.records.len();
        for line in news {
            self.tell(|| line);
        }
    }

    /// What distinguishes one run from another.
    fn note(&mut self, message: &Message) {
        let words = [
            self.now,
            u64::from(message.from.unsigned_abs()),
            u64::from(message.to.unsigned_abs()),
            message.body.name().len() as u64,
        ];
        for word in words {
            self.trace = (self.trace ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        }
        if self.tells == Tells::Everything
            && !matches!(message.body, Body::Pull { .. } | Body::Consume { .. } | Body::Consumed { .. })
        {
            let (from, to, body) = (message.from, message.to, format!("{:?}", message.body));
            let body: String = body.chars().take(40000).collect();
            self.tell(|| format!("{from} -> {to}: {body}"));
        }
    }

    /// What has become of it.
    pub(crate) fn outcome(mut self, result: Result<(), Violation>) -> Outcome {
        Outcome {
            seed: self.plan.seed,
            result,
            counts: std::mem::take(&mut self.counts),
            simulated_ms: self.now,
            events: self.events,
            fingerprint: self.fingerprint(),
            story: std::mem::take(&mut self.story),
        }
    }

    /// Of all that has happened, and of every disk.
    fn fingerprint(&self) -> u64 {
        self.nodes.values().fold(self.trace, |trace, node| {
            (trace ^ node.disk.fingerprint()).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }
}
