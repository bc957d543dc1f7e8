//! The metadata log, its snapshots and the store beside them on a disk whose power fails, change by change, without openraft:
//! its calls in an order that a seed gives. What was answered is there, and what was truncated does not come back.
//!
//! `OTTLA_POWER_SEEDS` and `OTTLA_POWER_SEED` as in the power test of `ottla-storage`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::Arc;

use openraft::storage::{IOFlushed, RaftLogStorage, RaftStateMachine};
use openraft::type_config::TypeConfigExt;
use openraft::{RaftLogReader, RaftSnapshotBuilder};
use ottla_metadata::{MetadataImage, MetadataRecord, TopicRecord};
use ottla_model::{TimestampMs, TopicId};
use ottla_storage::{Disk, Seeded, SimDisk};
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::log_store::LogStore;
use super::meta_store::MetaStore;
use super::snapshot::SnapshotStore;
use super::state_machine::StateMachine;
use super::twin_store::{self, TwinStore};
use super::types::{Entry, LeaderId, Payload, Proposal, TypeConfig, Vote, log_id};
use crate::publish::Publisher;

const SEEDS: u64 = 800;
const SEEDS_EACH_CHANGE: u64 = 6;
const LIVES: usize = 5;
const CHANGES: u64 = 90;
const NEVER: u64 = u64::MAX - 1;
const DIR: &str = "/log";
const SEGMENT_BYTES: u64 = 700;
/// What must have been cut in a whole run.
const STEPS: &[&str] =
    &["raft append", "raft truncate", "raft snapshot", "raft purge", "raft vote", "meta store", "recovery"];

type Cuts = BTreeMap<&'static str, u64>;

#[derive(Debug)]
struct PowerOff;

struct Node {
    log: LogStore,
    machine: StateMachine,
    publisher: Arc<Publisher>,
}

struct World {
    disk: SimDisk,
    random: Seeded,
    runtime: Runtime,
    cuts: Cuts,
    step: &'static str,
    node: Option<Node>,
    /// All that was ever appended and not truncated, by index, from 0.
    entries: Vec<Entry>,
    /// So many were answered: committed.
    answered: usize,
    /// So many are in the machine.
    applied: usize,
    /// So many are in a snapshot that was answered, and so many are purged.
    in_snapshot: usize,
    purged: usize,
    vote: Option<Vote>,
    /// One that was perhaps saved.
    vote_tried: Option<Vote>,
    unique: u128,
}

impl World {
    fn run(seed: u64, lives: usize, first_cut: Option<u64>) -> Self {
        let mut world = Self {
            disk: SimDisk::new(),
            random: Seeded::new(seed),
            runtime: tokio::runtime::Builder::new_current_thread().build().unwrap(),
            cuts: Cuts::new(),
            step: "recovery",
            node: None,
            entries: Vec::new(),
            answered: 0,
            applied: 0,
            in_snapshot: 0,
            purged: 0,
            vote: None,
            vote_tried: None,
            unique: 0,
        };
        world.recover();
        for _ in 0..lives {
            let changes = world.random.below(CHANGES);
            world.disk.fail_after(first_cut.unwrap_or(changes));
            world.live();
            world.cut();
            world.recover();
        }
        world
    }

    /// Leads in a new term, until the power fails.
    fn live(&mut self) {
        let ops = 10 + self.random.below(15);
        if self.lead().is_ok() && (0..ops).all(|_| self.op().is_ok()) {
            self.step = "idle";
        }
    }

    fn op(&mut self) -> Result<(), PowerOff> {
        match self.random.below(12) {
            0..=5 => self.append(true),
            6 => self.append(false),
            7 => self.truncate(),
            8 | 9 => self.snapshot(),
            10 => self.purge(),
            _ => self.lead(),
        }
    }

    fn node(&mut self) -> &mut Node {
        self.node.as_mut().unwrap()
    }

    fn alive<T, E: Debug>(&self, outcome: Result<T, E>) -> Result<T, PowerOff> {
        outcome.map_err(|error| {
            assert!(self.disk.failed().is_some(), "{} fails: {error:?}", self.step);
            PowerOff
        })
    }

    fn term(&self) -> u64 {
        self.vote_tried.as_ref().map_or(0, |vote| vote.leader_id.term)
    }

    /// A vote, then an entry of the new term, which commits what is in front of it.
    fn lead(&mut self) -> Result<(), PowerOff> {
        self.step = "raft vote";
        let vote = Vote { leader_id: LeaderId { term: self.term() + 1, voted_for: 1 }, committed: true };
        self.vote_tried = Some(vote);
        let mut log = self.node().log.clone();
        let saved = self.runtime.block_on(log.save_vote(&vote));
        self.alive(saved)?;
        self.vote = Some(vote);
        self.append(true)
    }

    /// Up to three entries; one that is not to be answered waits for its successor, or for its truncation.
    fn append(&mut self, answer: bool) -> Result<(), PowerOff> {
        self.step = "raft append";
        let from = self.entries.len();
        for _ in 0..=self.random.below(3) {
            let entry = self.entry();
            self.entries.push(entry);
        }
        let (entries, mut log) = (self.entries[from..].to_vec(), self.node().log.clone());
        let appended = self.runtime.block_on(async {
            let (done, flushed) = TypeConfig::oneshot();
            log.append(entries, IOFlushed::signal(done)).await?;
            flushed.await.map_err(io::Error::other)?
        });
        self.alive(appended)?;
        if answer { self.commit() } else { Ok(()) }
    }

    fn entry(&mut self) -> Entry {
        let (term, index) = (self.term(), self.entries.len() as u64);
        let records = (0..self.random.below(4)).map(|_| {
            self.unique += 1;
            let topic_id = TopicId(Uuid::from_u128(self.unique));
            MetadataRecord::Topic(TopicRecord { name: format!("t{}", self.unique), topic_id })
        });
        let records: Vec<MetadataRecord> = records.collect();
        let payload = match records.len() {
            0 => Payload::Blank,
            _ => Payload::Normal(Proposal { term, timestamp: TimestampMs(1), records }),
        };
        Entry { log_id: log_id(term, index), payload }
    }

    /// All that is in the log is answered and applied.
    fn commit(&mut self) -> Result<(), PowerOff> {
        self.answered = self.entries.len();
        let last = self.entries[self.answered - 1].log_id;
        let mut log = self.node().log.clone();
        let saved = self.runtime.block_on(log.save_committed(Some(last)));
        self.apply();
        self.alive(saved)
    }

    fn apply(&mut self) {
        let due: Vec<_> =
            self.entries[self.applied..self.answered].iter().cloned().map(|e| Ok((e, None))).collect();
        let machine = &mut self.node.as_mut().unwrap().machine;
        self.runtime.block_on(machine.apply(futures_util::stream::iter(due))).unwrap();
        self.applied = self.answered;
    }

    /// A new leader's log is other than ours behind what is committed.
    fn truncate(&mut self) -> Result<(), PowerOff> {
        self.append(false)?;
        self.step = "raft truncate";
        let kept = self.answered + usize::try_from(self.random.below(2)).unwrap();
        let last = kept.checked_sub(1).and_then(|at| self.entries.get(at)).map(|entry| entry.log_id);
        let mut log = self.node().log.clone();
        let truncated = self.runtime.block_on(log.truncate_after(last));
        self.alive(truncated)?;
        self.entries.truncate(kept);
        Ok(())
    }

    fn snapshot(&mut self) -> Result<(), PowerOff> {
        self.step = "raft snapshot";
        let machine = &mut self.node.as_mut().unwrap().machine;
        let built = self.runtime.block_on(async {
            let mut builder = machine.get_snapshot_builder().await;
            builder.build_snapshot().await
        });
        self.alive(built)?;
        self.in_snapshot = self.applied;
        Ok(())
    }

    fn purge(&mut self) -> Result<(), PowerOff> {
        self.step = "raft purge";
        let span = (self.in_snapshot - self.purged) as u64;
        let purged = self.purged + usize::try_from(self.random.below(span + 1)).unwrap();
        if purged == self.purged {
            return Ok(());
        }
        self.purged = purged;
        let (upto, mut log) = (self.entries[purged - 1].log_id, self.node().log.clone());
        let done = self.runtime.block_on(log.purge(upto));
        self.alive(done)
    }

    fn cut(&mut self) {
        let failed = self.disk.failed();
        *self.cuts.entry(self.step).or_default() += 1;
        if failed.as_ref().is_some_and(|failed| failed.path.ends_with(twin_store::FILE_NAME)) {
            *self.cuts.entry("meta store").or_default() += 1;
        }
        self.node = None;
        let seed = self.random.bits();
        if std::env::var_os("OTTLA_POWER_SEED").is_some() {
            println!("power cut by {seed}, {}: {failed:?}", self.step);
        }
        self.disk.power_cut(seed);
    }

    fn recover(&mut self) {
        self.step = "recovery";
        for attempt in 0.. {
            let is_cut = attempt < 3 && self.random.eighths(2);
            let changes = if is_cut { self.random.below(12) } else { NEVER };
            self.disk.fail_after(changes);
            let opened = self.open();
            match self.alive(opened) {
                Ok(node) => {
                    self.node = Some(node);
                    break;
                }
                Err(PowerOff) => self.cut(),
            }
        }
        self.disk.fail_after(NEVER);
        self.check();
    }

    fn open(&self) -> io::Result<Node> {
        let (disk, dir): (Arc<dyn Disk>, _) = (Arc::new(self.disk.clone()), Path::new(DIR));
        disk.create_dir(dir)?;
        disk.sync_dir(Path::new("/"))?;
        let meta: Arc<dyn MetaStore> = Arc::new(TwinStore::open(disk.as_ref(), dir)?);
        let log = LogStore::open(Arc::clone(&disk), dir, Arc::clone(&meta), SEGMENT_BYTES)?;
        let publisher = Arc::new(Publisher::new(MetadataImage::new("cluster")));
        let snapshots = SnapshotStore::new(disk, dir, meta);
        let machine = StateMachine::open(
            "cluster".into(),
            Arc::clone(&publisher),
            snapshots,
            log.clone(),
            tokio::sync::watch::Sender::new(None),
        )?;
        Ok(Node { log, machine, publisher })
    }

    fn check(&mut self) {
        let mut log = self.node().log.clone();
        let vote = self.runtime.block_on(log.read_vote()).unwrap();
        assert!(vote == self.vote || vote == self.vote_tried, "{vote:?} after {:?}", self.vote);
        self.vote = vote;
        let state = self.runtime.block_on(log.get_log_state()).unwrap();
        let after = |log_id: Option<super::types::LogId>| {
            log_id.map_or(0, |log_id| usize::try_from(log_id.index).unwrap() + 1)
        };
        let (first, end) = (after(state.last_purged_log_id), after(state.last_log_id));
        assert!(end >= self.answered, "the log ends at {end}, {} were answered", self.answered);
        assert!(first <= self.purged, "{first} were never purged");
        let there = self.runtime.block_on(log.try_get_log_entries(0..)).unwrap();
        assert_eq!(there, &self.entries[first..end]);
        self.entries.truncate(end);
        let offsets = self.entries.iter().map(records);
        assert_eq!(log.next_offset(), i64::try_from(offsets.sum::<usize>()).unwrap(), "offsets");
        let (applied, _) =
            self.runtime.block_on(self.node.as_mut().unwrap().machine.applied_state()).unwrap();
        let applied = after(applied);
        assert!(applied >= self.in_snapshot, "{applied} are in the snapshot, {} were", self.in_snapshot);
        assert!(applied >= first, "{first} are purged, only {applied} in the snapshot");
        (self.purged, self.in_snapshot, self.applied) = (first, applied, applied);
        self.apply();
        let topics = self.entries[..self.answered].iter().flat_map(|entry| match &entry.payload {
            Payload::Normal(proposal) => proposal.records.clone(),
            _ => Vec::new(),
        });
        let names: BTreeSet<String> = topics
            .map(|record| match record {
                MetadataRecord::Topic(topic) => topic.name,
                other => panic!("{other:?}"),
            })
            .collect();
        let image = self.node().publisher.image();
        assert!(names.iter().all(|name| image.topic(name).is_some()) && image.topics().len() == names.len());
    }
}

/// Offsets that an entry takes.
fn records(entry: &Entry) -> usize {
    match &entry.payload {
        Payload::Normal(proposal) => proposal.records.len(),
        _ => 1,
    }
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().expect("a number"))
}

/// First seed and number, of those of which `usual` are the usual number.
pub(super) fn seeds(usual: u64) -> (u64, u64) {
    let first = setting("OTTLA_POWER_SEED");
    let wanted = setting("OTTLA_POWER_SEEDS").map(|wanted| (wanted * usual).div_ceil(SEEDS));
    (first.unwrap_or(0), wanted.unwrap_or(if first.is_some() { 1 } else { usual }))
}

/// The cuts of all seeds; a failure says how to see it again.
fn each_seed(test: &str, usual: u64, run: impl Fn(u64) -> Cuts) -> Cuts {
    let (first, count) = seeds(usual);
    let mut all = Cuts::new();
    for seed in first..first + count {
        let cuts = catch_unwind(AssertUnwindSafe(|| run(seed))).unwrap_or_else(|panic| {
            eprintln!(
                "again: OTTLA_POWER_SEED={seed} cargo test -p ottla-controller --lib power_tests::{test}"
            );
            resume_unwind(panic)
        });
        for (step, cut) in cuts {
            *all.entry(step).or_default() += cut;
        }
    }
    println!("power cuts: {all:?}");
    let missing: Vec<_> = STEPS.iter().filter(|step| !all.contains_key(*step)).collect();
    assert!(missing.is_empty() || count < usual, "never cut: {missing:?}");
    all
}

#[test]
fn nothing_answered_is_lost_whenever_the_power_fails() {
    each_seed("nothing_answered", SEEDS, |seed| World::run(seed, LIVES, None).cuts);
}

#[test]
fn the_power_may_fail_at_every_change() {
    each_seed("the_power", SEEDS_EACH_CHANGE, |seed| {
        let mut all = Cuts::new();
        for changes in 0.. {
            let cuts = World::run(seed, 1, Some(changes)).cuts;
            for (step, cut) in &cuts {
                *all.entry(step).or_default() += cut;
            }
            if cuts.contains_key("idle") {
                break;
            }
        }
        all
    });
}

#[test]
fn a_seed_gives_the_same_bytes_every_time() {
    for seed in 0..10 {
        let print = || World::run(seed, LIVES, None).disk.fingerprint();
        assert_eq!(print(), print(), "seed {seed}");
    }
}
