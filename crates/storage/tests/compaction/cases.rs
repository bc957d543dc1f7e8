//! What the model does not make: every single point of failure, damaged batches, transactions of a log that was copied in.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_model::batch::BatchBuilder;
use ottla_model::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};
use ottla_storage::{
    AppendOrigin, CleanError, CleanerSettings, CleanupPolicy, Disk, LogConfig, LogStart, OpenMode,
    PartitionLog, SimDisk, StorageError,
};

use crate::bench::{DIR, Seen, clean, now, open, read_batches, records, sync_dirs};

const SETTINGS: CleanerSettings =
    CleanerSettings { dedupe_buffer_bytes: 1 << 16, dedupe_load_factor: 0.9, io_buffer_bytes: 4096 };

fn config() -> Arc<LogConfig> {
    Arc::new(LogConfig {
        cleanup_policy: CleanupPolicy { delete: false, compact: true },
        delete_retention_ms: 1000,
        segment_bytes: 900,
        index_interval_bytes: 100,
        message_timestamp_after_max_ms: i64::MAX,
        file_delete_delay_ms: 0,
        ..LogConfig::default()
    })
}

/// All small segments fit into one.
fn roomy() -> Arc<LogConfig> {
    Arc::new(LogConfig { segment_bytes: 1 << 20, ..(*config()).clone() })
}

fn new_log(disk: &SimDisk) -> PartitionLog {
    let log = open(disk, &config(), LogStart::new_log(), 1000);
    sync_dirs(disk);
    log
}

fn keyed(keys: &[&str], value: &str) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Offset(0));
    for key in keys {
        builder.push(TimestampMs(1000), Some(key.as_bytes()), Some(value.as_bytes()), &[]);
    }
    builder.build().unwrap()
}

fn append(log: &mut PartitionLog, mut batch: Vec<u8>) {
    log.append_as_leader(&mut batch, LeaderEpoch(0), AppendOrigin::Client, now(1000)).unwrap();
}

/// Twelve batches over several segments, all closed and on the disk.
fn filled(disk: &SimDisk) -> PartitionLog {
    let mut log = new_log(disk);
    for n in 0..12 {
        let keys = [["a", "b"], ["b", "c"], ["d", "a"]];
        append(&mut log, keyed(&keys[n % 3], &format!("{n}{}", "x".repeat(100))));
    }
    log.roll(now(1000)).unwrap();
    log.flush_now(now(1000)).unwrap();
    log
}

fn seen(log: &PartitionLog) -> Vec<Seen> {
    read_batches(log).iter().flat_map(|(header, bytes)| records(header, bytes)).collect()
}

fn offsets(log: &PartitionLog) -> Vec<i64> {
    seen(log).iter().map(|record| record.offset).collect()
}

fn names(disk: &SimDisk) -> Vec<String> {
    disk.list(Path::new(DIR)).unwrap().into_iter().map(|entry| entry.name).collect()
}

fn log_path(base_offset: i64) -> PathBuf {
    Path::new(DIR).join(format!("{base_offset:020}.log"))
}

/// Changes bytes of a segment's file behind the log's back.
fn damage(disk: &SimDisk, base_offset: i64, position: u64, bytes: &[u8]) {
    let file = disk.open(&log_path(base_offset), OpenMode::Write).unwrap();
    file.write_all_at(bytes, position).unwrap();
}

#[test]
fn only_the_last_record_of_each_key_is_left() {
    let disk = SimDisk::new();
    let mut log = filled(&disk);
    let (end, count) = (log.log_end_offset(), log.segment_count());
    log.set_config(roomy());
    let cleaning = clean(&mut log, SETTINGS, 2000).unwrap();
    assert_eq!(log.cleaned_to(), Some(end));
    assert_eq!(cleaning.stats().bad_batches, 0);
    // c is last in the second, b too; d and a in the third batch of the last round.
    assert_eq!(offsets(&log), [20, 21, 22, 23]);
    assert_eq!(log.segment_count(), 2, "{count} before");
    assert!(names(&disk).iter().any(|name| name.ends_with(".deleted")));
    log.remove_deleted_files(now(3000)).unwrap();
    assert!(!names(&disk).iter().any(|name| name.ends_with(".deleted")));
}

#[test]
fn a_failure_at_any_change_of_the_disk_loses_nothing() {
    for kill in [false, true] {
        let (mut failures, mut completed) = (0, 0);
        for changes in 0.. {
            let disk = SimDisk::new();
            let mut log = filled(&disk);
            let before = seen(&log);
            let start = LogStart { recovery_point: log.recovery_point(), ..LogStart::default() };
            disk.fail_after(changes);
            let has_ended = clean(&mut log, SETTINGS, 2000).is_ok();
            drop(log);
            if kill {
                disk.kill()
            } else {
                disk.crash()
            }
            let mut log = open(&disk, &config(), start, 2000);
            let left = names(&disk);
            assert!(
                !left.iter().any(|name| name.ends_with(".swap") || name.ends_with(".cleaned")),
                "{left:?}"
            );
            let after = seen(&log);
            assert!(after.iter().all(|record| before.contains(record)));
            let lasts: Vec<i64> = after.iter().rev().take(4).rev().map(|record| record.offset).collect();
            assert_eq!(lasts, [20, 21, 22, 23], "after {changes} changes");
            assert_eq!(log.log_end_offset(), Offset(24));
            // And it is compacted the next time.
            clean(&mut log, SETTINGS, 3000).unwrap();
            assert_eq!(offsets(&log), [20, 21, 22, 23]);
            failures += usize::from(!has_ended);
            completed += usize::from(has_ended);
            if has_ended {
                break;
            }
        }
        assert!(failures > 20 && completed == 1, "{failures} failures");
    }
}

#[test]
fn a_batch_that_cannot_be_read_stays_and_the_rest_is_compacted() {
    let disk = SimDisk::new();
    let mut log = filled(&disk);
    // A byte of the first batch's records.
    damage(&disk, 0, 70, &[0xff]);
    let bad = read_batches(&log)[0].1.clone();
    let cleaning = clean(&mut log, SETTINGS, 2000).unwrap();
    assert_eq!((cleaning.stats().bad_batches, cleaning.stats().first_bad_offset), (1, Some(Offset(0))));
    let batches = read_batches(&log);
    assert_eq!(batches[0].1, bad);
    let sound = batches[1..].iter().flat_map(|(header, bytes)| records(header, bytes));
    assert_eq!(sound.map(|record| record.offset).collect::<Vec<_>>(), [20, 21, 22, 23]);
}

#[test]
fn a_segment_that_is_no_batches_is_reported_and_left() {
    let disk = SimDisk::new();
    let mut log = filled(&disk);
    let all = offsets(&log);
    let sound = disk.read(&log_path(0)).unwrap();
    damage(&disk, 0, 16, &[7]);
    for _ in 0..2 {
        let outcome = clean(&mut log, SETTINGS, 2000).map(|_| ());
        assert!(matches!(outcome, Err(CleanError::Storage(StorageError::Damaged { .. }))), "{outcome:?}");
        assert!(!log.is_offline());
    }
    // Mended, it is compacted: nothing was marked for ever.
    damage(&disk, 0, 0, &sound);
    assert_eq!(offsets(&log), all);
    clean(&mut log, SETTINGS, 2000).unwrap();
    assert_eq!(offsets(&log), [20, 21, 22, 23]);
}

#[test]
fn a_log_that_is_truncated_or_no_more_compacted_aborts_a_cleaning() {
    for truncate in [true, false] {
        let disk = SimDisk::new();
        let mut log = filled(&disk);
        let cleanable = log.cleanable(log.log_end_offset(), now(2000)).unwrap();
        let mut cleaning = log.begin_cleaning(&cleanable, SETTINGS, now(2000)).unwrap();
        while !matches!(cleaning.step().unwrap(), ottla_storage::CleaningStep::WantsFiles) {}
        log.create_replacement(&mut cleaning, now(2000)).unwrap();
        while !matches!(cleaning.step().unwrap(), ottla_storage::CleaningStep::WantsSwap) {}
        let names_sync = log.begin_swap(&mut cleaning).unwrap().unwrap();
        names_sync.run().unwrap();
        if truncate {
            log.truncate_to(Offset(10), now(2000)).unwrap();
        } else {
            log.set_config(Arc::new(LogConfig {
                cleanup_policy: CleanupPolicy { delete: true, compact: false },
                ..(*config()).clone()
            }));
        }
        assert!(matches!(log.finish_swap(&mut cleaning, now(2000)), Err(CleanError::Aborted)));
        assert!(log.is_void(&cleaning));
        log.abandon_cleaning(&mut cleaning).unwrap();
        assert!(!names(&disk).iter().any(|name| name.ends_with(".swap") || name.ends_with(".cleaned")));
        assert_eq!(offsets(&log).len(), if truncate { 10 } else { 24 });
    }
}

/// A transaction's batch or marker at `offset`, as a follower gets it.
fn transactional(offset: i64, producer: i64, marker: Option<i16>) -> Vec<u8> {
    let builder = BatchBuilder::new(Offset(offset)).leader_epoch(LeaderEpoch(0)).transactional();
    let mut builder = match marker {
        Some(_) => builder.producer(ProducerId(producer), ProducerEpoch(0), -1).control(),
        None => builder.producer(ProducerId(producer), ProducerEpoch(0), 0),
    };
    match marker {
        Some(kind) => {
            let key = [0i16.to_be_bytes(), kind.to_be_bytes()].concat();
            builder.push(TimestampMs(1000), Some(&key), Some(&[0, 0, 0, 0, 0, 5]), &[]);
        }
        None => builder.push(TimestampMs(1000), Some(b"t"), Some(&[b't'; 50]), &[]),
    }
    builder.build().unwrap()
}

fn txn_index(entries: &[[i64; 4]]) -> Vec<u8> {
    let entry = |entry: &[i64; 4]| {
        let values = entry.iter().flat_map(|value| value.to_be_bytes());
        [0u8; 2].into_iter().chain(values).collect::<Vec<u8>>()
    };
    entries.iter().flat_map(entry).collect()
}

#[test]
fn aborted_transactions_go_and_their_markers_follow() {
    const COMMIT: Option<i16> = Some(1);
    const ABORT: Option<i16> = Some(0);
    let disk = SimDisk::new();
    let mut log = new_log(&disk);
    let batches =
        [(0, 7, None), (1, 8, None), (2, 8, COMMIT), (3, 7, ABORT)].map(|(o, p, m)| transactional(o, p, m));
    for batch in &batches {
        log.append_as_follower(batch, now(1000)).unwrap();
    }
    log.roll(now(1000)).unwrap();
    append(&mut log, keyed(&["z"], "z"));
    log.roll(now(1000)).unwrap();
    log.flush_now(now(1000)).unwrap();
    let path = Path::new(DIR).join(format!("{:020}.txnindex", 0));
    let index = txn_index(&[[7, 0, 3, 4]]);
    disk.open(&path, OpenMode::Create).unwrap().write_all_at(&index, 0).unwrap();

    clean(&mut log, SETTINGS, 2000).unwrap();
    let kinds = |log: &PartitionLog| -> Vec<(i64, i32)> {
        read_batches(log).iter().map(|(header, _)| (header.base_offset.get(), header.record_count)).collect()
    };
    // The aborted record is gone, the batch stays for the producer's sequence, so the marker and its entry stay, too.
    assert_eq!(kinds(&log), [(0, 0), (1, 1), (2, 1), (3, 1), (4, 1)]);
    assert_eq!(disk.read(&path).unwrap(), index);

    // The producers are forgotten: their empty batches go, and the abort marker gets its horizon with the next cleaning.
    log.expire_producers(now(1_000_000_000));
    clean(&mut log, SETTINGS, 3000).unwrap();
    assert_eq!(kinds(&log), [(1, 1), (2, 1), (3, 1), (4, 1)]);
    assert_eq!(disk.read(&path).unwrap(), index, "the batch was still seen");
    clean(&mut log, SETTINGS, 4000).unwrap();
    let horizons = |log: &PartitionLog| -> Vec<Option<TimestampMs>> {
        read_batches(log).iter().map(|(header, _)| header.delete_horizon()).collect()
    };
    assert_eq!(horizons(&log), [None, None, Some(TimestampMs(5000)), None]);
    assert!(!disk.list(Path::new(DIR)).unwrap().iter().any(|entry| entry.name.ends_with(".txnindex")));
    clean(&mut log, SETTINGS, 4999).unwrap();
    assert_eq!(kinds(&log).len(), 4);
    clean(&mut log, SETTINGS, 5000).unwrap();
    assert_eq!(kinds(&log), [(1, 1), (2, 1), (4, 1)]);
}

#[test]
fn what_kafka_left_of_a_compaction_is_finished_or_undone() {
    let disk = SimDisk::new();
    let mut log = filled(&disk);
    log.set_config(roomy());
    clean(&mut log, SETTINGS, 2000).unwrap();
    let compacted = offsets(&log);
    let start = LogStart { recovery_point: log.recovery_point(), clean: true, ..LogStart::default() };
    log.close(true, now(2000)).unwrap();
    drop(log);
    let rename = |from: &str, to: &str| {
        disk.rename(&Path::new(DIR).join(from), &Path::new(DIR).join(to)).unwrap();
    };
    let zero = format!("{:020}", 0);
    // Complete, and one of what it replaces came back.
    rename(&format!("{zero}.log"), &format!("{zero}.log.swap"));
    rename(&format!("{zero}.index"), &format!("{zero}.index.swap"));
    let stray = format!("{:020}.log", 6);
    disk.open(&Path::new(DIR).join(&stray), OpenMode::Create)
        .unwrap()
        .write_all_at(&keyed(&["a"], "old"), 0)
        .unwrap();
    let log = open(&disk, &config(), start, 3000);
    assert_eq!(offsets(&log), compacted);
    assert!(!names(&disk).contains(&stray));
    drop(log);
    // Not complete.
    let cleaned = format!("{zero}.log.cleaned");
    disk.open(&Path::new(DIR).join(&cleaned), OpenMode::Create).unwrap();
    disk.open(&Path::new(DIR).join(format!("{zero}.index.swap")), OpenMode::Create).unwrap();
    let log = open(&disk, &config(), start, 3000);
    assert_eq!(offsets(&log), compacted);
    assert!(!names(&disk).iter().any(|name| name.ends_with(".swap") || name.ends_with(".cleaned")));
}
