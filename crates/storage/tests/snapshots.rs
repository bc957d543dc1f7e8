//! The snapshots of producers that flushes write: how many, and that none is ever taken for what it is not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use ottla_model::batch::BatchBuilder;
use ottla_model::{LeaderEpoch, MonoMs, Now, Offset, ProducerEpoch, ProducerId, TimestampMs, TopicPartition};
use ottla_storage::{AppendOrigin, Disk, LogConfig, LogStart, PartitionLog, SimDisk};

const NOW: Now = Now { wall: TimestampMs(1_000_000), mono: MonoMs(0) };
const DIR: &str = "/data/t-0";

fn open(disk: &SimDisk, start: LogStart) -> PartitionLog {
    let (partition, config) = (TopicPartition::new("t", 0), Arc::new(LogConfig::default()));
    PartitionLog::open(Arc::new(disk.clone()), DIR.into(), partition, config, start, NOW)
        .expect("the simulated disk works")
}

/// One record of this many bytes.
fn append(log: &mut PartitionLog, producer: i64, sequence: i32, len: usize) {
    let mut builder =
        BatchBuilder::new(Offset::ZERO).producer(ProducerId(producer), ProducerEpoch(0), sequence);
    builder.push(NOW.wall, None, Some(&vec![b'x'; len]), &[]);
    let mut batch = builder.build().expect("a batch");
    log.append_as_leader(&mut batch, LeaderEpoch(0), AppendOrigin::Client, NOW)
        .expect("the simulated disk works");
}

/// One MiB and a little, of two sequence numbers.
fn append_megabyte(log: &mut PartitionLog, producer: i64, sequence: i32) {
    append(log, producer, sequence, 1 << 19);
    append(log, producer, sequence + 1, 1 << 19);
}

fn sequences(log: &PartitionLog) -> BTreeMap<i64, i32> {
    log.active_producers().map(|producer| (producer.producer_id.get(), producer.last_sequence)).collect()
}

fn killed(disk: &SimDisk, log: PartitionLog) -> PartitionLog {
    let recovery_point = log.recovery_point();
    drop(log);
    disk.kill();
    open(disk, LogStart { recovery_point, ..LogStart::default() })
}

/// The snapshots that are seen while a log of so many producers grows by 8 MB, flushed at each.
fn snapshots_seen(producers: i64) -> usize {
    let disk = SimDisk::new();
    let mut log = open(&disk, LogStart::new_log());
    for producer in 0..producers {
        append(&mut log, producer, 0, 10);
    }
    log.flush_now(NOW).expect("the simulated disk works");
    let mut seen = BTreeSet::new();
    for number in 0..8 {
        append_megabyte(&mut log, 0, 1 + 2 * number);
        log.flush_now(NOW).expect("the simulated disk works");
        let names = disk.list(Path::new(DIR)).expect("the simulated disk works").into_iter();
        seen.extend(names.map(|entry| entry.name).filter(|name| name.ends_with(".snapshot")));
    }
    let expected = sequences(&log);
    let log = killed(&disk, log);
    assert_eq!(sequences(&log), expected);
    seen.len()
}

#[test]
fn what_flushes_write_of_the_producers_is_little_beside_the_log() {
    assert_eq!(snapshots_seen(1), 8);
    // Some 200 KB: for each of them there are 16 of the log.
    assert_eq!(snapshots_seen(4_500), 2);
}

#[test]
fn a_snapshot_that_a_truncation_overtakes_is_not_taken_for_one_of_what_follows() {
    for is_written_first in [false, true] {
        let disk = SimDisk::new();
        let mut log = open(&disk, LogStart::new_log());
        append(&mut log, 1, 0, 10);
        append_megabyte(&mut log, 1, 1);
        let task = log.take_flush().expect("the simulated disk works").expect("a task");
        let mut outcome = None;
        if is_written_first {
            outcome = Some(task.run());
        }
        log.truncate_to(Offset(1), NOW).expect("the simulated disk works");
        let outcome = outcome.unwrap_or_else(|| task.run());
        log.flushed(&task, outcome, NOW).expect("the simulated disk works");
        for sequence in 0..3 {
            append(&mut log, 2, sequence, 10);
        }
        let expected = BTreeMap::from([(1, 0), (2, 2)]);
        assert_eq!(sequences(&log), expected);
        let log = killed(&disk, log);
        assert_eq!(sequences(&log), expected, "written first: {is_written_first}");
    }
}

#[test]
fn a_snapshot_that_was_never_written_is_not_missed() {
    let disk = SimDisk::new();
    let mut log = open(&disk, LogStart::new_log());
    append_megabyte(&mut log, 1, 0);
    drop(log.take_flush().expect("the simulated disk works"));
    append(&mut log, 1, 2, 10);
    append(&mut log, 1, 3, 10);
    log.truncate_to(Offset(3), NOW).expect("the simulated disk works");
    assert_eq!(sequences(&log), BTreeMap::from([(1, 2)]));
    log.flush_now(NOW).expect("the simulated disk works");
    assert_eq!(sequences(&killed(&disk, log)), BTreeMap::from([(1, 2)]));
}
