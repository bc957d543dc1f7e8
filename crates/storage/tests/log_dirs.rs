//! Log dirs on the simulated disk: identity, locks, creation, deletion, clean and unclean restarts.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_model::batch::BatchBuilder;
use ottla_model::{LeaderEpoch, Now, Offset, TimestampMs, TopicId, TopicPartition};
use ottla_storage::{
    AppendOrigin, ClosingLog, Disk, LogConfig, LogDir, MetaProperties, OffsetCheckpoint, OpenedLog,
    PartitionLog, SimDisk, StorageError,
};
use uuid::Uuid;

fn identity() -> MetaProperties {
    MetaProperties { cluster_id: "cluster".to_owned(), node_id: 4, directory_id: Some(Uuid::from_u128(9)) }
}

fn open(disk: &SimDisk) -> (LogDir, Vec<OpenedLog>) {
    let dir = LogDir::open(Arc::new(disk.clone()), PathBuf::from("/logs"), &identity()).unwrap();
    let logs = dir.open_logs(3, &|_, _| Arc::new(LogConfig::default()), Now::default()).unwrap();
    (dir, logs.logs)
}

fn partition(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition { topic: topic.into(), partition }
}

fn create(dir: &LogDir, partition: &TopicPartition) -> PartitionLog {
    let id = TopicId(Uuid::from_u128(77));
    dir.create_partition(partition, id, Arc::new(LogConfig::default()), Now::default()).unwrap()
}

fn append(log: &mut PartitionLog, count: usize) {
    let mut builder = BatchBuilder::new(Offset(0));
    for _ in 0..count {
        builder.push(TimestampMs(5), None, Some(b"v"), &[]);
    }
    let mut bytes = builder.build().unwrap();
    log.append_as_leader(&mut bytes, LeaderEpoch(0), AppendOrigin::Client, Now::default()).unwrap();
}

fn names(logs: &[OpenedLog]) -> Vec<String> {
    logs.iter()
        .map(|opened| {
            let partition = opened.log.topic_partition();
            format!("{}/{}", partition.topic, partition.partition)
        })
        .collect()
}

/// The simulated root directory has nobody who syncs it.
fn sync_root(disk: &SimDisk) {
    disk.sync_dir(Path::new("/")).unwrap();
}

#[test]
fn a_created_partition_survives_a_power_cut_and_a_deleted_one_does_not_come_back() {
    let disk = SimDisk::new();
    let (dir, _) = open(&disk);
    sync_root(&disk);
    let mut kept = create(&dir, &partition("a.b-c", 12));
    kept.flush_now(Now::default()).unwrap();
    let mut gone = create(&dir, &partition("a.b-c", 3));
    gone.flush_now(Now::default()).unwrap();
    gone.retire();
    let deleted =
        dir.delete_partitions(&[gone.topic_partition().clone()], || Uuid::from_u128(1)).unwrap().remove(0);
    assert_eq!(dir.delete_partitions(&[partition("a.b-c", 4)], || Uuid::from_u128(1)).unwrap(), []);
    assert!(deleted.path.to_string_lossy().ends_with("a.b-c-3.00000000000000000000000000000001-delete"));
    drop((dir, kept, gone));
    disk.crash();
    let (dir, logs) = open(&disk);
    assert_eq!(names(&logs), ["a.b-c/12"]);
    assert_eq!(logs[0].topic_id, Some(TopicId(Uuid::from_u128(77))));
    assert_eq!(
        dir.partitions().unwrap().deleted,
        std::slice::from_ref(&deleted),
        "what is left of it waits to be removed"
    );
    dir.remove_deleted(&deleted).unwrap();
    assert_eq!(dir.partitions().unwrap().deleted, []);
}

#[test]
fn what_was_set_aside_is_kept_and_told_at_each_start() {
    let disk = SimDisk::new();
    let (dir, _) = open(&disk);
    let mut stray = create(&dir, &partition("t", 3));
    append(&mut stray, 1);
    stray.retire();
    dir.set_aside(&[partition("t", 3)], || Uuid::from_u128(1)).unwrap();
    drop((dir, stray));
    for _ in 0..2 {
        let dir = LogDir::open(Arc::new(disk.clone()), PathBuf::from("/logs"), &identity()).unwrap();
        let found = dir.find_logs().unwrap();
        assert_eq!(found.strays, [Path::new("/logs/t-3.00000000000000000000000000000001-stray")]);
        assert_eq!((found.logs, found.deleted), (vec![], vec![]));
        assert!(disk.list(&found.strays[0]).unwrap().iter().any(|entry| entry.name.ends_with(".log")));
    }
}

#[test]
fn a_slice_outlives_the_partition() {
    let disk = SimDisk::new();
    let (dir, _) = open(&disk);
    let mut log = create(&dir, &partition("t", 0));
    append(&mut log, 2);
    let slice = log.read(Offset(0), 1_000, Offset(2), true).unwrap().slice.unwrap();
    let task = log.take_flush().unwrap().unwrap();
    log.retire();
    let deleted =
        dir.delete_partitions(&[log.topic_partition().clone()], || Uuid::from_u128(1)).unwrap().remove(0);
    let _ = task.run().unwrap();
    dir.remove_deleted(&deleted).unwrap();
    assert_eq!(slice.to_vec().unwrap().len(), slice.length as usize);
}

#[test]
fn a_second_process_is_kept_out_and_a_foreign_dir_refused() {
    let disk = SimDisk::new();
    let (dir, _) = open(&disk);
    let again = LogDir::open(Arc::new(disk.clone()), PathBuf::from("/logs"), &identity());
    assert!(matches!(again, Err(StorageError::Locked { .. })));
    assert_eq!(dir.directory_id(), Uuid::from_u128(9));
    drop(dir);
    let other = MetaProperties { node_id: 5, ..identity() };
    let other = LogDir::open(Arc::new(disk.clone()), PathBuf::from("/logs"), &other);
    assert!(matches!(other, Err(StorageError::Foreign { key: "node.id", .. })));
    assert_eq!(MetaProperties::read(&disk, Path::new("/logs")).unwrap(), Some(identity()));
}

#[test]
fn a_clean_close_is_durable_and_believed_once() {
    for count in [3, 20] {
        let disk = SimDisk::new();
        let (dir, _) = open(&disk);
        sync_root(&disk);
        let mut logs: Vec<PartitionLog> =
            (0..count).map(|number| create(&dir, &partition("t", number))).collect();
        for log in &mut logs {
            append(log, 5);
        }
        logs[0].increment_log_start_offset(Offset(2));
        let closing = logs.iter_mut().map(|log| ClosingLog { log, high_watermark: Offset(4) }).collect();
        dir.close(closing, 2, 33, Now::default()).unwrap();
        drop((dir, logs));
        disk.crash();
        let (dir, logs) = open(&disk);
        assert_eq!(dir.clean_shutdown(), Some(33));
        assert!(logs.iter().all(|opened| opened.log.log_end_offset() == Offset(5)));
        assert!(logs.iter().all(|opened| opened.high_watermark == Offset(4)));
        assert_eq!(logs[0].log.log_start_offset(), Offset(2));
        drop((dir, logs));
        disk.crash();
        let (dir, _) = open(&disk);
        assert_eq!(dir.clean_shutdown(), None, "this time nobody closed it");
    }
}

#[test]
fn checkpoints_read_back() {
    let disk = SimDisk::new();
    let (dir, _) = open(&disk);
    let offsets = BTreeMap::from([(partition("a-b", 0), Offset(7)), (partition("z", 11), Offset(0))]);
    dir.write_checkpoint(OffsetCheckpoint::Replication, &offsets).unwrap();
    assert_eq!(OffsetCheckpoint::Replication.read(&disk, dir.path()).unwrap(), offsets);
    let text = disk.read(&dir.path().join("replication-offset-checkpoint")).unwrap();
    assert_eq!(text, b"0\n2\na-b 0 7\nz 11 0\n");
    dir.mark_offline();
    assert!(dir.write_checkpoint(OffsetCheckpoint::Replication, &offsets).is_err());
}
