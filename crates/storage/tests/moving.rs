//! Moving a log to another log dir on the simulated disk: what is appended meanwhile, and a crash at every step.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_model::batch::BatchBuilder;
use ottla_model::{
    LeaderEpoch, MonoMs, Now, Offset, ProducerEpoch, ProducerId, TimestampMs, TopicId, TopicPartition,
};
use ottla_storage::{
    AppendOrigin, CopyStep, Disk, LogConfig, LogDir, MetaProperties, MoveError, PartitionLog, SimDisk,
    StorageError, copy_step,
};
use proptest::prelude::*;
use uuid::Uuid;

const TOPIC_ID: TopicId = TopicId(Uuid::from_u128(5));

fn now() -> Now {
    Now { wall: TimestampMs(1_700_000_000_000), mono: MonoMs(0) }
}

fn name() -> TopicPartition {
    TopicPartition::new("t", 0)
}

fn config() -> Arc<LogConfig> {
    Arc::new(LogConfig { segment_bytes: 2_000, index_interval_bytes: 100, ..LogConfig::default() })
}

fn open_dir(disk: &SimDisk, path: &str) -> Result<LogDir, StorageError> {
    let identity =
        MetaProperties { cluster_id: "c".to_owned(), node_id: 1, directory_id: Some(Uuid::from_u128(9)) };
    LogDir::open(Arc::new(disk.clone()), PathBuf::from(path), &identity)
}

/// Two log dirs, the log in the first of them.
struct Fixture {
    from: LogDir,
    to: LogDir,
    log: PartitionLog,
    unique: u128,
    appended: u8,
}

impl Fixture {
    fn new(disk: &SimDisk) -> Self {
        let (from, to) = (open_dir(disk, "/a").unwrap(), open_dir(disk, "/b").unwrap());
        disk.sync_dir(Path::new("/")).unwrap();
        let log = from.create_partition(&name(), TOPIC_ID, config(), now()).unwrap();
        Self { from, to, log, unique: 0, appended: 0 }
    }

    fn append(&mut self, count: usize) -> Result<(), String> {
        let mut builder = BatchBuilder::new(Offset(0));
        builder = builder.producer(ProducerId(3), ProducerEpoch(0), i32::from(self.appended));
        self.appended += u8::try_from(count).unwrap();
        for _ in 0..count {
            builder.push(now().wall, Some(b"k"), Some(&[self.appended; 120]), &[]);
        }
        let mut batch = builder.build().unwrap();
        // As a leader appends: never in an epoch before the one that it was assigned.
        let assigned = self.log.latest_epoch().unwrap_or(LeaderEpoch(0));
        let epoch = LeaderEpoch(i32::from(self.appended / 20)).max(assigned);
        let appended = self.log.append_as_leader(&mut batch, epoch, AppendOrigin::Client, now());
        appended.map(|_| ()).map_err(|error| error.to_string())
    }

    fn uuid(&mut self) -> Uuid {
        self.unique += 1;
        Uuid::from_u128(self.unique)
    }

    fn begin(&mut self) -> Result<PartitionLog, MoveError> {
        let unique = self.uuid();
        self.to.create_future(&self.log, TOPIC_ID, unique, now())
    }

    fn step(&self, future: &mut PartitionLog) -> Result<CopyStep, MoveError> {
        copy_step(future, |from| self.log.read_to_copy(from, 500), now())
    }

    /// Copies the rest and puts the copy in the log's place.
    fn finish(&mut self, mut future: PartitionLog) -> Result<(), MoveError> {
        while self.step(&mut future)? != CopyStep::CaughtUp {}
        let mut unique = self.unique + 100;
        let unique = || {
            unique += 1;
            Uuid::from_u128(unique)
        };
        let moved = self.to.replace_by_future(&self.from, &mut self.log, future, unique, now());
        let moved = moved.map_err(MoveError::To)?;
        let deleted = moved.old.map_err(MoveError::From)?;
        self.from.forget_moved(&name()).map_err(MoveError::From)?;
        self.from.remove_deleted(&deleted).map_err(MoveError::From)
    }
}

/// All records from the log's start on, and what else a reader sees.
fn contents(log: &PartitionLog) -> (Offset, Offset, Vec<u8>, Vec<(i32, i64)>) {
    let (mut at, mut bytes) = (log.log_start_offset(), Vec::new());
    while at < log.log_end_offset() {
        let read = log.read_bytes(at, 1).unwrap();
        let header = ottla_model::batch::BatchHeader::read(&read).unwrap();
        bytes.extend_from_slice(&read[..header.size()]);
        at = header.next_offset();
    }
    let epochs = log.epochs().iter().map(|entry| (entry.epoch.get(), entry.start_offset.get()));
    (log.log_start_offset(), log.log_end_offset(), bytes, epochs.collect())
}

/// What a start finds: the partition's logs by dir, future logs dropped; of two the one that goes further.
fn restart(disk: &SimDisk) -> Vec<(String, PartitionLog)> {
    let mut found = Vec::new();
    for path in ["/a", "/b"] {
        let dir = open_dir(disk, path).unwrap();
        for future in dir.futures().unwrap() {
            dir.discard(&future.path, &future.topic_partition, Uuid::from_u128(77)).unwrap();
        }
        let opened = dir.open_logs(1, &|_, _| config(), now()).unwrap();
        assert!(opened.failed.is_empty());
        found.extend(opened.logs.into_iter().map(|opened| {
            assert_eq!(opened.topic_id, Some(TOPIC_ID));
            (path.to_owned(), opened.log)
        }));
    }
    found
}

#[test]
fn a_moved_log_is_the_same_and_goes_on() {
    let disk = SimDisk::new();
    let mut fixture = Fixture::new(&disk);
    for _ in 0..10 {
        fixture.append(3).unwrap();
    }
    fixture.log.increment_log_start_offset(Offset(4));
    fixture.log.assign_epoch(LeaderEpoch(9));
    let before = contents(&fixture.log);
    let future = fixture.begin().unwrap();
    fixture.finish(future).unwrap();
    assert_eq!(contents(&fixture.log), before);
    assert_eq!(fixture.log.dir(), PathBuf::from("/b/t-0"));
    assert_eq!(fixture.log.recovery_point(), fixture.log.log_end_offset(), "all of it is durable");
    fixture.append(3).unwrap();
    let sequence = fixture.log.active_producers().next().unwrap().last_sequence;
    assert_eq!(sequence, 32, "the producer's state has moved, too");
    fixture.log.flush_now(now()).unwrap();
    let expected = contents(&fixture.log);
    drop(fixture);
    disk.crash();
    let found = restart(&disk);
    assert_eq!(found.len(), 1);
    let (start, end, bytes, epochs) = contents(&found[0].1);
    // The start was not durable: it is the first batch's, and so is the epoch's.
    let mut wanted_epochs = expected.3;
    wanted_epochs[0].1 = start.get();
    assert_eq!((found[0].0.as_str(), end, epochs), ("/b", expected.1, wanted_epochs));
    assert!(start <= expected.0 && bytes.ends_with(&expected.2));
}

#[test]
fn a_flush_of_the_old_log_says_nothing_about_the_new_one() {
    let disk = SimDisk::new();
    let mut fixture = Fixture::new(&disk);
    fixture.append(3).unwrap();
    let task = fixture.log.take_flush().unwrap().unwrap();
    let future = fixture.begin().unwrap();
    fixture.finish(future).unwrap();
    fixture.append(3).unwrap();
    let outcome = task.run();
    fixture.log.flushed(&task, outcome, now()).unwrap();
    assert_eq!(fixture.log.recovery_point(), Offset(3));
}

#[test]
fn what_is_deleted_while_it_is_copied_is_not_in_the_copy() {
    let disk = SimDisk::new();
    let mut fixture = Fixture::new(&disk);
    for _ in 0..10 {
        fixture.append(3).unwrap();
    }
    let mut future = fixture.begin().unwrap();
    fixture.step(&mut future).unwrap();
    fixture.log.increment_log_start_offset(Offset(21));
    fixture.log.apply_retention(now(), Offset(30)).unwrap();
    let before = contents(&fixture.log);
    fixture.finish(future).unwrap();
    assert_eq!(contents(&fixture.log), before);
}

/// Moves a log of 15 records, all but the last three flushed, until the disk fails after `changes` more changes.
fn move_until(disk: &SimDisk, changes: u64) -> (Vec<u8>, bool) {
    let mut fixture = Fixture::new(disk);
    for _ in 0..4 {
        fixture.append(3).unwrap();
    }
    fixture.log.flush_now(now()).unwrap();
    let flushed = contents(&fixture.log).2;
    disk.fail_after(changes);
    let moved = fixture.begin().and_then(|mut future| {
        fixture.step(&mut future)?;
        // A producer goes on meanwhile.
        let _ = fixture.append(3);
        fixture.finish(future)
    });
    (flushed, moved.is_ok())
}

#[test]
fn whenever_the_power_goes_the_flushed_records_are_in_one_dir_or_both() {
    for crash in [SimDisk::crash, SimDisk::kill] {
        let mut was_moved = false;
        for changes in 0.. {
            let disk = SimDisk::new();
            let (flushed, done) = move_until(&disk, changes);
            crash(&disk);
            let found = restart(&disk);
            let furthest =
                found.iter().max_by_key(|(_, log)| log.log_end_offset()).expect("the log is there");
            assert!(contents(&furthest.1).2.starts_with(&flushed), "after {changes} changes: {found:?}");
            was_moved |= found.iter().any(|(dir, _)| dir == "/b");
            if done {
                assert_eq!(found.len(), 1);
                break;
            }
        }
        assert!(was_moved);
    }
}

#[derive(Clone, Debug)]
enum Op {
    Append(usize),
    Step,
    DeleteBelow(i64),
    Retention,
    Roll,
    Flush,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (1usize..4).prop_map(Op::Append),
        4 => Just(Op::Step),
        1 => (0i64..60).prop_map(Op::DeleteBelow),
        1 => Just(Op::Retention),
        1 => Just(Op::Roll),
        1 => Just(Op::Flush),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_meanwhile_the_copy_is_the_log(
        before in prop::collection::vec(op(), 0..20),
        meanwhile in prop::collection::vec(op(), 0..30),
    ) {
        let disk = SimDisk::new();
        let mut fixture = Fixture::new(&disk);
        let mut future = None;
        for (at, op) in before.iter().chain(&meanwhile).enumerate() {
            if at == before.len() {
                future = Some(fixture.begin().unwrap());
            }
            match *op {
                Op::Append(count) => fixture.append(count).unwrap(),
                Op::Step => {
                    if let Some(future) = &mut future {
                        fixture.step(future).unwrap();
                    }
                }
                Op::DeleteBelow(offset) => {
                    fixture.log.increment_log_start_offset(Offset(offset));
                }
                Op::Retention => {
                    fixture.log.apply_retention(now(), fixture.log.log_end_offset()).unwrap();
                }
                Op::Roll => fixture.log.roll(now()).unwrap(),
                Op::Flush => fixture.log.flush_now(now()).unwrap(),
            }
        }
        let future = match future {
            Some(future) => future,
            None => fixture.begin().unwrap(),
        };
        let before = contents(&fixture.log);
        fixture.finish(future).unwrap();
        prop_assert_eq!(contents(&fixture.log), before);
    }
}
