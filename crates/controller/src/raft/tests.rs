//! openraft's own suite over our stores, and what it does not cover: crashes.

use std::path::Path;
use std::sync::Arc;

use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use ottla_metadata::{DirectoryId, MetadataImage, MetadataRecord, TopicRecord};
use ottla_model::{BrokerId, TimestampMs, TopicId};
use ottla_storage::{Disk, RealDisk, SimDisk};

use super::log_store::LogStore;
use super::memory_store::MemoryStore;
use super::meta_store::{MetaStore, SledStore};
use super::quorum::{ProposeError, Quorum, QuorumConfig};
use super::snapshot::SnapshotStore;
use super::snapshot_clock::SnapshotLimits;
use super::state_machine::StateMachine;
use super::types::TypeConfig;
use crate::publish::Publisher;

const SEGMENT_BYTES: u64 = 1_000;

fn stores(disk: Arc<dyn Disk>, dir: &Path, meta: Arc<dyn MetaStore>) -> (LogStore, StateMachine) {
    disk.create_dir(dir).unwrap();
    let log = LogStore::open(disk.clone(), dir, meta.clone(), SEGMENT_BYTES).unwrap();
    let publisher = Arc::new(Publisher::new(MetadataImage::new("cluster")));
    let snapshots = SnapshotStore::new(disk, dir, meta);
    let machine = StateMachine::open("cluster".into(), publisher, snapshots, log.clone()).unwrap();
    (log, machine)
}

struct Simulated;

impl StoreBuilder<TypeConfig, LogStore, StateMachine> for Simulated {
    async fn build(&self) -> Result<((), LogStore, StateMachine), StorageError<TypeConfig>> {
        let meta: Arc<dyn MetaStore> = Arc::new(MemoryStore::default());
        let (log, machine) = stores(Arc::new(SimDisk::new()), Path::new("/log"), meta);
        Ok(((), log, machine))
    }
}

struct OnDisk;

impl StoreBuilder<TypeConfig, LogStore, StateMachine, tempfile::TempDir> for OnDisk {
    async fn build(&self) -> Result<(tempfile::TempDir, LogStore, StateMachine), StorageError<TypeConfig>> {
        let dir = tempfile::tempdir().unwrap();
        let meta: Arc<dyn MetaStore> = Arc::new(SledStore::open(&dir.path().join("sled")).unwrap().0);
        let (log, machine) = stores(Arc::new(RealDisk), &dir.path().join("log"), meta);
        Ok((dir, log, machine))
    }
}

#[tokio::test]
async fn suite_passes_in_memory() {
    Suite::test_all(Simulated).await.unwrap();
}

#[tokio::test]
async fn suite_passes_on_sled_and_files() {
    Suite::test_all(OnDisk).await.unwrap();
}

/// A log with its twin of a disk; what was answered must survive the loss of everything that was not synced. Tasks of
/// the quorum outlive a crash for a moment; their disk does not.
struct Crashing {
    disk: SimDisk,
    meta: MemoryStore,
}

impl Crashing {
    async fn start(&self) -> (Quorum, Arc<Publisher>) {
        let disk: Arc<dyn Disk> = Arc::new(self.disk.of_process());
        disk.create_dir(Path::new("/log")).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        let publisher = Arc::new(Publisher::new(MetadataImage::new("cluster")));
        let config = QuorumConfig {
            dir: "/log".into(),
            node_id: BrokerId(1),
            directory_id: DirectoryId::default(),
            cluster_id: "cluster".into(),
            segment_bytes: SEGMENT_BYTES,
            snapshot_every_entries: 10,
            snapshots: SnapshotLimits { bytes_max: u64::MAX, interval: None },
        };
        let meta = Arc::new(self.meta.of_process());
        let quorum = Quorum::start_with(config, disk, meta, publisher.clone()).await.unwrap();
        (quorum, publisher)
    }

    fn crash(&self) {
        self.disk.crash();
        self.meta.crash();
    }
}

fn create(name: &str) -> Vec<MetadataRecord> {
    let topic_id = TopicId(uuid::Uuid::new_v4());
    vec![MetadataRecord::Topic(TopicRecord { name: name.to_owned(), topic_id })]
}

#[tokio::test]
async fn a_power_cut_loses_nothing_that_was_answered() {
    let node = Crashing { disk: SimDisk::new(), meta: MemoryStore::default() };
    let mut answered = 0;
    for start in 0..12 {
        let (quorum, publisher) = node.start().await;
        assert_eq!(publisher.image().topics().len(), answered, "after start {start}");
        let term = quorum.leading_term().unwrap();
        for i in 0..7 {
            quorum.propose(term, TimestampMs(1), create(&format!("t{start}-{i}"))).await.unwrap();
            answered += 1;
        }
        node.crash();
        quorum.shutdown().await;
    }
}

#[tokio::test]
async fn a_disk_that_fails_ends_the_quorum_which_says_why() {
    let node = Crashing { disk: SimDisk::new(), meta: MemoryStore::default() };
    let (quorum, _publisher) = node.start().await;
    let term = quorum.leading_term().unwrap();
    quorum.propose(term, TimestampMs(1), create("kept")).await.unwrap();
    let failure = tokio::spawn(quorum.failure());
    node.disk.fail_after(0);
    let failed = quorum.propose(term, TimestampMs(1), create("lost")).await;
    assert!(matches!(failed, Err(ProposeError::Failed(_))), "{failed:?}");
    let why = tokio::time::timeout(std::time::Duration::from_secs(10), failure).await.unwrap().unwrap();
    assert!(why.contains("the power is off"), "{why}");
    quorum.shutdown().await;
}

#[tokio::test]
async fn a_proposal_of_an_older_term_is_dropped() {
    let node = Crashing { disk: SimDisk::new(), meta: MemoryStore::default() };
    let (quorum, publisher) = node.start().await;
    let term = quorum.leading_term().unwrap();
    let dropped = quorum.propose(term - 1, TimestampMs(1), create("late")).await;
    assert_eq!(dropped, Err(ProposeError::NotLeader { leader: None }));
    quorum.propose(term, TimestampMs(1), create("fresh")).await.unwrap();
    assert!(publisher.image().topic("late").is_none());
    assert!(publisher.image().topic("fresh").is_some());
    quorum.shutdown().await;
}

#[tokio::test]
async fn the_log_is_purged_behind_snapshots() {
    let node = Crashing { disk: SimDisk::new(), meta: MemoryStore::default() };
    let (quorum, _publisher) = node.start().await;
    let term = quorum.leading_term().unwrap();
    for i in 0..400 {
        quorum.propose(term, TimestampMs(1), create(&format!("t{i}"))).await.unwrap();
    }
    quorum.shutdown().await;
    let names: Vec<String> =
        node.disk.list(Path::new("/log")).unwrap().into_iter().map(|entry| entry.name).collect();
    let count = |suffix: &str| names.iter().filter(|name| name.ends_with(suffix)).count();
    assert_eq!(count(".checkpoint"), 1, "{names:?}");
    assert!(count(".log") < 20, "{names:?}");
    let (quorum, publisher) = node.start().await;
    assert_eq!(publisher.image().topics().len(), 400);
    quorum.shutdown().await;
}
