//! A produce request's records against a log.

use std::path::PathBuf;
use std::sync::Arc;

use ottla_model::batch::{Compression, TimestampType, batches};
use ottla_model::{LeaderEpoch, MonoMs, Now, Offset, TimestampMs, TopicPartition};
use ottla_storage::{AppendOrigin, CleanupPolicy, LogConfig, LogStart, PartitionLog, SimDisk};

use super::Target;
use super::batches::{make_sound, samples};

pub(crate) const APPENDS: Target = Target {
    name: "appends",
    about: "a topic's settings, then records: refused, or readable as they were taken, and still so after a kill -9",
    run,
    quick: 10_000,
    seeds: || {
        samples().flat_map(|sample| (0..8).map(move |settings| [&[settings], &sample[..]].concat())).collect()
    },
};

pub(crate) const NOW: Now = Now { wall: TimestampMs(1_000), mono: MonoMs(10) };

fn run(bytes: &[u8]) {
    let Some((settings, records)) = bytes.split_first() else { return };
    let mut records = records.to_vec();
    make_sound(&mut records);
    let disk = SimDisk::new();
    let config = Arc::new(config(*settings));
    let mut log = open(&disk, &config, LogStart::new_log());
    for _ in 0..2 {
        let mut copy = records.clone();
        let _ = log.append_as_leader(&mut copy, LeaderEpoch(2), AppendOrigin::Client, NOW);
    }
    let before = contents(&mut log);
    let start = LogStart { log_start_offset: log.log_start_offset(), ..LogStart::default() };
    drop(log);
    disk.kill();
    let mut log = open(&disk, &config, start);
    assert_eq!(contents(&mut log), before, "what recovery found is not what was taken");
}

/// The settings that decide how records are looked at.
fn config(settings: u8) -> LogConfig {
    let is = |bit: u8| settings & bit != 0;
    LogConfig {
        cleanup_policy: CleanupPolicy { delete: true, compact: is(1) },
        compression: is(2).then_some(Compression::Zstd),
        message_timestamp_type: if is(4) { TimestampType::LogAppendTime } else { TimestampType::CreateTime },
        message_timestamp_before_max_ms: if is(8) { 500 } else { i64::MAX },
        max_decompressed_message_bytes: 100_000,
        segment_bytes: 4_096,
        index_interval_bytes: 64,
        ..LogConfig::default()
    }
}

pub(crate) fn open(disk: &SimDisk, config: &Arc<LogConfig>, start: LogStart) -> PartitionLog {
    let partition = TopicPartition { topic: "t".into(), partition: 0 };
    let opened = PartitionLog::open(Arc::new(disk.clone()), dir(), partition, Arc::clone(config), start, NOW);
    opened.unwrap_or_else(|error| panic!("a log of our own does not open: {error}"))
}

pub(crate) fn dir() -> PathBuf {
    PathBuf::from("/d/t-0")
}

/// All batches of a sound log, each with its offsets in order; and every way to ask by time.
fn contents(log: &mut PartitionLog) -> Vec<Vec<u8>> {
    let (mut from, end) = (log.log_start_offset(), log.log_end_offset());
    let mut all = Vec::new();
    while from < end {
        let bytes = log.read_bytes(from, 1).unwrap_or_else(|error| panic!("offset {from} of {end}: {error}"));
        let first = batches(&bytes).next().and_then(Result::ok);
        let Some((header, batch)) = first else { panic!("nothing sound at offset {from} of {end}") };
        assert!(header.base_offset <= from && header.next_offset() > from, "{header:?} at {from}");
        header.verify(batch).unwrap_or_else(|error| panic!("offset {from}: {error}"));
        from = header.next_offset();
        all.push(batch.to_vec());
    }
    assert_eq!(from, end.max(from));
    let _ = log.max_timestamp();
    for time in [i64::MIN, -1, 0, 100, 1_000, i64::MAX] {
        if let Ok(Some(found)) = log.offset_for_timestamp(TimestampMs(time)) {
            assert!(
                found.timestamp.get() >= time && found.offset < end && found.offset >= Offset(0),
                "{found:?}"
            );
        }
    }
    all
}
