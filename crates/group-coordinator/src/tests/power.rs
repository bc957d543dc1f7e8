//! A shard whose log lies on a disk whose power fails: the state that comes back was true at some time, and where every
//! write is flushed before it is answered, no generation, epoch or offset that was answered goes back.
//!
//! `OTTLA_POWER_SEED` as in the power test of `ottla-storage`; of `OTTLA_POWER_SEEDS` a tenth: each change renders all state.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use ottla_model::batch::batches;
use ottla_model::{LeaderEpoch, Now, TopicId, TopicPartition};
use ottla_storage::{AppendOrigin, LogConfig, LogDir, MetaProperties, PartitionLog, Seeded, SimDisk};
use uuid::Uuid;

use super::bench::*;
use super::groups::consumer_join;
use crate::classic::JoinRequest;
use crate::consumer::{FakeTopics, HeartbeatRequest};
use crate::offsets::{OffsetCommitRequest, OffsetFetchRequest};
use crate::shard::Group;
use crate::{GroupError, GroupId, GroupResponse, MemberId};

const SEEDS: u64 = 300;
const LIVES: usize = 3;
/// Changes of the disk in a life, about: cuts fall before.
const CHANGES: u64 = 120;
const NEVER: u64 = u64::MAX - 1;
const CONSUMERS: &str = "c";
const MEMBER: &str = "m";

#[derive(Debug)]
struct PowerOff;

/// The highest numbers that were answered, by what they are the numbers of.
type Answered = BTreeMap<String, i64>;

struct World {
    disk: SimDisk,
    random: Seeded,
    each_flushed: bool,
    bench: Bench,
    log: Option<PartitionLog>,
    dir: Option<LogDir>,
    /// So much of the bench's log is in the log on the disk.
    mirrored: usize,
    /// What the state was when the log ended there.
    states: BTreeMap<i64, String>,
    /// The log's end that was answered as durable.
    durable: i64,
    answered: Answered,
    /// Of the classic group.
    member: Option<(MemberId, i32)>,
    /// Of the consumer group's member.
    epoch: i32,
    topics: usize,
    next: i64,
    cuts: BTreeSet<&'static str>,
}

impl World {
    fn run(seed: u64, each_flushed: bool) -> BTreeSet<&'static str> {
        let mut world = Self {
            disk: SimDisk::new(),
            random: Seeded::new(seed),
            each_flushed,
            bench: Bench::new(),
            log: None,
            dir: None,
            mirrored: 0,
            states: BTreeMap::from([(0, state(&Bench::new()))]),
            durable: 0,
            answered: Answered::new(),
            member: None,
            epoch: 0,
            topics: 1,
            next: 0,
            cuts: BTreeSet::new(),
        };
        world.recover();
        for _ in 0..LIVES {
            let changes = world.random.below(CHANGES);
            world.disk.fail_after(changes);
            let step = (0..40).find_map(|_| world.op().err());
            world.cuts.insert(step.unwrap_or("idle"));
            world.cut();
            world.recover();
        }
        world.cuts
    }

    /// One operation of what chance gives; its name, if the power fails in it.
    fn op(&mut self) -> Result<(), &'static str> {
        let (step, done) = match self.random.below(10) {
            0 | 1 => ("rebalance", self.rebalance()),
            2..=4 => ("commit", self.commit()),
            5..=7 => ("heartbeat", self.beat()),
            8 => ("leave", self.leave()),
            _ => ("flush", self.flush()),
        };
        done.map_err(|PowerOff| step)
    }

    /// Appends what the shard has written; it is answered when this is done, where each write is flushed.
    fn mirror(&mut self) -> Result<(), PowerOff> {
        let now = self.bench.now();
        let written = batches(&self.bench.log[self.mirrored..]).map(|batch| batch.unwrap());
        let written: Vec<_> = written.map(|(header, batch)| (header, batch.to_vec())).collect();
        for (header, mut bytes) in written {
            self.mirrored += bytes.len();
            bytes[..8].fill(0);
            let log = self.log.as_mut().unwrap();
            let appended = log.append_as_leader(&mut bytes, LeaderEpoch(0), AppendOrigin::Coordinator, now);
            if appended.is_err() {
                assert!(self.disk.failed().is_some(), "{appended:?}");
                return Err(PowerOff);
            }
            assert_eq!(log.log_end_offset(), header.next_offset());
            if log.flush_due(now) {
                self.flush_at(now)?;
            }
        }
        let end = self.log.as_ref().unwrap().log_end_offset().get();
        self.states.insert(end, state(&self.bench));
        Ok(())
    }

    fn flush(&mut self) -> Result<(), PowerOff> {
        self.flush_at(self.bench.now())
    }

    fn flush_at(&mut self, now: Now) -> Result<(), PowerOff> {
        let log = self.log.as_mut().unwrap();
        log.flush_now(now).map_err(|_| PowerOff)?;
        self.durable = log.log_end_offset().get();
        Ok(())
    }

    fn answer(&mut self, of: &str, number: i64) {
        if self.each_flushed {
            self.answered.insert(of.to_owned(), number);
        }
    }

    /// A generation with one member, to its end.
    fn rebalance(&mut self) -> Result<(), PowerOff> {
        let request = match &self.member {
            Some((member, _)) => JoinRequest { requires_known_member_id: false, ..rejoin(member) },
            None => old_join(),
        };
        let token = self.bench.join(request);
        self.bench.pass(3_000);
        if !self.bench.answers.contains_key(&token) {
            // It waits for a member whose leaving was lost.
            self.bench.pass(10_000);
        }
        self.mirror()?;
        let joined = self.bench.joined(token);
        if joined.error == Some(GroupError::UnknownMemberId) {
            self.member = None;
            return Ok(());
        }
        let (member, generation) = (joined.member_id, joined.generation);
        self.bench.sync(&member, generation, &[(&member, "assigned")]);
        self.mirror()?;
        self.bench.answers.clear();
        self.answer("generation", i64::from(generation));
        self.member = Some((member, generation));
        Ok(())
    }

    fn commit(&mut self) -> Result<(), PowerOff> {
        self.next += 1;
        let topic = ["t", "u"][usize::try_from(self.random.below(2)).unwrap()];
        let (group, request) = if self.random.eighths(4) {
            let (member, generation) = self.member.clone().unwrap_or_else(|| (MemberId::from(""), -1));
            (GROUP, commit_of(&member, generation, topic, self.next))
        } else {
            (CONSUMERS, commit_of(MEMBER, self.epoch, topic, self.next))
        };
        let token = self.bench.commit(&OffsetCommitRequest { group: group.into(), ..request });
        self.mirror()?;
        if let Ok(errors) = self.bench.committed(token) {
            assert_eq!(errors, [None]);
            self.answer(&format!("{group} {topic}"), self.next);
        }
        Ok(())
    }

    /// A heartbeat of the consumer group's member, which wants something else now and then.
    fn beat(&mut self) -> Result<(), PowerOff> {
        self.topics = 1 + usize::try_from(self.random.below(2)).unwrap();
        let names = ["t", "u"][..self.topics].iter().map(|name| Arc::from(*name)).collect();
        let request = HeartbeatRequest {
            group_id: CONSUMERS.into(),
            member_epoch: self.epoch,
            subscribed_topic_names: Some(names),
            ..consumer_join(MEMBER)
        };
        self.bench.pass(1_000);
        let token = self
            .bench
            .run(|shard, now, token, out| shard.consumer_group_heartbeat(now, &request, token, out));
        self.mirror()?;
        match self.bench.answers.remove(&token) {
            Some(GroupResponse::ConsumerHeartbeat(Ok(response))) => {
                self.epoch = response.member_epoch;
                self.answer("member epoch", i64::from(self.epoch));
            }
            // It was lost with what was not flushed.
            Some(GroupResponse::ConsumerHeartbeat(Err(_))) => self.epoch = 0,
            other => panic!("{other:?}"),
        }
        Ok(())
    }

    /// The classic group is left by its member.
    fn leave(&mut self) -> Result<(), PowerOff> {
        if let Some((member, _)) = self.member.take() {
            self.bench.leave(&[(&member, None)]);
        }
        self.mirror()
    }

    fn cut(&mut self) {
        (self.log, self.dir) = (None, None);
        let seed = self.random.bits();
        self.disk.power_cut(seed);
    }

    fn recover(&mut self) {
        for attempt in 0.. {
            let is_cut = attempt < 3 && self.random.eighths(2);
            let changes = if is_cut { self.random.below(40) } else { NEVER };
            self.disk.fail_after(changes);
            if self.open().is_ok() {
                break;
            }
            assert!(self.disk.failed().is_some(), "the log cannot be opened");
            self.cut();
        }
        self.disk.fail_after(NEVER);
        self.check();
    }

    fn open(&mut self) -> Result<(), ottla_storage::StorageError> {
        let now = self.bench.now();
        let flush_messages = if self.each_flushed { 1 } else { i64::MAX };
        let config = Arc::new(LogConfig { flush_messages, segment_bytes: 4_000, ..LogConfig::default() });
        let identity =
            MetaProperties { cluster_id: "c".to_owned(), node_id: 1, directory_id: Some(Uuid::from_u128(1)) };
        let dir = LogDir::open(Arc::new(self.disk.clone()), PathBuf::from("/a"), &identity)?;
        let found = dir.open_logs(1, &|_, _| Arc::clone(&config), now)?;
        let log = match found.logs.into_iter().next() {
            Some(found) => found.log,
            None => {
                let name = TopicPartition::new("__consumer_offsets", 0);
                dir.create_partition(&name, TopicId(Uuid::from_u128(2)), config, now)?
            }
        };
        (self.log, self.dir) = (Some(log), Some(dir));
        Ok(())
    }

    /// What is in the log is a prefix of what was written, the shard that is loaded from it what it was there.
    fn check(&mut self) {
        let log = self.log.as_ref().unwrap();
        let (end, mut at, mut bytes) = (log.log_end_offset(), log.log_start_offset(), Vec::new());
        while at < end {
            let read = log.read_bytes(at, 1 << 20).unwrap();
            let whole = batches(&read).map_while(Result::ok);
            for (header, batch) in whole {
                at = header.next_offset();
                bytes.extend_from_slice(batch);
            }
        }
        assert!(end.get() >= self.durable, "{} was durable, the log ends at {end}", self.durable);
        assert!(self.bench.log.starts_with(&bytes), "what is left is no prefix");
        let elapsed = self.bench.now();
        self.bench = if bytes.is_empty() { Bench::new() } else { Bench::found(&bytes) };
        self.bench.pass(elapsed.mono.0.saturating_sub(self.bench.now().mono.0).min(500));
        let loaded = state(&self.bench);
        if let Some(then) = self.states.get(&end.get()) {
            assert_eq!(&loaded, then, "the state at {end}");
        }
        for (of, answered) in &self.answered {
            let found = number(&self.bench, of);
            assert!(found >= Some(*answered), "{of} was answered with {answered}, now it is {found:?}");
        }
        self.states.retain(|at, _| *at <= end.get());
        (self.mirrored, self.durable) = (bytes.len(), end.get());
        self.set_topics();
        self.mirror().unwrap();
    }

    fn set_topics(&mut self) {
        let mut topics = FakeTopics::default();
        topics.add("t", 1, 2);
        topics.add("u", 2, 1);
        self.bench.run(|shard, _, _, _| shard.set_topics(Arc::new(topics)));
    }
}

/// Hard state, as text: groups, members, generations, epochs, assignments, offsets.
fn state(bench: &Bench) -> String {
    let mut text = String::new();
    for (id, group) in bench.shard().groups.iter() {
        writeln!(text, "{id:?} {:?}", hard(group)).unwrap();
    }
    for group in [GROUP, CONSUMERS] {
        writeln!(text, "{group} {:?}", offsets(bench, group)).unwrap();
    }
    text
}

/// Without what a coordinator looks up anew.
fn hard(group: &Group) -> Group {
    let Group::Consumer(consumer) = group else { return group.clone() };
    let mut consumer = consumer.as_ref().clone();
    consumer.request_metadata_check();
    Group::Consumer(Arc::new(consumer))
}

fn offsets(bench: &Bench, group: &str) -> BTreeMap<String, i64> {
    let request = OffsetFetchRequest { group: group.into(), member_id: None, member_epoch: -1, topics: None };
    let topics = bench.shard().offset_fetch(&request).unwrap_or_default();
    let all = topics.iter().flat_map(|topic| topic.partitions.iter().map(move |at| (topic, at)));
    all.map(|(topic, at)| (topic.name.to_string(), at.offset.get())).collect()
}

fn number(bench: &Bench, of: &str) -> Option<i64> {
    let group = |id: &str| bench.shard().groups.get(&GroupId::from(id));
    match (of, of.split_once(' ')) {
        ("generation", _) => match group(GROUP)? {
            Group::Classic(classic) => Some(i64::from(classic.generation)),
            _ => None,
        },
        ("member epoch", _) => match group(CONSUMERS)? {
            Group::Consumer(consumer) => Some(i64::from(consumer.epoch())),
            _ => None,
        },
        (_, Some((group, topic))) => offsets(bench, group).get(topic).copied(),
        _ => None,
    }
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().expect("a number"))
}

fn each_seed(each_flushed: bool) {
    let first = setting("OTTLA_POWER_SEED");
    let wanted = setting("OTTLA_POWER_SEEDS").map(|wanted| wanted.div_ceil(10));
    let count = wanted.unwrap_or(if first.is_some() { 1 } else { SEEDS });
    let first = first.unwrap_or(0);
    let mut cuts = BTreeSet::new();
    for seed in first..first + count {
        let cut = catch_unwind(AssertUnwindSafe(|| World::run(seed, each_flushed)));
        cuts.extend(cut.unwrap_or_else(|panic| {
            eprintln!("again: OTTLA_POWER_SEED={seed} cargo test -p ottla-group-coordinator --lib power");
            resume_unwind(panic)
        }));
    }
    let wanted = ["commit", "flush", "heartbeat", "idle", "leave", "rebalance"];
    assert!(count < SEEDS || cuts.iter().eq(&wanted), "cut in {cuts:?}");
}

#[test]
fn what_is_left_of_the_groups_by_a_power_cut_was_so_at_some_time() {
    each_seed(false);
}

#[test]
fn groups_whose_writes_are_flushed_never_go_back_whenever_the_power_fails() {
    each_seed(true);
}
