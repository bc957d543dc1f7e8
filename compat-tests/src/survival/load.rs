//! Those who work with the cluster, and what they know of it.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ottla_model::Offset;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::NODES;
use super::consumer::{Consumer, lock};
use crate::admin::{PATIENCE, create, of_three, try_client, try_partitions};
use crate::cluster::Cluster;
use crate::crash::classic_group::ClassicMember;
use crate::crash::consumer_group::ConsumerMember;
use crate::crash::life::RECORDS;
use crate::crash::producer::{Kind, Plan, Producer};
use crate::crash::session::Site;
use crate::crash::{Counts, History, Progress, Rng, ids, keyed, read_entries};
use crate::ledger::shown::Shown;
use crate::ledger::{records, replicas};

/// Partitions of [`RECORDS`], with two idempotent producers and a consumer each.
const PARTITIONS: i32 = 4;
const PRODUCERS_PER_PARTITION: u32 = 2;
/// A coordinator leads a partition of `__consumer_offsets`: several groups are on several nodes.
const CLASSIC_GROUPS: [&str; 2] = ["classic-1", "classic-2"];
const CONSUMER_GROUPS: [&str; 2] = ["consumer-1", "consumer-2"];
const OFFSETS: &str = "__consumer_offsets";
/// A client turns away from a broker that is silent for so long.
const ANSWER_WITHIN: Duration = Duration::from_millis(1_500);
const ACTORS_END_WITHIN: Duration = Duration::from_secs(60);
/// Answers of each partition and group that are progress.
const PROGRESS: usize = 10;
/// A new leader tells consumers what it knows to be committed, which is less at first.
const VISIBLE_WITHIN: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_millis(20);

/// Actors at work.
#[derive(Debug)]
pub struct Load {
    addresses: Vec<String>,
    runtime: Runtime,
    history: Arc<History>,
    shown: Arc<Mutex<Shown>>,
    stop: watch::Sender<bool>,
    actors: JoinSet<()>,
}

/// What was done, and what was wrong.
#[derive(Debug)]
pub struct Summary {
    pub counts: Counts,
    /// Records that consumers saw.
    pub shown: usize,
    /// Bytes that all replicas of a partition had in common, over all partitions.
    pub compared: usize,
    pub wrong: Vec<String>,
}

impl Load {
    /// Makes the topics, and sets everybody to work.
    pub(super) fn begin(cluster: &Cluster, rng: &mut Rng) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let (stop, _) = watch::channel(false);
        let mut load = Self {
            addresses: cluster.addresses(),
            runtime: runtime.expect("a runtime"),
            history: Arc::default(),
            shown: Arc::default(),
            stop,
            actors: JoinSet::new(),
        };
        // On the topic: that two must be in sync is nothing that a broker's file decides (KIP-966).
        let two_in_sync = [("min.insync.replicas", "2")];
        let topics = vec![of_three(RECORDS, PARTITIONS, &two_in_sync), of_three(keyed::TOPIC, 1, &[])];
        load.runtime.block_on(create(&load.addresses[0], topics));
        load.set_to_work(rng);
        load.await_progress(cluster, "all begin to work");
        load.await_health(cluster);
        load
    }

    fn set_to_work(&mut self, rng: &mut Rng) {
        let site = Site::new(self.addresses.clone(), ANSWER_WITHIN, self.stop.subscribe());
        let (history, runtime) = (&self.history, self.runtime.handle());
        for plan in plans() {
            let producer = Producer::new(plan, rng.fork(), Arc::clone(history));
            self.actors.spawn_on(producer.run(site.clone()), runtime);
        }
        for partition in 0..PARTITIONS {
            let (history, shown) = (Arc::clone(history), Arc::clone(&self.shown));
            let (at, end) = (Offset::ZERO, Offset::ZERO);
            let consumer = Consumer { partition, rng: rng.fork(), history, shown, at, end };
            self.actors.spawn_on(consumer.run(site.clone()), runtime);
        }
        for group in CLASSIC_GROUPS {
            let member = ClassicMember::new(group, rng.fork(), Arc::clone(history));
            self.actors.spawn_on(member.run(site.clone()), runtime);
        }
        for group in CONSUMER_GROUPS {
            let member = ConsumerMember::new(group, rng.fork(), Arc::clone(history));
            self.actors.spawn_on(member.run(site.clone()), runtime);
        }
        self.actors.spawn_on(ids::run(site, Arc::clone(history)), runtime);
    }

    pub(super) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// What was found wrong so far.
    pub fn wrong(&self) -> Vec<String> {
        self.history.wrong()
    }

    /// Waits until every partition and every group has had some answers more.
    pub fn await_progress(&self, cluster: &Cluster, what: &str) {
        let before = self.history.progress();
        let began = Instant::now();
        loop {
            let stuck = stuck(&before, &self.history.progress());
            if stuck.is_empty() {
                return;
            }
            let logs = || cluster.logs().join("\n");
            assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}: {stuck:?}\n{}", logs());
            std::thread::sleep(AGAIN);
        }
    }

    /// Waits until every node tells that every partition has a leader and three replicas in sync.
    pub fn await_health(&self, cluster: &Cluster) {
        let began = Instant::now();
        for (id, address) in (1..).zip(&self.addresses) {
            while let Some(sick) = self.block_on(sickness(address)) {
                let is_late = began.elapsed() > PATIENCE;
                assert!(
                    !is_late,
                    "not well within {PATIENCE:?}: node {id}: {sick}\n{}",
                    cluster.logs().join("\n")
                );
                std::thread::sleep(AGAIN);
            }
        }
    }

    /// Holds what can be read against what was acknowledged and shown so far.
    pub fn check(&self) {
        let acknowledged = self.history.records();
        let shown = lock(&self.shown).clone();
        let gapless: BTreeSet<u32> = plans().into_iter().map(|plan| plan.number).collect();
        let until = Instant::now() + VISIBLE_WITHIN;
        loop {
            let read = self.block_on(read_entries(&self.addresses, RECORDS, 0..PARTITIONS));
            let contradictions = records::check(&acknowledged, &read, &gapless);
            let gone = shown.check(&read);
            if (contradictions.is_empty() && gone.is_empty()) || Instant::now() > until {
                self.history.found(RECORDS, contradictions);
                self.history.found("consumer", gone);
                return;
            }
            std::thread::sleep(AGAIN);
        }
    }

    pub(super) fn end(mut self, cluster: &Cluster) -> Summary {
        self.stop.send_replace(true);
        let actors = &mut self.actors;
        let ended = self.runtime.block_on(async {
            tokio::time::timeout(ACTORS_END_WITHIN, async { while actors.join_next().await.is_some() {} })
                .await
        });
        assert!(ended.is_ok(), "not all actors end\n{}", cluster.logs().join("\n"));
        self.await_health(cluster);
        self.check();
        let compared = self.compare(cluster);
        let shown = lock(&self.shown).count();
        Summary { counts: self.history.counts(), shown, compared, wrong: self.history.wrong() }
    }

    /// All replicas of all partitions, once nobody writes any more.
    fn compare(&self, cluster: &Cluster) -> usize {
        let until = Instant::now() + PATIENCE;
        let of_records = (0..PARTITIONS).map(|partition| (RECORDS, partition));
        let partitions = of_records.chain((0..3).map(|partition| (OFFSETS, partition)));
        let mut compared = 0;
        for (topic, partition) in partitions {
            let copies = || {
                let copies = NODES.map(|id| (id, cluster.segments(id, topic, partition)));
                BTreeMap::from(copies)
            };
            let mut parted = replicas::check(&copies());
            while !parted.is_empty() && Instant::now() < until {
                self.block_on(sleep(AGAIN));
                parted = replicas::check(&copies());
            }
            self.history.found(&format!("replicas of {topic}-{partition}"), parted);
            compared += copies()[&1].len();
        }
        compared
    }
}

/// Partitions and groups that have not had enough answers more.
fn stuck(before: &Progress, now: &Progress) -> Vec<String> {
    let is_slow = |before: Option<&usize>, now: Option<&usize>| {
        now.copied().unwrap_or(0) < before.copied().unwrap_or(0) + PROGRESS
    };
    let partitions = (0..PARTITIONS).filter(|at| is_slow(before.0.get(at), now.0.get(at)));
    let groups = CLASSIC_GROUPS.into_iter().chain(CONSUMER_GROUPS);
    let groups = groups.filter(|group| is_slow(before.1.get(*group), now.1.get(*group)));
    partitions.map(|at| format!("{RECORDS}-{at}")).chain(groups.map(str::to_owned)).collect()
}

/// What is wrong with the cluster as a node tells, if anything is.
async fn sickness(address: &str) -> Option<String> {
    let Ok(client) = try_client(address, ANSWER_WITHIN).await else {
        return Some("no connection".to_owned());
    };
    for topic in [RECORDS, OFFSETS] {
        let partitions = match try_partitions(&client, topic).await {
            Ok(Some(partitions)) => partitions,
            Ok(None) => return Some(format!("no {topic}")),
            Err(error) => return Some(error.to_string()),
        };
        let is_well = |(leader, isr): &(i32, Vec<i32>)| *leader > 0 && isr.len() == NODES.len();
        if let Some((partition, seen)) = partitions.iter().find(|(_, seen)| !is_well(seen)) {
            return Some(format!("{topic}-{partition} has leader and in-sync replicas {seen:?}"));
        }
    }
    None
}

fn plans() -> Vec<Plan> {
    let numbers = 0..u32::try_from(PARTITIONS).unwrap_or(0) * PRODUCERS_PER_PARTITION;
    let plan = |number: u32| Plan {
        topic: RECORDS,
        partition: i32::try_from(number / PRODUCERS_PER_PARTITION).unwrap_or(0),
        number,
        kind: Kind::Idempotent,
        value_len: 60,
        pause: Duration::from_millis(30),
        is_retained: false,
    };
    numbers.map(plan).collect()
}
