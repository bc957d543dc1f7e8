//! What logs need from time to time: retention, flushes, forgotten producers. Runs until it is aborted.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use ottla_config::BrokerConfig;
use ottla_storage::{OffsetCheckpoint, StorageError};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::{Flusher, LogHome, Partitions};
use crate::clock::Clock;

/// How often logs are asked whether they want a flush.
const FLUSH_CHECK: Duration = Duration::from_secs(1);
/// An append is on the disk after this long at the latest, whatever the settings: it bounds what recovery must check.
const UNFLUSHED_MAX_MS: u64 = 5_000;
/// Recovery points are written, whatever the settings, once so much was flushed since, where a segment counts as its files'
/// opening costs: what lies behind the written ones is checked after a kill, flushed or not.
const CHECKPOINT_AFTER_BYTES: u64 = 64 << 20;
/// High watermarks that have not moved are written after so many checks nevertheless: the last ones may not have been, for lack of room.
const UNMOVED_CHECKS_MAX: u32 = 11;

/// The periodic work on all logs.
#[derive(Debug)]
pub(crate) struct Housekeeping {
    pub partitions: Arc<Partitions>,
    pub logs: Arc<LogHome>,
    pub flusher: Arc<Flusher>,
    pub config: Arc<ArcSwap<BrokerConfig>>,
    pub clock: Clock,
}

impl Housekeeping {
    pub(crate) async fn run(self: Arc<Self>) {
        let config = self.config.load_full();
        let initial = millis(config.log.initial_task_delay_ms);
        let every = |period: Duration| {
            let mut ticks = interval_at(Instant::now() + initial.min(period), period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        };
        let mut flush = every(FLUSH_CHECK);
        let mut retention = every(millis(config.log.retention_check_interval_ms));
        let mut recovery_points = every(millis(i64::from(config.log.recovery_point_checkpoint_interval_ms)));
        let mut log_starts = every(millis(i64::from(config.log.start_offset_checkpoint_interval_ms)));
        let mut high_watermarks = every(millis(config.replication.high_watermark_checkpoint_interval_ms));
        let mut producers = every(millis(i64::from(config.producer_ids.expiration_check_interval_ms)));
        let (mut checkpointed, mut unmoved_checks) = (0, 0);
        loop {
            tokio::select! {
                _ = flush.tick() => {
                    let has_files_due = self.look_after_unfinished();
                    let spared = self.flusher.spared();
                    if spared - checkpointed >= CHECKPOINT_AFTER_BYTES {
                        checkpointed = spared;
                        self.on_thread(|housekeeping| housekeeping.checkpoint(OffsetCheckpoint::RecoveryPoint)).await;
                    }
                    if has_files_due {
                        self.on_thread(Self::remove_deleted_files).await;
                    }
                }
                _ = retention.tick() => self.on_thread(Self::retain).await,
                _ = recovery_points.tick() => self.on_thread(Self::checkpoint_recovery_points).await,
                _ = log_starts.tick() => {
                    self.on_thread(|housekeeping| housekeeping.checkpoint(OffsetCheckpoint::LogStart)).await;
                }
                _ = high_watermarks.tick() => {
                    if !self.partitions.take_moved() && unmoved_checks < UNMOVED_CHECKS_MAX {
                        unmoved_checks += 1;
                        continue;
                    }
                    unmoved_checks = 0;
                    self.on_thread(|housekeeping| housekeeping.checkpoint(OffsetCheckpoint::Replication)).await;
                }
                _ = producers.tick() => self.on_thread(Self::expire_producers).await,
            }
        }
    }

    /// Has flushed what is due; whether files that were deleted are due to be removed.
    fn look_after_unfinished(&self) -> bool {
        let now = self.clock.now();
        let mut has_files_due = self.logs.has_removals_due(self.delete_delay_ms(), now);
        for partition in self.partitions.take_unfinished() {
            let due = partition.look_after(now, UNFLUSHED_MAX_MS);
            if due.flush {
                self.flusher.flush(&partition);
            }
            has_files_due |= due.removal;
        }
        has_files_due
    }

    fn retain(&self) {
        for partition in self.partitions.all() {
            match partition.apply_retention(self.clock.now()) {
                Ok(run) if run.segments_deleted > 0 => tracing::info!(
                    partition = %partition.name,
                    segments = run.segments_deleted,
                    bytes = run.bytes_deleted,
                    "retention"
                ),
                Ok(_) => {}
                // Known by the time the log is offline.
                Err(StorageError::Offline { .. } | StorageError::NoRoom { .. }) => {}
                Err(error) => tracing::error!(partition = %partition.name, %error, "retention failed"),
            }
        }
    }

    /// Of whole logs: their topics' own settings are gone with them.
    fn delete_delay_ms(&self) -> u64 {
        u64::try_from(self.config.load().log.delete_delay_ms).unwrap_or(0)
    }

    fn remove_deleted_files(&self) {
        let now = self.clock.now();
        self.logs.remove_due(self.delete_delay_ms(), now);
        for partition in self.partitions.all() {
            if let Err(error) = partition.remove_deleted_files(now) {
                tracing::error!(partition = %partition.name, %error, "deleted segments' files stay");
            }
        }
    }

    fn checkpoint_recovery_points(&self) {
        for partition in self.partitions.all() {
            partition.close_idle_files();
        }
        self.checkpoint(OffsetCheckpoint::RecoveryPoint);
    }

    fn checkpoint(&self, which: OffsetCheckpoint) {
        self.logs.write_checkpoint(which, &self.partitions);
    }

    fn expire_producers(&self) {
        let now = self.clock.now();
        for partition in self.partitions.all() {
            partition.expire_producers(now);
        }
    }

    /// Runs file I/O where it may block.
    async fn on_thread(self: &Arc<Self>, work: fn(&Self)) {
        let housekeeping = Arc::clone(self);
        if let Err(error) = tokio::task::spawn_blocking(move || work(&housekeeping)).await {
            tracing::error!(%error, "housekeeping failed");
        }
    }
}

fn millis(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0).max(1))
}
