//! A log dir that a real Kafka 4.4.0 wrote (see `testdata/kafka-4.4.0/README.md`) opens, and reads as Kafka reads it.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_model::batch::{BatchHeader, Compression, Records, batches, decompress};
use ottla_model::{LeaderEpoch, Now, Offset, ProducerEpoch, TimestampMs};
use ottla_storage::{LogConfig, LogDir, MetaProperties, OpenedLog, PartitionLog, RealDisk};

fn now() -> Now {
    Now { wall: TimestampMs(1_700_000_000_000 + 1_000_000), ..Now::default() }
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

struct Sample {
    dir: tempfile::TempDir,
}

impl Sample {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let from = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/kafka-4.4.0");
        copy_dir(&from, dir.path());
        Self { dir }
    }

    fn open(&self) -> (LogDir, Vec<OpenedLog>) {
        let identity = MetaProperties {
            cluster_id: "AAAAAAAAAAAAAAAAAAAAAg".to_owned(),
            node_id: 1,
            directory_id: None,
        };
        let dir = LogDir::open(Arc::new(RealDisk), self.dir.path().to_path_buf(), &identity).unwrap();
        let config = Arc::new(LogConfig { index_interval_bytes: 1024, ..LogConfig::default() });
        let logs = dir.open_logs(2, &|_, _| Arc::clone(&config), now()).unwrap().logs;
        (dir, logs)
    }
}

/// Offset, timestamp, key and the front of the value of each record, as `sample-0.records` has them.
fn records_of(log: &PartitionLog) -> Vec<String> {
    let mut lines = Vec::new();
    let mut from = log.log_start_offset();
    while from < log.log_end_offset() {
        let bytes = log.read_bytes(from, 5_000).unwrap();
        for batch in batches(&bytes) {
            // The read may end inside a batch.
            let Ok((header, batch)) = batch else { break };
            header.verify(batch).unwrap();
            let section = decompress(&header, batch, 1 << 20).unwrap();
            for record in Records::new(&header, &section) {
                let record = record.unwrap();
                let key = String::from_utf8_lossy(record.key.unwrap()).into_owned();
                let value = String::from_utf8_lossy(&record.value.unwrap()[..8]).into_owned();
                lines.push(format!("{} {} {key} {value}", record.offset, record.timestamp));
            }
            from = header.next_offset();
        }
    }
    lines
}

fn expected() -> Vec<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/kafka-4.4.0/sample-0.records");
    fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn every_record_reads_as_kafka_reads_it() {
    let sample = Sample::new();
    let (dir, logs) = sample.open();
    assert_eq!(dir.clean_shutdown(), Some(13));
    let log = &logs[0].log;
    assert_eq!(logs[0].high_watermark, Offset(500));
    assert_eq!(logs[0].topic_id.unwrap().to_base64().len(), 22);
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (Offset(0), Offset(500)));
    assert_eq!(log.segment_count(), 5);
    assert_eq!(log.latest_epoch(), Some(LeaderEpoch(0)));
    assert_eq!(records_of(log), expected());
    let producers: Vec<_> = log.active_producers().collect();
    assert_eq!(producers.len(), 5);
    assert!(producers.iter().all(|p| p.producer_epoch == ProducerEpoch(0) && p.last_sequence == 99));
}

#[test]
fn every_codec_is_there() {
    let sample = Sample::new();
    let (_dir, logs) = sample.open();
    let codec_at = |offset| {
        let bytes = logs[0].log.read_bytes(Offset(offset), 1).unwrap();
        BatchHeader::read(&bytes).unwrap().compression().unwrap()
    };
    let codecs = [0, 100, 200, 300, 400].map(codec_at);
    let all =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
    assert_eq!(codecs, all);
}

#[test]
fn time_lookup_finds_the_first_record_at_or_after() {
    let sample = Sample::new();
    let (_dir, mut logs) = sample.open();
    let log = &mut logs[0].log;
    let records: Vec<(i64, i64)> = expected()
        .iter()
        .map(|line| {
            let mut words = line.split(' ').map(str::parse);
            (words.next().unwrap().unwrap(), words.next().unwrap().unwrap())
        })
        .collect();
    for (_, timestamp) in &records {
        for wanted in [timestamp - 1, *timestamp, timestamp + 1] {
            let naive = records.iter().find(|(_, timestamp)| *timestamp >= wanted).map(|(offset, _)| *offset);
            let found = log.offset_for_timestamp(TimestampMs(wanted)).unwrap();
            assert_eq!(found.map(|found| found.offset.get()), naive, "timestamp {wanted}");
        }
    }
    let largest = records.iter().map(|(_, timestamp)| *timestamp).max().unwrap();
    let first = records.iter().find(|(_, timestamp)| *timestamp == largest).unwrap().0;
    let found = log.max_timestamp().unwrap().unwrap();
    assert_eq!((found.timestamp.get(), found.offset.get()), (largest, first));
}

#[test]
fn recovery_without_clean_shutdown_keeps_everything_and_rebuilds_the_indexes() {
    let sample = Sample::new();
    let files = || -> Vec<(String, Vec<u8>)> {
        let dir = sample.dir.path().join("sample-0");
        let mut files: Vec<_> = fs::read_dir(&dir)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| !path.to_string_lossy().contains("epoch"))
            .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap()))
            .collect();
        files.sort();
        files
    };
    let before = files();
    fs::remove_file(sample.dir.path().join(".kafka_cleanshutdown")).unwrap();
    fs::remove_file(sample.dir.path().join("recovery-point-offset-checkpoint")).unwrap();
    for name in ["00000000000000000000.index", "00000000000000000100.timeindex"] {
        fs::remove_file(sample.dir.path().join("sample-0").join(name)).unwrap();
    }
    let (_dir, mut logs) = sample.open();
    assert_eq!(records_of(&logs[0].log), expected());
    logs[0].log.close(true, now()).unwrap();
    for ((name, bytes), (kafka_name, kafka_bytes)) in files().iter().zip(&before) {
        assert_eq!(name, kafka_name);
        // Kafka indexes what one append wrote, which is what one batch is here: the same entries.
        assert_eq!(bytes, kafka_bytes, "{name} differs from Kafka's");
    }
}

#[test]
fn transactions_load_without_harm() {
    let sample = Sample::new();
    let (_dir, logs) = sample.open();
    let log = &logs[1].log;
    assert_eq!(log.log_end_offset(), Offset(16));
    assert_eq!(log.first_undecided_offset(), None);
    let producers: Vec<_> = log.active_producers().collect();
    assert_eq!(producers.len(), 1);
    assert_eq!(producers[0].current_txn_start_offset, None);
}

#[test]
fn a_dir_of_another_cluster_or_node_is_refused() {
    let sample = Sample::new();
    for (cluster_id, node_id, expected) in [
        ("BBBBBBBBBBBBBBBBBBBBBg", 1, "belongs to cluster.id AAAAAAAAAAAAAAAAAAAAAg"),
        ("AAAAAAAAAAAAAAAAAAAAAg", 2, "belongs to node.id 1, this is node.id 2"),
    ] {
        let identity = MetaProperties { cluster_id: cluster_id.to_owned(), node_id, directory_id: None };
        let error = LogDir::open(Arc::new(RealDisk), sample.dir.path().to_path_buf(), &identity).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}
