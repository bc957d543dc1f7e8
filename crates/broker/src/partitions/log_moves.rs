//! AlterReplicaLogDirs (KIP-113) at work: one thread copies logs into other log dirs while they are written and read, and
//! puts each copy in its log's place once it has caught up.

mod mover;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use ottla_config::BrokerConfig;
use ottla_model::{Offset, TopicPartition};
use ottla_storage::{LogDir, future_dir_name};
use parking_lot::{Condvar, Mutex};
use uuid::Uuid;

use super::{Absent, DirAssignments, LogHome, Partition, Partitions};
use crate::clock::Clock;

/// A file system's longest name.
const NAME_LEN_MAX: usize = 255;

/// Why a replica cannot be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MoveRefused {
    /// The name of the future log's directory would not fit.
    TopicNameTooLong,
    NoSuchDir,
    /// The wanted dir, or the replica, or any other dir: a future log could be in it already.
    Offline,
    Cordoned,
    /// It will be made in the wanted dir if it comes to be; one that is still to be opened stays where it is.
    Absent(Absent),
}

/// A move under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunningMove {
    pub name: TopicPartition,
    /// The log dir it goes to.
    pub dir: PathBuf,
    pub size: u64,
    /// Records that the copy lacks.
    pub lag: i64,
}

/// What the moves work with.
#[derive(Debug)]
pub(crate) struct LogMovesParts {
    pub logs: Arc<LogHome>,
    pub partitions: Arc<Partitions>,
    pub assignments: Arc<DirAssignments>,
    pub config: Arc<ArcSwap<BrokerConfig>>,
    pub clock: Clock,
}

/// All moves, and the thread that makes them.
#[derive(Debug)]
pub(crate) struct LogMoves {
    mover: Arc<Mover>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Mover {
    parts: LogMovesParts,
    plan: Mutex<Plan>,
    news: Condvar,
}

#[derive(Debug, Default)]
struct Plan {
    /// The logs that they move are not compacted.
    moves: BTreeMap<TopicPartition, Move>,
    next_id: u64,
    /// Grows with each change of `moves`.
    version: u64,
    closed: bool,
}

#[derive(Clone, Debug)]
struct Move {
    /// Tells a move from a later one of the same partition.
    id: u64,
    partition: Arc<Partition>,
    to: usize,
    size: u64,
    log_end_offset: Offset,
}

impl Plan {
    fn remove(&mut self, name: &TopicPartition) {
        if let Some(job) = self.moves.remove(name) {
            job.partition.resume_cleaning();
        }
        self.version += 1;
    }
}

impl LogMoves {
    /// Starts the thread, and the moves that the last stop has interrupted.
    pub(crate) fn start(parts: LogMovesParts) -> std::io::Result<Self> {
        let mover = Arc::new(Mover { parts, plan: Mutex::default(), news: Condvar::new() });
        let working = Arc::clone(&mover);
        let thread =
            std::thread::Builder::new().name("alter-log-dirs".to_owned()).spawn(move || working.work())?;
        Ok(Self { mover, thread: Mutex::new(Some(thread)) })
    }

    /// Begins anew what the last stop has interrupted; the replicas are open.
    pub(crate) fn resume(&self) {
        for (name, to) in self.mover.parts.logs.take_interrupted() {
            if let Ok(partition) = self.mover.parts.partitions.by_name(&name.topic, name.partition) {
                tracing::info!(partition = %name, "an interrupted move to another log dir begins anew");
                self.mover.plan(&partition, to);
            }
        }
    }

    /// Moves a replica to the log dir `destination`, an absolute path as `log.dirs` has it. To where it is: any move of it
    /// is given up.
    pub(crate) fn alter(&self, name: &TopicPartition, destination: &str) -> Result<(), MoveRefused> {
        if future_dir_name(name, Uuid::nil()).len() > NAME_LEN_MAX {
            return Err(MoveRefused::TopicNameTooLong);
        }
        let LogMovesParts { logs, partitions, .. } = &self.mover.parts;
        let is_it = |path: &Path| absolute(path).as_os_str() == destination;
        let Some(to) = logs.dirs().iter().position(|dir| is_it(dir.path())) else {
            let is_missing = logs.missing().any(is_it);
            return Err(if is_missing { MoveRefused::Offline } else { MoveRefused::NoSuchDir });
        };
        let dir = &logs.dirs()[to];
        if dir.is_offline() {
            return Err(MoveRefused::Offline);
        }
        if logs.is_cordoned(dir.path()) {
            return Err(MoveRefused::Cordoned);
        }
        match partitions.by_name(&name.topic, name.partition) {
            Ok(partition) if partition.log_dir().as_deref() == Some(dir.path()) => self.mover.forget(name),
            Ok(_) if logs.has_offline() => return Err(MoveRefused::Offline),
            Ok(partition) => self.mover.plan(&partition, to),
            Err(Absent::Offline) => return Err(MoveRefused::Offline),
            Err(absent @ Absent::Opening) => return Err(MoveRefused::Absent(absent)),
            Err(absent) => {
                logs.prefer(name.clone(), to);
                return Err(MoveRefused::Absent(absent));
            }
        }
        Ok(())
    }

    /// The moves under way.
    pub(crate) fn running(&self) -> Vec<RunningMove> {
        let plan = self.mover.plan.lock();
        let running = plan.moves.iter().map(|(name, job)| RunningMove {
            name: name.clone(),
            dir: self.mover.dir(job.to).path().to_path_buf(),
            size: job.size,
            lag: job.partition.log_end_offset().get() - job.log_end_offset.get(),
        });
        running.collect()
    }

    /// Ends the thread; the next start begins what is under way anew.
    pub(crate) fn close(&self) {
        self.mover.plan.lock().closed = true;
        self.mover.news.notify_all();
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that moves logs panicked");
        }
    }
}

impl Mover {
    fn dir(&self, number: usize) -> &LogDir {
        &self.parts.logs.dirs()[number]
    }

    fn plan(&self, partition: &Arc<Partition>, to: usize) {
        let mut plan = self.plan.lock();
        if plan.moves.get(&partition.name).is_some_and(|job| job.to == to && job.partition.id == partition.id)
        {
            return;
        }
        plan.next_id += 1;
        let (id, partition) = (plan.next_id, Arc::clone(partition));
        let job = Move { id, partition, to, size: 0, log_end_offset: Offset::ZERO };
        job.partition.pause_cleaning();
        plan.moves.insert(job.partition.name.clone(), job);
        plan.version += 1;
        self.news.notify_all();
    }

    fn forget(&self, name: &TopicPartition) {
        let mut plan = self.plan.lock();
        plan.remove(name);
        self.news.notify_all();
    }
}

/// The path as Kafka names a log dir.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()).components().collect()
}
