//! The world: what is to happen when, and what the nodes tell of themselves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ottla_controller::{Controller, Upkeep, simulated};
use ottla_storage::Seeded;
use parking_lot::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep_until};

use super::client;
use super::common::{Common, Shared};
use super::node::Node;
use super::plan::Plan;
use super::raise::Strike;
use crate::ledger::Violation;
use crate::message::Address;
use crate::run::Lived;
use crate::world::Tells;

const LOOK_MS: u64 = 25;
/// After the trouble everything must be well within so long.
pub(super) const HEALING_MS: u64 = 30_000;
/// A broker that is silent for so long is fenced.
const SESSION: Duration = Duration::from_millis(1_500);
const BROKERS: Address = 3;
/// What they do beside the brokers of another world.
const UPKEEP: Upkeep =
    Upkeep { balance_leaders: Some(Duration::from_millis(500)), elect_uncleanly: Duration::from_millis(500) };
/// A process that ended for want of room is started again so soon.
const AFTER_FULL_MS: u64 = 100;
/// Somebody changes its file before.
const AFTER_DISPLACED_MS: u64 = 200;

#[derive(Debug)]
pub(super) enum Event {
    Start(Address),
    Fault(usize),
    Mend(Mend),
    /// Others take the leader for dead.
    Alarm {
        left: u64,
        every_ms: u64,
    },
    /// In the midst of a raise of `kraft.version`; so many more looks until it is.
    Strike {
        leader: Address,
        strike: Strike,
        looks: u64,
    },
    Blow {
        leader: Address,
        strike: Strike,
    },
    EmptyDisk {
        node: Address,
        down_ms: u64,
    },
    Heal,
    Look,
}

#[derive(Debug)]
pub(super) enum Mend {
    Link(Address, Address),
    Room(Address),
    Loss,
    Delay,
    Repeat,
}

/// What a node's process has to say.
pub(super) struct News {
    pub(super) id: Address,
    pub(super) boot: u64,
    pub(super) said: Said,
}

pub(super) enum Said {
    Cluster(String),
    Started(Controller),
    /// It did not start, or cannot go on.
    Failed(String),
    /// It has stopped in order, and comes back after so long.
    Stopped {
        down_ms: u64,
    },
}

pub(super) type TellWorld = UnboundedSender<News>;

pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) common: Common,
    pub(super) nodes: BTreeMap<Address, Node>,
    queue: BTreeMap<(u64, u64), Event>,
    next_event: u64,
    pub(super) now: u64,
    pub(super) began: Instant,
    pub(super) tell: TellWorld,
    pub(super) news: UnboundedReceiver<News>,
    pub(super) healing: bool,
    events: u64,
}

impl World {
    /// Is called in the runtime.
    pub(super) fn new(plan: Plan, tells: Tells) -> Self {
        let mut chance = Seeded::new(plan.seed);
        let common = Arc::new(Mutex::new(Shared::new(Seeded::new(chance.bits()), tells)));
        let nodes = (0..plan.controllers + plan.observers)
            .map(|n| (plan.first + n, Node::new(plan.first + n, n < plan.controllers)));
        let (tell, news) = unbounded_channel();
        let made_up = if plan.followers == 0 { BROKERS } else { 0 };
        for id in 1..=made_up {
            tokio::spawn(client::broker(common.clone(), id));
        }
        for number in 0..plan.clients {
            let chance = Seeded::new(chance.bits());
            tokio::spawn(client::client(common.clone(), number, plan.pause_ms, chance));
        }
        let mut world = Self {
            common,
            nodes: nodes.collect(),
            queue: BTreeMap::new(),
            next_event: 0,
            now: 0,
            began: Instant::now(),
            tell,
            news,
            healing: false,
            events: 0,
            plan,
        };
        for (id, at) in world.plan.starts.clone() {
            world.later(at, Event::Start(id));
        }
        for index in 0..world.plan.faults.len() {
            world.later(world.plan.faults[index].0, Event::Fault(index));
        }
        world.later(world.plan.trouble_ms, Event::Heal);
        world.later(0, Event::Look);
        world
    }

    pub(super) fn later(&mut self, delay_ms: u64, event: Event) {
        self.next_event += 1;
        self.queue.insert((self.now + delay_ms, self.next_event), event);
    }

    /// Runs to the end.
    pub(super) async fn run(&mut self) -> Result<(), Violation> {
        let limit = self.plan.trouble_ms + HEALING_MS;
        while let Some(at) = self.next_at() {
            let due = self.began + Duration::from_millis(at);
            tokio::select! {
                biased;
                Some(news) = self.news.recv() => self.hear(news)?,
                () = sleep_until(due) => {
                    if self.go_on()? {
                        return self.at_the_end();
                    }
                    if self.healing && at > limit {
                        return self.is_well();
                    }
                }
            }
            if let Some(violation) = self.common.lock().ledger.violation.take() {
                return Err(violation);
            }
        }
        Err(Violation::new("the world goes on", "no event is left"))
    }

    /// When something happens next.
    pub(super) fn next_at(&self) -> Option<u64> {
        self.queue.keys().next().map(|(at, _)| *at)
    }

    /// Lets it happen. Whether all is well after the healing.
    pub(super) fn go_on(&mut self) -> Result<bool, Violation> {
        let Some(((at, _), event)) = self.queue.pop_first() else { return Ok(false) };
        self.now = at;
        self.events += 1;
        self.step(event)
    }

    /// Whether all is well after the healing.
    fn step(&mut self, event: Event) -> Result<bool, Violation> {
        match event {
            Event::Start(id) => self.start(id),
            Event::Fault(index) => self.fault(index),
            Event::Mend(mend) => {
                let mut shared = self.common.lock();
                match mend {
                    Mend::Room(id) => drop(self.nodes.entry(id).and_modify(Node::make_room)),
                    Mend::Link(from, to) => drop(shared.cuts.remove(&(from, to))),
                    Mend::Loss => shared.loss_percent = 0,
                    Mend::Delay => shared.delay_ms = 3,
                    Mend::Repeat => shared.repeat_percent = 0,
                }
            }
            Event::Alarm { left, every_ms } => self.alarm(left, every_ms),
            Event::Strike { leader, strike, looks } => self.strike(leader, strike, looks),
            Event::Blow { leader, strike } => self.blow(leader, strike),
            Event::EmptyDisk { node, down_ms } if !self.healing => self.empty_disk(node, down_ms),
            Event::EmptyDisk { .. } => {}
            Event::Heal => self.heal(),
            Event::Look => {
                self.later(LOOK_MS, Event::Look);
                return Ok(self.healing && self.is_well().is_ok());
            }
        }
        Ok(false)
    }

    pub(super) fn start(&mut self, id: Address) {
        let Some(node) = self.nodes.get_mut(&id).filter(|node| !node.runs) else { return };
        node.start(&self.plan, &self.common, &self.tell);
        self.common.lock().tell(|| format!("node {id} starts"));
    }

    pub(super) fn hear(&mut self, news: News) -> Result<(), Violation> {
        let News { id, boot, said } = news;
        let Some(node) = self.nodes.get_mut(&id) else { return Ok(()) };
        if node.boot != boot || !node.runs {
            // It is not there any more.
            if let Said::Started(controller) = said {
                tokio::spawn(async move { controller.shutdown().await });
            }
            return Ok(());
        }
        match said {
            Said::Cluster(cluster_id) => node.cluster_id = Some(cluster_id),
            Said::Started(controller) => {
                for task in self.watch(id, boot, &controller) {
                    self.nodes.entry(id).and_modify(|node| node.tasks.push(task));
                }
                let mut shared = self.common.lock();
                shared.tell(|| format!("node {id} has started"));
                shared.there.entry(id).and_modify(|there| there.controller = Some(controller));
            }
            Said::Failed(why) => match node.dying.take() {
                Some((seed, down_ms)) => {
                    let mut shared = self.common.lock();
                    shared.tell(|| format!("node {id} ends: {why}"));
                    shared.counts.add("quorum: power went in the middle");
                    drop(shared);
                    self.power_cut(id, seed, down_ms);
                }
                None if node.was_full => {
                    let mut shared = self.common.lock();
                    shared.tell(|| format!("node {id} ends: {why}"));
                    shared.counts.add("quorum: ended for want of room");
                    drop(shared);
                    node.end(&self.common);
                    self.later(AFTER_FULL_MS, Event::Start(id));
                }
                None if node.is_displaced(&self.plan, &why) => {
                    let mut shared = self.common.lock();
                    shared
                        .tell(|| format!("node {id} ends, and is started with the others' addresses: {why}"));
                    shared.counts.add("quorum: emptied voter of the log");
                    drop(shared);
                    node.asks_servers = true;
                    node.end(&self.common);
                    self.later(AFTER_DISPLACED_MS, Event::Start(id));
                }
                None => {
                    return Err(Violation::new("a controller starts and goes on", format!("{id}: {why}")));
                }
            },
            Said::Stopped { down_ms } => {
                node.end(&self.common);
                self.common.lock().tell(|| format!("node {id} has stopped in order"));
                self.later(down_ms, Event::Start(id));
            }
        }
        Ok(())
    }

    /// What looks at a process and works for it while it is there.
    fn watch(&self, id: Address, boot: u64, controller: &Controller) -> Vec<tokio::task::AbortHandle> {
        let (mut subscription, common) = (controller.subscribe(), self.common.clone());
        let looking = tokio::spawn(async move {
            common.lock().ledger.shown(id, boot, &subscription.current().clone());
            let mut controller_id = None;
            while let Some(update) = subscription.next().await {
                let mut shared = common.lock();
                shared.ledger.shown(id, boot, &update.image);
                let leader = update.image.controller_id();
                if controller_id.replace(leader) != Some(leader) {
                    let epoch = update.image.provenance().epoch;
                    shared.tell(|| format!("node {id} takes {leader} for the leader, at epoch {epoch}"));
                }
            }
        });
        let (running, tell) = (controller.clone(), self.tell.clone());
        let failing = tokio::spawn(async move {
            let why = running.failed().await;
            // The world may have ended.
            let _ = tell.send(News { id, boot, said: Said::Failed(why) });
        });
        let brokers = tokio::spawn(controller.clone().watch_brokers(SESSION));
        let mut tasks = vec![looking.abort_handle(), failing.abort_handle(), brokers.abort_handle()];
        if self.plan.followers > 0 {
            tasks.push(tokio::spawn(controller.clone().keep_up(UPKEEP)).abort_handle());
        }
        tasks
    }

    /// What is left of it.
    pub(super) fn lived(&mut self) -> Lived {
        let mut shared = self.common.lock();
        // Their ways to each other lead through what is shared, and back: it would never be let go.
        let there = std::mem::take(&mut shared.there);
        let disks = self.nodes.values().fold(shared.trace, |trace, node| {
            (trace ^ node.disk.fingerprint()).wrapping_mul(0x0000_0100_0000_01b3)
        });
        let lived = Lived {
            counts: std::mem::take(&mut shared.counts),
            simulated_ms: self.now,
            events: self.events + shared.messages,
            fingerprint: disks,
            story: std::mem::take(&mut shared.story),
        };
        drop(shared);
        there.values().for_each(|there| simulated::close(&there.peers));
        lived
    }
}
