//! One engine with the partition that it writes to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ottla_coordinator::{CoreConfig, NotActive, Outcome, ShardCore, WriteError};
use ottla_group_coordinator::{GroupError, GroupResponse};
use ottla_model::{LeaderEpoch, MonoMs, Now, Offset};
use ottla_storage::AppendError as LogError;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::sleep_until;

use super::ask::{Shard, Token};
use crate::clock::Clock;
use crate::partitions::{AppendError, Flusher, Partition};

type Core = ShardCore<Shard>;
type Answers = Vec<(Token, GroupResponse)>;

/// The coordinator of the groups of one partition, for one leadership.
#[derive(Debug)]
pub(super) struct Coordinator {
    pub(super) partition: Arc<Partition>,
    pub(super) leader_epoch: LeaderEpoch,
    pub(super) clock: Clock,
    flusher: Arc<Flusher>,
    core: Mutex<Core>,
    /// The high watermark moved, or there is an earlier deadline than the one slept for.
    pub(super) moved: Arc<Notify>,
    sleeps_until: AtomicU64,
}

impl Coordinator {
    /// One that is still to be loaded.
    pub(super) fn new(
        partition: Arc<Partition>,
        leader_epoch: LeaderEpoch,
        shard: Shard,
        config: CoreConfig,
        flusher: Arc<Flusher>,
        clock: Clock,
    ) -> Self {
        Self {
            partition,
            leader_epoch,
            clock,
            flusher,
            core: Mutex::new(ShardCore::new(shard, config)),
            moved: Arc::new(Notify::new()),
            sleeps_until: AtomicU64::new(u64::MAX),
        }
    }

    /// Runs an operation that may write.
    pub(super) fn write(
        &self,
        op: impl FnOnce(&mut Shard, Now, &mut Outcome<Shard>),
    ) -> Result<(), NotActive> {
        self.drive(|core, now| core.write(now, |shard, out| op(shard, now, out)))
    }

    /// Reads committed state.
    pub(super) fn read<R>(&self, read: impl FnOnce(&Shard) -> R) -> Result<R, GroupError> {
        Ok(read(self.core.lock().read()?))
    }

    /// Replays a part of the log.
    pub(super) fn load(&self, bytes: &[u8]) -> Result<Option<Offset>, ottla_coordinator::LoadError> {
        self.core.lock().load(bytes)
    }

    /// The log is replayed up to here: starts to serve, and its clockwork.
    pub(super) fn loaded(self: &Arc<Self>, high_watermark: Offset) {
        self.drive(|core, now| core.loaded(high_watermark, now));
        tokio::spawn(run(Arc::clone(self)));
    }

    /// Answers everybody who waits; nothing is served any more.
    pub(super) fn close(&self) {
        self.drive(|core, _| core.close());
        self.moved.notify_one();
    }

    /// Whether the partition is led elsewhere, as far as this coordinator has been told.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.core.lock().check_active(), Err(NotActive::Closed))
    }

    /// Does something with the engine, then what the engine wants, and answers once the lock is gone.
    fn drive<R>(&self, act: impl FnOnce(&mut Core, Now) -> R) -> R {
        let mut core = self.core.lock();
        let result = act(&mut core, self.clock.now());
        let answers = self.settle(&mut core);
        let deadline = core.next_deadline();
        drop(core);
        if deadline.is_some_and(|deadline| deadline.0 < self.sleeps_until.load(Ordering::Acquire)) {
            self.moved.notify_one();
        }
        for (token, response) in answers {
            // The client may have gone.
            let _ = token.send(response);
        }
        result
    }

    fn settle(&self, core: &mut Core) -> Answers {
        while let Some(mut append) = core.poll_append() {
            let now = self.clock.now();
            match self.partition.append_in(self.leader_epoch, &mut append.batch, now) {
                Ok(appended) => {
                    if appended.flush_due {
                        self.flusher.flush(&self.partition);
                    }
                    core.appended(append.write, Ok(appended.info.last_offset), now);
                    if !appended.committed {
                        self.partition.park_produce(appended.required, Arc::clone(&self.moved));
                    }
                    if let Some(high_watermark) = self.partition.high_watermark_in(self.leader_epoch) {
                        core.high_watermark(high_watermark, now);
                    }
                }
                Err(error) => core.appended(append.write, Err(write_error(&error)), now),
            }
        }
        std::iter::from_fn(|| core.poll_reply()).collect()
    }

    /// What time and the high watermark have brought; when to look again, or `None` once closed.
    fn tick(&self) -> Option<MonoMs> {
        // The replica may be led elsewhere already, or here again, before this coordinator is closed.
        let high_watermark = self.partition.high_watermark_in(self.leader_epoch);
        self.drive(|core, now| {
            if let Some(high_watermark) = high_watermark {
                core.high_watermark(high_watermark, now);
            }
            core.tick(now);
        });
        let core = self.core.lock();
        core.check_active().ok()?;
        let next = core.next_deadline().unwrap_or(MonoMs(u64::MAX));
        self.sleeps_until.store(next.0, Ordering::Release);
        Some(next)
    }
}

/// The clockwork of one coordinator; ends when it is closed.
async fn run(coordinator: Arc<Coordinator>) {
    let moved = Arc::clone(&coordinator.moved);
    while let Some(next) = coordinator.tick() {
        if next.0 == u64::MAX {
            moved.notified().await;
        } else {
            tokio::select! {
                () = sleep_until(coordinator.clock.instant_of(next)) => {}
                () = moved.notified() => {}
            }
        }
    }
}

fn write_error(error: &AppendError) -> WriteError {
    match error {
        AppendError::NotLeader => WriteError::NotLeader,
        AppendError::TooManyProducers
        | AppendError::NotEnoughReplicas { .. }
        | AppendError::NotEnoughReplicasAfterAppend { .. } => WriteError::NotEnoughReplicas,
        AppendError::Log(LogError::MessageTooLarge { .. } | LogError::RecordListTooLarge { .. }) => {
            WriteError::TooLarge { size: 0, max: 0 }
        }
        AppendError::Log(LogError::Storage(error)) if error.is_for_lack_of_room() => WriteError::NoRoom,
        AppendError::Log(LogError::Storage(_)) => WriteError::Storage,
        AppendError::Log(_) => WriteError::Batch,
    }
}
