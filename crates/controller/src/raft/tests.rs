//! openraft's own suite over our stores, and what it does not cover: crashes.

use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use ottla_metadata::{DirectoryId, MetadataImage, MetadataRecord, TopicRecord};
use ottla_model::{BrokerId, TimestampMs, TopicId};
use ottla_storage::{Disk, RealDisk, Seeded, SimDisk};
use parking_lot::Mutex;

use super::log_store::LogStore;
use super::meta_pair::MetaPair;
use super::meta_store::MetaStore;
use super::quorum::{ProposeError, Quorum, QuorumConfig};
use super::snapshot::SnapshotStore;
use super::snapshot_clock::SnapshotLimits;
use super::state_machine::StateMachine;
use super::twin_store::TwinStore;
use super::types::TypeConfig;
use crate::error::StartError;
use crate::publish::Publisher;

const SEGMENT_BYTES: u64 = 1_000;

fn stores(disk: Arc<dyn Disk>, dir: &Path, meta: Arc<dyn MetaStore>) -> (LogStore, StateMachine) {
    disk.create_dir(dir).unwrap();
    let log = LogStore::open(disk.clone(), dir, meta.clone(), SEGMENT_BYTES).unwrap();
    let publisher = Arc::new(Publisher::new(MetadataImage::new("cluster")));
    let snapshots = SnapshotStore::new(disk, dir, meta);
    let machine = StateMachine::open(
        "cluster".into(),
        publisher,
        snapshots,
        log.clone(),
        tokio::sync::watch::Sender::new(None),
    )
    .unwrap();
    (log, machine)
}

struct Simulated;

impl StoreBuilder<TypeConfig, LogStore, StateMachine> for Simulated {
    async fn build(&self) -> Result<((), LogStore, StateMachine), StorageError<TypeConfig>> {
        let (disk, dir) = (Arc::new(SimDisk::new()), Path::new("/log"));
        disk.create_dir(dir).unwrap();
        let meta: Arc<dyn MetaStore> = Arc::new(TwinStore::open(disk.as_ref(), dir).unwrap());
        let (log, machine) = stores(disk, dir, meta);
        Ok(((), log, machine))
    }
}

struct OnDisk;

impl StoreBuilder<TypeConfig, LogStore, StateMachine, tempfile::TempDir> for OnDisk {
    async fn build(&self) -> Result<(tempfile::TempDir, LogStore, StateMachine), StorageError<TypeConfig>> {
        let dir = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let meta: Arc<dyn MetaStore> = Arc::new(MetaPair::open(&disk, dir.path()).unwrap().0);
        let (log, machine) = stores(disk, &dir.path().join("log"), meta);
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
    store: Mutex<Weak<TwinStore>>,
}

impl Crashing {
    fn new() -> Self {
        Self { disk: SimDisk::new(), store: Mutex::default() }
    }

    /// After a clean stop: openraft's workers have ended, a snapshot under way is written, and nobody touches the disk.
    async fn closed(&self) {
        while self.store.lock().strong_count() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn start(&self) -> (Quorum, Arc<Publisher>) {
        self.try_start().await.unwrap()
    }

    async fn try_start(&self) -> Result<(Quorum, Arc<Publisher>), StartError> {
        let disk: Arc<dyn Disk> = Arc::new(self.disk.of_process());
        let dir = Path::new("/log");
        let io = |source| StartError::Io { path: dir.to_owned(), source };
        disk.create_dir(dir).and_then(|()| disk.sync_dir(Path::new("/"))).map_err(io)?;
        let publisher = Arc::new(Publisher::new(MetadataImage::new("cluster")));
        let config = QuorumConfig {
            dir: "/log".into(),
            node_id: BrokerId(1),
            directory_id: DirectoryId::default(),
            cluster_id: "cluster".into(),
            segment_bytes: SEGMENT_BYTES,
            snapshot_every_entries: 10,
            snapshots: SnapshotLimits { bytes_max: u64::MAX, interval: None },
            peers: None,
        };
        let meta = Arc::new(TwinStore::open(disk.as_ref(), dir).map_err(io)?);
        *self.store.lock() = Arc::downgrade(&meta);
        let quorum = Quorum::start_with(config, disk, meta, publisher.clone()).await?;
        Ok((quorum, publisher))
    }
}

fn create(name: &str) -> Vec<MetadataRecord> {
    let topic_id = TopicId(uuid::Uuid::new_v4());
    vec![MetadataRecord::Topic(TopicRecord { name: name.to_owned(), topic_id })]
}

#[tokio::test]
async fn a_power_cut_loses_nothing_that_was_answered() {
    let node = Crashing::new();
    let mut answered = 0;
    for start in 0..12 {
        let (quorum, publisher) = node.start().await;
        assert_eq!(publisher.image().topics().len(), answered, "after start {start}");
        let term = quorum.leading_term().unwrap();
        for i in 0..7 {
            quorum.propose(term, TimestampMs(1), create(&format!("t{start}-{i}"))).await.unwrap();
            answered += 1;
        }
        node.disk.crash();
        quorum.shutdown().await;
    }
}

/// The whole quorum, whose tasks and threads do as they please: what was answered, whenever the power fails. What each
/// file makes of it, change by change, is in `power_tests`.
#[tokio::test]
async fn a_power_cut_at_any_change_loses_nothing_that_was_answered() {
    let (mut failed_starts, mut failed_proposals) = (0, 0);
    for seed in 0..40 {
        let node = Crashing::new();
        let mut random = Seeded::new(seed);
        let mut answered = std::collections::BTreeSet::<String>::new();
        for start in 0..6 {
            // The last start must succeed.
            node.disk.fail_after(if start < 5 { random.below(70) } else { u64::MAX - 1 });
            let (quorum, publisher) = match node.try_start().await {
                Ok(started) => started,
                Err(error) => {
                    assert!(node.disk.failed().is_some(), "seed {seed}: {error}");
                    failed_starts += 1;
                    node.disk.power_cut(random.bits());
                    continue;
                }
            };
            let image = publisher.image();
            let missing: Vec<&String> = answered.iter().filter(|name| image.topic(name).is_none()).collect();
            assert!(missing.is_empty(), "seed {seed}, start {start}: {missing:?}");
            for i in 0..15 {
                let name = format!("t{start}-{i}");
                let Some(term) = quorum.leading_term() else { break };
                match quorum.propose(term, TimestampMs(1), create(&name)).await {
                    Ok(()) => answered.insert(name),
                    Err(_) => break,
                };
            }
            failed_proposals += u32::from(node.disk.failed().is_some());
            node.disk.power_cut(random.bits());
            quorum.shutdown().await;
        }
        assert!(!answered.is_empty(), "seed {seed}");
    }
    assert!(failed_starts > 10 && failed_proposals > 10, "{failed_starts} {failed_proposals}");
}

#[tokio::test]
async fn a_disk_that_fails_ends_the_quorum_which_says_why() {
    let node = Crashing::new();
    let (quorum, _publisher) = node.start().await;
    let term = quorum.leading_term().unwrap();
    quorum.propose(term, TimestampMs(1), create("kept")).await.unwrap();
    let failure = tokio::spawn(quorum.failure());
    node.disk.fail_after(0);
    let failed = quorum.propose(term, TimestampMs(1), create("lost")).await;
    assert!(matches!(failed, Err(ProposeError::Failed(_))), "{failed:?}");
    let why = tokio::time::timeout(Duration::from_secs(10), failure).await.unwrap().unwrap();
    assert!(why.contains("the power is off"), "{why}");
    quorum.shutdown().await;
}

#[tokio::test]
async fn a_proposal_of_an_older_term_is_dropped() {
    let node = Crashing::new();
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
    let node = Crashing::new();
    let (quorum, _publisher) = node.start().await;
    let term = quorum.leading_term().unwrap();
    for i in 0..400 {
        quorum.propose(term, TimestampMs(1), create(&format!("t{i}"))).await.unwrap();
    }
    quorum.shutdown().await;
    node.closed().await;
    let names: Vec<String> =
        node.disk.list(Path::new("/log")).unwrap().into_iter().map(|entry| entry.name).collect();
    let count = |suffix: &str| names.iter().filter(|name| name.ends_with(suffix)).count();
    assert_eq!(count(".checkpoint"), 1, "{names:?}");
    assert!(count(".log") < 20, "{names:?}");
    let (quorum, publisher) = node.start().await;
    assert_eq!(publisher.image().topics().len(), 400);
    quorum.shutdown().await;
}
