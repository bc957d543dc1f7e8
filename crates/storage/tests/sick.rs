//! A log dir on a disk that fails at every change of a workload in turn: without room nothing is lost and nothing goes
//! offline, and what was refused succeeds later; after any other failure nothing more is written, and what was
//! acknowledged is found after a restart.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_model::batch::{BatchBuilder, batches};
use ottla_model::{
    LeaderEpoch, MonoMs, Now, Offset, ProducerEpoch, ProducerId, TimestampMs, TopicId, TopicPartition,
};
use ottla_storage::{
    AppendError, AppendOrigin, ClosingLog, Disk as _, FaultyDisk, LogConfig, LogDir, MetaProperties,
    OffsetCheckpoint, PartitionLog, SimDisk, StorageError,
};
use uuid::Uuid;

fn now(step: u64) -> Now {
    Now { wall: TimestampMs(1_000), mono: MonoMs(step) }
}

fn config() -> Arc<LogConfig> {
    Arc::new(LogConfig {
        segment_bytes: 2_048,
        index_interval_bytes: 128,
        retention_bytes: 16_384,
        retention_ms: -1,
        message_timestamp_after_max_ms: i64::MAX,
        file_delete_delay_ms: 5,
        ..LogConfig::default()
    })
}

fn name() -> TopicPartition {
    TopicPartition::new("t", 0)
}

/// A log dir with one partition, and what it has acknowledged.
struct Subject {
    disk: FaultyDisk,
    dir: LogDir,
    log: PartitionLog,
    acknowledged: Vec<(i64, String)>,
    next: u32,
    step: u64,
}

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Done,
    NoRoom,
    Failed,
}

impl From<StorageError> for Answer {
    fn from(error: StorageError) -> Self {
        if error.is_for_lack_of_room() { Self::NoRoom } else { Self::Failed }
    }
}

fn answer<T>(outcome: Result<T, StorageError>) -> Answer {
    outcome.map_or_else(Answer::from, |_| Answer::Done)
}

fn open_dir(disk: &FaultyDisk) -> LogDir {
    let identity =
        MetaProperties { cluster_id: "c".to_owned(), node_id: 1, directory_id: Some(Uuid::from_u128(1)) };
    LogDir::open(Arc::new(disk.clone()), PathBuf::from("/logs"), &identity).unwrap()
}

impl Subject {
    fn new() -> Self {
        let disk = FaultyDisk::new(Arc::new(SimDisk::new()));
        let dir = open_dir(&disk);
        let log = dir.create_partition(&name(), TopicId(Uuid::from_u128(2)), config(), now(0)).unwrap();
        Self { disk, dir, log, acknowledged: Vec::new(), next: 0, step: 0 }
    }

    fn append(&mut self) -> Answer {
        let value = format!("{:0>200}", self.next);
        let sequence = i32::try_from(self.acknowledged.len()).unwrap();
        let mut batch = BatchBuilder::new(Offset(0)).producer(ProducerId(7), ProducerEpoch(0), sequence);
        batch.push(TimestampMs(1_000 + i64::from(self.next)), None, Some(value.as_bytes()), &[]);
        let mut batch = batch.build().unwrap();
        let epoch = LeaderEpoch(i32::try_from(self.next / 20).unwrap());
        match self.log.append_as_leader(&mut batch, epoch, AppendOrigin::Client, now(self.step)) {
            Ok(info) => {
                assert!(!info.duplicate);
                self.acknowledged.push((info.first_offset.get(), value));
                self.next += 1;
                Answer::Done
            }
            Err(AppendError::Storage(error)) => error.into(),
            Err(other) => panic!("{other}"),
        }
    }

    /// One step of everything that writes to a log dir, by its number.
    fn act(&mut self, step: u64) -> Answer {
        self.step = step;
        let now = now(step);
        match step % 12 {
            9 => answer(self.log.flush_now(now)),
            10 => {
                let points = [(name(), self.log.recovery_point())].into();
                answer(self.dir.write_checkpoint(OffsetCheckpoint::RecoveryPoint, &points))
            }
            11 if step % 24 == 11 => answer(self.log.apply_retention(now, self.log.log_end_offset())),
            11 => {
                let answer = answer(self.log.remove_deleted_files(now));
                self.log.close_idle_files();
                answer
            }
            _ => self.append(),
        }
    }

    /// The acknowledged records that were not retained away are there, once, in order, and nothing else.
    fn check(&self, context: &str) {
        let start = self.log.log_start_offset().get();
        let mut expected = self.acknowledged.iter().filter(|(offset, _)| *offset >= start);
        let mut from = self.log.log_start_offset();
        while from < self.log.log_end_offset() {
            let read = self.log.read(from, 4_096, self.log.log_end_offset(), true).unwrap();
            let bytes =
                read.slice.unwrap_or_else(|| panic!("{context}: nothing at {from}")).to_vec().unwrap();
            for batch in batches(&bytes) {
                let (header, bytes) = batch.unwrap();
                header.verify(bytes).unwrap();
                from = header.next_offset();
                if header.base_offset.get() < start {
                    continue;
                }
                let (offset, value) =
                    expected.next().unwrap_or_else(|| panic!("{context}: more than was acknowledged"));
                assert_eq!(header.base_offset, Offset(*offset), "{context}");
                assert!(bytes.ends_with(&[value.as_bytes(), &[0]].concat()), "{context}: {offset}");
            }
        }
        assert_eq!(expected.next(), None, "{context}: lost");
        for entry in self.log.epochs() {
            let first = self.acknowledged.iter().find(|(offset, _)| *offset >= entry.start_offset.get());
            let _ = first.unwrap_or_else(|| panic!("{context}: {entry:?} without a record"));
        }
    }

    /// As after a kill, or a stop.
    fn reopen(mut self, context: &str) -> Self {
        drop(self.log);
        drop(self.dir);
        self.dir = open_dir(&self.disk);
        let opened = self.dir.open_logs(1, &|_, _| config(), now(self.step)).unwrap();
        assert!(opened.failed.is_empty(), "{context}: {:?}", opened.failed);
        self.log = opened.logs.into_iter().next().unwrap().log;
        self
    }
}

const STEPS: u64 = 120;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    NoRoom,
    NoDescriptor,
    Failure,
}

/// Runs the workload once with the n-th change, or opening, failing; false when there are not so many.
fn run(nth: u64, fault: Fault) -> bool {
    let context = format!("{fault:?} at {nth}");
    let mut subject = Subject::new();
    match fault {
        Fault::NoRoom => subject.disk.fail_once(nth, ErrorKind::StorageFull),
        Fault::NoDescriptor => subject.disk.lack_a_descriptor_once(nth),
        Fault::Failure => subject.disk.fail_once(nth, ErrorKind::Other),
    }
    let may_be_tried_again = fault != Fault::Failure;
    let mut answers = Vec::new();
    for step in 0..STEPS {
        let struck_before = subject.disk.has_struck();
        let answer = subject.act(step);
        let strikes = subject.disk.has_struck() && !struck_before;
        if may_be_tried_again {
            assert_ne!(answer, Answer::Failed, "{context}, step {step}");
            assert!(answer == Answer::Done || strikes, "{context}, step {step}: refused without a reason");
            assert!(!subject.log.is_offline(), "{context}, step {step}");
        } else if subject.log.is_offline() && !strikes && answer == Answer::Done && step % 12 != 10 {
            let is_append = step % 12 < 9;
            assert!(!is_append, "{context}, step {step}: appended to a failed log");
        }
        answers.push(answer);
        if subject.disk.has_struck() && !subject.log.is_offline() && step % 7 == 0 {
            subject.check(&context);
        }
    }
    let has_struck = subject.disk.has_struck();
    if may_be_tried_again {
        // What is looked at may be opened for that.
        subject.disk.heal();
        subject.check(&context);
        let high_watermark = subject.log.log_end_offset();
        let closing = vec![ClosingLog { log: &mut subject.log, high_watermark }];
        subject.dir.close(closing, 1, 1, now(STEPS)).unwrap();
    }
    subject.disk.heal();
    let mut subject = subject.reopen(&context);
    subject.check(&context);
    assert_eq!(subject.append(), Answer::Done, "{context}");
    subject.check(&context);
    has_struck
}

fn sweep(fault: Fault) -> u64 {
    let mut nth = 0;
    while run(nth, fault) {
        nth += 1;
    }
    nth
}

#[test]
fn without_room_for_the_nth_change_nothing_is_lost_and_nothing_goes_offline() {
    let changes = sweep(Fault::NoRoom);
    assert!(changes > 250, "{changes}");
}

#[test]
fn without_a_descriptor_for_the_nth_opening_nothing_is_lost_and_nothing_goes_offline() {
    let openings = sweep(Fault::NoDescriptor);
    assert!(openings > 60, "{openings}");
}

#[test]
fn after_a_failure_of_the_nth_change_what_was_acknowledged_is_found() {
    let changes = sweep(Fault::Failure);
    assert!(changes > 300, "{changes}");
}

#[test]
fn on_a_full_disk_everything_but_appending_goes_on_a_stop_and_a_start_included() {
    let mut subject = Subject::new();
    for step in 0..30 {
        assert_eq!(subject.act(step), Answer::Done);
    }
    subject.disk.fill();
    for is_stopped in [false, true, false] {
        for step in 30..50 {
            let is_append = step % 12 < 9;
            let expected = if is_append || step % 12 == 10 { Answer::NoRoom } else { Answer::Done };
            assert_eq!(subject.act(step), expected, "step {step}");
        }
        subject.check("full");
        if is_stopped {
            let high_watermark = subject.log.log_end_offset();
            let closing = vec![ClosingLog { log: &mut subject.log, high_watermark }];
            assert_eq!(answer(subject.dir.close(closing, 1, 1, now(50))), Answer::NoRoom);
        }
        subject = subject.reopen("full");
        subject.check("full, reopened");
    }
    let end = subject.log.log_end_offset();
    subject.log.increment_log_start_offset(end);
    assert!(subject.log.apply_retention(now(60), end).unwrap().segments_deleted > 0);
    assert_eq!(subject.log.segment_count(), 1, "the active one stays: there is no room for another");
    subject.disk.heal();
    for step in 60..90 {
        assert_eq!(subject.act(step), Answer::Done);
    }
    subject.check("room again");
    let subject = subject.reopen("room again");
    subject.check("room again, reopened");
}

#[test]
fn indexes_for_which_a_start_had_no_room_are_read_from_memory_until_they_are_written() {
    let mut subject = Subject::new();
    for _ in 0..5 {
        assert_eq!(subject.append(), Answer::Done);
    }
    subject.log.flush_now(now(1)).unwrap();
    // As a power cut leaves them that comes before their names are on the disk.
    for file in ["index", "timeindex"] {
        let path = format!("/logs/t-0/00000000000000000000.{file}");
        subject.disk.remove_file(Path::new(&path)).unwrap();
    }
    subject.disk.fill();
    subject = subject.reopen("full");
    subject.disk.heal();
    assert_eq!(subject.append(), Answer::Done);
    subject.log.flush_now(now(2)).unwrap();
    while subject.log.segment_count() < 3 {
        assert_eq!(subject.append(), Answer::Done);
    }
    subject.log.flush_now(now(3)).unwrap();
    for (offset, _) in &subject.acknowledged {
        let end = subject.log.log_end_offset();
        let read = subject.log.read(Offset(*offset), 1, end, true).unwrap();
        assert!(read.slice.is_some(), "{offset}");
    }
    subject.check("room again");
}

#[test]
fn what_a_full_disk_still_says_of_a_deleted_partition_is_not_true_of_the_next() {
    let mut subject = Subject::new();
    for _ in 0..30 {
        subject.append();
    }
    let end = subject.log.log_end_offset();
    subject.log.flush_now(now(1)).unwrap();
    for which in [OffsetCheckpoint::RecoveryPoint, OffsetCheckpoint::LogStart] {
        subject.dir.write_checkpoint(which, &[(name(), end)].into()).unwrap();
    }
    for is_restarted in [false, true] {
        subject.disk.fill();
        subject.log.retire();
        let deleted = subject.dir.delete_partitions(&[name()], || Uuid::from_u128(3)).unwrap();
        subject.dir.remove_deleted(&deleted[0]).unwrap();
        let create =
            |dir: &LogDir| dir.create_partition(&name(), TopicId(Uuid::from_u128(4)), config(), now(2));
        if is_restarted {
            drop(subject.dir);
            subject.dir = open_dir(&subject.disk);
            assert!(subject.dir.open_logs(1, &|_, _| config(), now(2)).unwrap().logs.is_empty());
        }
        assert!(create(&subject.dir).unwrap_err().is_for_lack_of_room());
        assert!(subject.dir.partitions().unwrap().logs.is_empty(), "nothing is left of it");
        subject.disk.heal();
        subject.log = create(&subject.dir).unwrap();
        subject.acknowledged.clear();
        assert_eq!(subject.append(), Answer::Done);
        subject = subject.reopen("anew");
        subject.check("anew");
        assert_eq!(subject.log.log_end_offset(), Offset(1));
        let end = Offset(30);
        subject.dir.write_checkpoint(OffsetCheckpoint::LogStart, &[(name(), end)].into()).unwrap();
    }
}
