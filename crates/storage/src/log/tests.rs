//! Appends, producers, rolling and retention of one log on the simulated disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_model::batch::{BatchBuilder, BatchHeader, TimestampType, crc32c};
use ottla_model::{LeaderEpoch, MonoMs, Now, Offset, ProducerEpoch, ProducerId, TimestampMs, TopicPartition};

use super::{LogStart, PartitionLog};
use crate::{AppendError, AppendInfo, AppendOrigin, Disk, EpochEnd, InvalidRecord, LogConfig, SimDisk};

const WALL: i64 = 1_700_000_000_000;

fn now() -> Now {
    Now { wall: TimestampMs(WALL), mono: MonoMs(0) }
}

fn later(ms: i64) -> Now {
    Now { wall: TimestampMs(WALL + ms), mono: MonoMs(u64::try_from(ms).unwrap()) }
}

struct Fixture {
    disk: SimDisk,
    log: PartitionLog,
}

impl Fixture {
    fn with(config: LogConfig) -> Self {
        let disk = SimDisk::new();
        let log = open(&disk, config, LogStart::new_log(), now());
        Self { disk, log }
    }

    fn new() -> Self {
        Self::with(LogConfig::default())
    }

    fn reopen(self, clean: bool, now: Now) -> Self {
        let config = (**self.log.config()).clone();
        let start = LogStart { clean, recovery_point: self.log.recovery_point(), ..LogStart::default() };
        drop(self.log);
        self.disk.kill();
        let log = open(&self.disk, config, start, now);
        Self { disk: self.disk, log }
    }

    fn append(&mut self, mut bytes: Vec<u8>) -> Result<AppendInfo, AppendError> {
        self.log.append_as_leader(&mut bytes, LeaderEpoch(3), AppendOrigin::Client, now())
    }

    fn files(&self) -> Vec<String> {
        let entries = self.disk.list(Path::new("/data/t-0")).unwrap();
        entries.into_iter().map(|entry| entry.name).filter(|name| name.contains(".log")).collect()
    }
}

fn open(disk: &SimDisk, config: LogConfig, start: LogStart, now: Now) -> PartitionLog {
    let partition = TopicPartition { topic: "t".into(), partition: 0 };
    let dir = PathBuf::from("/data/t-0");
    PartitionLog::open(Arc::new(disk.clone()), dir, partition, Arc::new(config), start, now).unwrap()
}

fn plain(count: usize, value_len: usize) -> Vec<u8> {
    at_time(count, value_len, WALL)
}

fn at_time(count: usize, value_len: usize, timestamp: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Offset(0));
    for _ in 0..count {
        builder.push(TimestampMs(timestamp), Some(b"k"), Some(&vec![b'v'; value_len]), &[]);
    }
    builder.build().unwrap()
}

fn of_producer(epoch: i16, sequence: i32, count: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Offset(0)).producer(ProducerId(9), ProducerEpoch(epoch), sequence);
    for _ in 0..count {
        builder.push(TimestampMs(WALL), None, Some(b"v"), &[]);
    }
    builder.build().unwrap()
}

/// Changes bytes of a batch and makes its CRC fit again.
fn patched(mut batch: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    batch[at..at + bytes.len()].copy_from_slice(bytes);
    let crc = crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    batch
}

#[test]
fn appended_batches_are_read_back_from_any_offset() {
    let mut fixture = Fixture::new();
    for _ in 0..10 {
        fixture.append(plain(3, 300)).unwrap();
    }
    let log = &fixture.log;
    assert_eq!(log.log_end_offset(), Offset(30));
    let all = log.read_bytes(Offset(0), u32::MAX).unwrap();
    let size = all.len() / 10;
    for from in 0..30 {
        let bytes = log.read_bytes(Offset(from), 1).unwrap();
        let batch = usize::try_from(from / 3).unwrap();
        assert_eq!(bytes, all[batch * size..(batch + 1) * size], "from {from}");
    }
}

#[test]
fn a_leader_assigns_offset_and_epoch_without_touching_the_crc() {
    let mut fixture = Fixture::new();
    fixture.append(plain(2, 10)).unwrap();
    let sent = plain(3, 10);
    let info = fixture.append(sent.clone()).unwrap();
    assert_eq!((info.first_offset, info.last_offset, info.log_end_offset), (Offset(2), Offset(4), Offset(5)));
    assert_eq!(info.log_append_time, TimestampMs::NONE);
    let written = fixture.log.read_bytes(Offset(2), u32::MAX).unwrap();
    let header = BatchHeader::read(&written).unwrap();
    assert_eq!((header.base_offset, header.partition_leader_epoch), (Offset(2), LeaderEpoch(3)));
    assert_eq!(written[16..], sent[16..]);
    assert_eq!(fixture.log.latest_epoch(), Some(LeaderEpoch(3)));
}

#[test]
fn what_kafka_refuses_is_refused_and_nothing_is_appended() {
    let good = || plain(2, 10);
    let mut bad_crc = good();
    bad_crc[30] ^= 1;
    let mut with_offset = good();
    with_offset[7] = 5;
    let mut old_magic = good();
    old_magic[16] = 1;
    let mut new_magic = good();
    new_magic[16] = 3;
    let twice: Vec<u8> = [good(), good()].concat();
    let control = patched(good(), 22, &[0x20]);
    let transactional = patched(of_producer(0, 0, 1), 22, &[0x10]);
    let codec = patched(good(), 22, &[0x07]);
    let count = patched(good(), 60, &[3]);
    let no_sequence = patched(of_producer(0, 0, 1), 53, &(-1i32).to_be_bytes());
    let cut = good()[..70].to_vec();
    let future = at_time(1, 1, WALL + 3_600_001);
    type Check = fn(&AppendError) -> bool;
    let cases: Vec<(&str, Vec<u8>, Check)> = vec![
        ("crc", bad_crc, |e| matches!(e, AppendError::Corrupt(_))),
        ("cut", cut, |e| matches!(e, AppendError::InvalidRecord(InvalidRecord::NoBatch))),
        ("new magic", new_magic, |e| matches!(e, AppendError::Corrupt(_))),
        ("empty", Vec::new(), |e| matches!(e, AppendError::InvalidRecord(InvalidRecord::NoBatch))),
        ("magic", old_magic, |e| matches!(e, AppendError::InvalidRecord(InvalidRecord::Magic(1)))),
        ("offset", with_offset, |e| matches!(e, AppendError::InvalidRecord(InvalidRecord::BaseOffset(_)))),
        ("two", twice, |e| matches!(e, AppendError::InvalidRecord(InvalidRecord::SeveralBatches))),
        ("control", control, |e| matches!(e, AppendError::InvalidRecord(InvalidRecord::ControlBatch))),
        ("transactional", transactional, |e| matches!(e, AppendError::InvalidTxnState { .. })),
        ("codec", codec, |e| matches!(e, AppendError::UnknownCompression(7))),
        ("count", count, |e| matches!(e, AppendError::InvalidRecord(InvalidRecord::Count { .. }))),
        ("sequence", no_sequence, |e| matches!(e, AppendError::InvalidRecord(InvalidRecord::Sequence(-1)))),
        ("future", future, |e| matches!(e, AppendError::InvalidRecords(_))),
        ("size", plain(1, 2_000), |e| matches!(e, AppendError::MessageTooLarge { max: 1_000, .. })),
    ];
    let mut fixture = Fixture::with(LogConfig { max_message_bytes: 1_000, ..LogConfig::default() });
    for (name, bytes, check) in cases {
        let error = fixture.append(bytes).unwrap_err();
        assert!(check(&error), "{name}: {error:?}");
    }
    assert_eq!((fixture.log.log_end_offset(), fixture.log.size_bytes().unwrap()), (Offset(0), 0));
    fixture.append(good()).unwrap();
}

#[test]
fn a_cut_batch_behind_a_whole_one_is_left_out() {
    let mut fixture = Fixture::new();
    let mut records = plain(2, 10);
    let whole = records.len();
    records.extend_from_slice(&plain(2, 10)[..40]);
    assert_eq!(fixture.append(records).unwrap().bytes as usize, whole);
    let mut copy = Fixture::new();
    let mut fetched = fixture.log.read_bytes(Offset(0), u32::MAX).unwrap();
    fetched.extend_from_slice(&plain(2, 10)[..70]);
    copy.log.append_as_follower(&fetched, now()).unwrap();
    assert_eq!(copy.log.read_bytes(Offset(0), u32::MAX).unwrap(), fetched[..whole]);
    assert_eq!(copy.log.latest_epoch(), Some(LeaderEpoch(3)));
}

#[test]
fn a_flush_made_before_a_truncation_says_nothing_about_what_follows() {
    let mut fixture = Fixture::new();
    for _ in 0..3 {
        fixture.append(plain(1, 10)).unwrap();
    }
    let task = fixture.log.take_flush().unwrap().unwrap();
    fixture.log.truncate_to(Offset(1), now()).unwrap();
    fixture.append(plain(1, 10)).unwrap();
    let outcome = task.run();
    fixture.log.flushed(&task, outcome, now()).unwrap();
    assert_eq!(fixture.log.recovery_point(), Offset(0));
    fixture.log.flush_now(now()).unwrap();
    assert_eq!(fixture.log.recovery_point(), Offset(2));
}

#[test]
fn log_append_time_is_stamped_and_the_crc_fits() {
    let config = LogConfig { message_timestamp_type: TimestampType::LogAppendTime, ..LogConfig::default() };
    let mut fixture = Fixture::with(config);
    let info = fixture.append(at_time(2, 5, 17)).unwrap();
    assert_eq!(info.log_append_time, TimestampMs(WALL));
    let bytes = fixture.log.read_bytes(Offset(0), u32::MAX).unwrap();
    let header = BatchHeader::read(&bytes).unwrap();
    header.verify(&bytes).unwrap();
    assert_eq!(
        (header.timestamp_type(), header.max_timestamp),
        (TimestampType::LogAppendTime, TimestampMs(WALL))
    );
}

#[test]
fn idempotent_producer_script() {
    #[derive(Debug, PartialEq)]
    enum Outcome {
        At(i64),
        Duplicate(i64),
        OutOfOrder,
        Fenced,
    }
    use Outcome::{At, Duplicate, Fenced, OutOfOrder};
    let mut fixture = Fixture::new();
    // Epoch, first sequence, records; what Kafka's ProducerAppendInfo answers.
    let script = [
        (0, 5, 2, At(0)), // an unknown producer may start anywhere
        (0, 7, 1, At(2)),
        (0, 9, 1, OutOfOrder),
        (0, 5, 2, Duplicate(0)),
        (0, 5, 1, OutOfOrder), // not the same batch
        (0, 8, 1, At(3)),
        (0, 9, 1, At(4)),
        (0, 10, 1, At(5)),
        (0, 7, 1, Duplicate(2)),
        (0, 11, 1, At(6)),
        (0, 5, 2, OutOfOrder), // six batches ago
        (1, 3, 1, OutOfOrder), // a new epoch starts at 0
        (1, 0, 1, At(7)),
        (0, 12, 1, Fenced),
        (0, 11, 1, Fenced),
        (1, 1, 1, At(8)),
    ];
    for reopen in [false, true] {
        for (epoch, sequence, count, expected) in &script {
            if reopen {
                break;
            }
            let outcome = match fixture.append(of_producer(*epoch, *sequence, *count)) {
                Ok(info) if info.duplicate => Duplicate(info.first_offset.get()),
                Ok(info) => At(info.first_offset.get()),
                Err(AppendError::OutOfOrderSequence { .. }) => OutOfOrder,
                Err(AppendError::InvalidProducerEpoch { .. }) => Fenced,
                Err(other) => panic!("{other:?}"),
            };
            assert_eq!(outcome, *expected, "epoch {epoch} sequence {sequence}");
        }
        let producer = fixture.log.active_producers().next().unwrap();
        assert_eq!((producer.producer_epoch, producer.last_sequence), (ProducerEpoch(1), 1));
        fixture = fixture.reopen(false, now());
    }
    let duplicate = fixture.append(of_producer(1, 1, 1)).unwrap();
    assert!(duplicate.duplicate && duplicate.first_offset == Offset(8));
}

#[test]
fn sequences_wrap() {
    let mut fixture = Fixture::new();
    fixture.append(of_producer(0, i32::MAX - 1, 3)).unwrap();
    assert_eq!(fixture.log.active_producers().next().unwrap().last_sequence, 0);
    fixture.append(of_producer(0, 1, 1)).unwrap();
    assert!(fixture.append(of_producer(0, i32::MAX - 1, 3)).unwrap().duplicate);
}

#[test]
fn producers_survive_a_clean_close_by_their_snapshot_and_expire() {
    let mut fixture = Fixture::new();
    fixture.append(of_producer(0, 0, 4)).unwrap();
    fixture.log.close(true, now()).unwrap();
    let snapshot = Path::new("/data/t-0/00000000000000000004.snapshot");
    assert_eq!(fixture.disk.file_len(snapshot).unwrap(), Some(10 + 46));
    let mut fixture = fixture.reopen(true, now());
    assert_eq!(fixture.log.active_producers().next().unwrap().last_sequence, 3);
    fixture.log.expire_producers(later(86_399_999));
    assert_eq!(fixture.log.active_producers().len(), 1);
    fixture.log.expire_producers(later(86_400_000));
    assert_eq!(fixture.log.active_producers().len(), 0);
}

#[test]
fn a_segment_rolls_by_size_time_and_offset_range() {
    let config = LogConfig { segment_bytes: 1_000, segment_ms: 5_000, ..LogConfig::default() };
    let mut fixture = Fixture::with(config);
    fixture.append(plain(1, 600)).unwrap();
    fixture.append(plain(1, 600)).unwrap();
    assert_eq!(fixture.log.segment_count(), 2, "by size");
    fixture.append(at_time(1, 1, WALL + 5_000)).unwrap();
    assert_eq!(fixture.log.segment_count(), 2);
    fixture.append(at_time(1, 1, WALL + 5_001)).unwrap();
    assert_eq!(fixture.log.segment_count(), 3, "by record time");
    let far = BatchBuilder::new(Offset(i64::from(i32::MAX) + 10));
    let mut far = far.leader_epoch(LeaderEpoch(3));
    far.push(TimestampMs(WALL + 5_001), None, Some(b"v"), &[]);
    fixture.log.append_as_follower(&far.build().unwrap(), now()).unwrap();
    assert_eq!(fixture.log.segment_count(), 4, "by offset range");
    let error = fixture.append(plain(1, 2_000)).unwrap_err();
    assert!(matches!(error, AppendError::RecordListTooLarge { max: 1_000, .. }), "{error:?}");
}

#[test]
fn a_segment_rolls_when_one_of_its_indexes_is_full() {
    // Five entries of 8 bytes fit, and three of 12, of which the last is kept for the roll. The first batch has none.
    let config = LogConfig { index_interval_bytes: 0, segment_index_bytes: 40, ..LogConfig::default() };
    for (step_ms, batches_per_segment) in [(0, 6), (1, 3)] {
        let mut fixture = Fixture::with(config.clone());
        for n in 0..12i64 {
            fixture.append(at_time(1, 10, WALL + n * step_ms)).unwrap();
            let full = usize::try_from(n).unwrap() / batches_per_segment;
            assert_eq!(fixture.log.segment_count(), full + 1, "after batch {n}, {step_ms} ms apart");
        }
    }
}

#[test]
fn jitter_rolls_a_segment_earlier_never_later() {
    let rolls_at = |segment_jitter_ms| {
        let config = LogConfig { segment_ms: 1_000, segment_jitter_ms, ..LogConfig::default() };
        let mut fixture = Fixture::with(config);
        fixture.append(at_time(1, 1, WALL)).unwrap();
        let mut waited = 0;
        while fixture.log.segment_count() == 1 {
            waited += 1;
            fixture.append(at_time(1, 1, WALL + waited)).unwrap();
        }
        waited
    };
    assert_eq!(rolls_at(0), 1_001);
    assert!((1..1_001).contains(&rolls_at(1_000)));
}

#[test]
fn retention_by_time_and_size_stops_at_the_high_watermark() {
    let config = LogConfig {
        segment_bytes: 1_000,
        retention_ms: 10_000,
        file_delete_delay_ms: 60_000,
        ..LogConfig::default()
    };
    let mut fixture = Fixture::with(config);
    for n in 0..4 {
        fixture.append(at_time(1, 700, WALL - 40_000 + n * 10_000)).unwrap();
    }
    assert_eq!(fixture.log.apply_retention(now(), Offset(0)).unwrap().segments_deleted, 0);
    let run = fixture.log.apply_retention(now(), Offset(2)).unwrap();
    assert_eq!(run.segments_deleted, 2);
    assert_eq!(fixture.log.log_start_offset(), Offset(2));
    let deleted =
        |fixture: &Fixture| fixture.files().iter().filter(|name| name.ends_with(".deleted")).count();
    assert_eq!(deleted(&fixture), 2);
    assert!(!fixture.log.has_deleted_files_due(later(59_999)));
    fixture.log.remove_deleted_files(later(59_999)).unwrap();
    assert_eq!(deleted(&fixture), 2);
    assert!(fixture.log.has_deleted_files_due(later(60_000)));
    fixture.log.remove_deleted_files(later(60_000)).unwrap();
    assert_eq!(fixture.files().len(), 2);
    let run = fixture.log.apply_retention(later(20_000), Offset(4)).unwrap();
    assert_eq!(run.segments_deleted, 2, "the active segment, too: a new one takes its place");
    assert_eq!((fixture.log.log_start_offset(), fixture.log.log_end_offset()), (Offset(4), Offset(4)));
    fixture.append(plain(1, 1)).unwrap();
}

#[test]
fn a_reader_keeps_its_slice_when_retention_deletes_the_segment() {
    let config = LogConfig { segment_bytes: 1_000, file_delete_delay_ms: 0, ..LogConfig::default() };
    let mut fixture = Fixture::with(config);
    for _ in 0..3 {
        fixture.append(plain(1, 700)).unwrap();
    }
    let slice = fixture.log.read(Offset(0), 4_096, Offset(3), true).unwrap().slice.unwrap();
    fixture.log.increment_log_start_offset(Offset(2));
    fixture.log.apply_retention(now(), Offset(3)).unwrap();
    fixture.log.remove_deleted_files(now()).unwrap();
    assert_eq!(fixture.files(), ["00000000000000000002.log"]);
    let bytes = slice.to_vec().unwrap();
    BatchHeader::read(&bytes).unwrap().verify(&bytes).unwrap();
}

#[test]
fn epochs_survive_and_are_cut_with_the_log() {
    let mut fixture = Fixture::new();
    let append = |fixture: &mut Fixture, epoch| {
        let mut bytes = plain(1, 1);
        fixture.log.append_as_leader(&mut bytes, LeaderEpoch(epoch), AppendOrigin::Client, now()).unwrap();
    };
    for epoch in [0, 0, 2, 5, 5] {
        append(&mut fixture, epoch);
    }
    let end = |log: &PartitionLog, epoch| log.end_offset_for_epoch(LeaderEpoch(epoch));
    let ends_at = |epoch, offset| Some(EpochEnd { epoch: LeaderEpoch(epoch), end_offset: Offset(offset) });
    for clean in [false, true] {
        assert_eq!(end(&fixture.log, 0), ends_at(0, 2));
        assert_eq!(end(&fixture.log, 1), ends_at(0, 2));
        assert_eq!(end(&fixture.log, 3), ends_at(2, 3));
        assert_eq!(end(&fixture.log, 5), ends_at(5, 5));
        assert_eq!(end(&fixture.log, 6), None);
        if clean {
            fixture.log.close(true, now()).unwrap();
        }
        fixture = fixture.reopen(clean, now());
    }
    fixture.log.truncate_to(Offset(3), now()).unwrap();
    assert_eq!(fixture.log.latest_epoch(), Some(LeaderEpoch(2)));
}

#[test]
fn a_damaged_tail_is_cut_on_recovery() {
    let mut fixture = Fixture::new();
    for _ in 0..4 {
        fixture.append(plain(1, 100)).unwrap();
    }
    let path = Path::new("/data/t-0/00000000000000000000.log");
    let file = fixture.disk.open(path, crate::OpenMode::Write).unwrap();
    let size = file.len().unwrap() / 4;
    file.write_all_at(b"damage", 2 * size + 80).unwrap();
    let mut fixture = fixture.reopen(false, now());
    assert_eq!(fixture.log.log_end_offset(), Offset(2));
    assert_eq!(fixture.log.size_bytes().unwrap(), 2 * size);
    assert_eq!(fixture.log.recovery_point(), Offset(2));
    assert_eq!(fixture.append(plain(1, 1)).unwrap().first_offset, Offset(2));
}

#[test]
fn a_flush_is_due_by_count_time_and_roll() {
    let config = LogConfig { flush_messages: 3, flush_ms: 1_000, ..LogConfig::default() };
    let mut fixture = Fixture::with(config);
    fixture.log.flush_now(now()).unwrap();
    assert!(!fixture.log.flush_due(later(5_000)), "nothing to flush");
    fixture.append(plain(2, 1)).unwrap();
    assert!(!fixture.log.flush_due(later(999)));
    assert!(fixture.log.flush_due(later(1_000)));
    fixture.append(plain(1, 1)).unwrap();
    assert!(fixture.log.flush_due(now()));
    fixture.log.flush_now(now()).unwrap();
    assert!(!fixture.log.flush_due(now()));
    fixture.log.roll(now()).unwrap();
    assert!(fixture.log.flush_due(now()));
}

#[test]
fn what_is_flushed_after_a_kill_outlives_the_power_though_the_killed_process_has_made_the_directory() {
    let mut fixture = Fixture::new();
    fixture.disk.sync_dir(Path::new("/")).unwrap();
    fixture.append(plain(1, 1)).unwrap();
    let mut fixture = fixture.reopen(false, now());
    assert_eq!(fixture.log.log_end_offset(), Offset(1));
    fixture.log.flush_now(now()).unwrap();
    fixture.disk.crash();
    assert_eq!(fixture.reopen(false, now()).log.log_end_offset(), Offset(1));
}

#[test]
fn a_failed_flush_takes_the_log_offline() {
    let mut fixture = Fixture::new();
    fixture.append(plain(1, 1)).unwrap();
    let task = fixture.log.take_flush().unwrap().unwrap();
    fixture.disk.crash();
    let outcome = task.run();
    assert!(outcome.is_err());
    fixture.log.flushed(&task, outcome, now()).unwrap_err();
    assert!(fixture.log.is_offline());
    assert!(matches!(fixture.append(plain(1, 1)), Err(AppendError::Storage(_))));
}

#[test]
fn the_kernel_is_asked_to_write_back_once_in_four_mebibytes() {
    let mut fixture = Fixture::new();
    let batch = plain(1, 512 << 10);
    let mut asked = Vec::new();
    for appended in 1..=24 {
        fixture.append(batch.clone()).unwrap();
        asked.extend(fixture.log.take_writeback().map(|_| appended));
    }
    assert_eq!(asked, [8, 16, 24]);
}
