//! Which log is compacted next, which are being compacted, and which could not be.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ottla_model::{MonoMs, Now, TopicIdPartition};
use ottla_storage::{CleanError, Cleanable, CleaningStats, StorageError};

use super::super::{Partition, Partitions};

/// The longest wait before a log that could not be compacted is tried again.
const RETRY_MS_MAX: u64 = 300_000;
const RETRY_MS_MIN: u64 = 1_000;

/// Why a log could not be compacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Corrupt,
    Io,
    NoRoom,
    Panic,
}

impl Reason {
    pub(super) fn of(error: &StorageError) -> Self {
        match error {
            StorageError::Corrupt { .. } | StorageError::Damaged { .. } => Self::Corrupt,
            StorageError::NoRoom { .. } => Self::NoRoom,
            _ => Self::Io,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Corrupt => "corrupt",
            Self::Io => "io",
            Self::NoRoom => "no_room",
            Self::Panic => "panic",
        }
    }
}

/// A log that waits to be tried again.
#[derive(Clone, Copy, Debug)]
struct Failure {
    attempts: u32,
    retry_at: MonoMs,
    /// Dirty bytes that stay.
    bytes: u64,
}

/// A log that a thread has taken.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) partition: Arc<Partition>,
    pub(super) cleanable: Cleanable,
}

/// The last cleaning of one thread.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LastCleaning {
    pub(super) stats: CleaningStats,
    pub(super) seconds: f64,
}

/// What the metrics say of compaction.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Figures {
    pub(super) dirty_ratio_max: f64,
    pub(super) compaction_delay_ms_max: i64,
    pub(super) last_run: MonoMs,
    pub(super) uncleanable_partitions: usize,
    pub(super) uncleanable_bytes: u64,
}

/// What the threads share.
#[derive(Debug, Default)]
pub(super) struct Board {
    in_progress: HashSet<TopicIdPartition>,
    failures: HashMap<TopicIdPartition, Failure>,
    figures: Figures,
}

impl Board {
    /// Takes the dirtiest log that is due. Source: Kafka's `LogCleanerManager.grabFilthiestCompactedLog`.
    pub(super) fn take_dirtiest(&mut self, partitions: &Partitions, now: Now) -> Option<Job> {
        self.figures.last_run = now.mono;
        self.figures.dirty_ratio_max = 0.0;
        self.figures.compaction_delay_ms_max = 0;
        let all = partitions.all();
        let ids: HashSet<TopicIdPartition> = all.iter().map(|partition| partition.id).collect();
        self.failures.retain(|id, _| ids.contains(id));
        let mut dirtiest: Option<Job> = None;
        for partition in all {
            let waits = self.failures.get(&partition.id).is_some_and(|failure| failure.retry_at > now.mono);
            if waits || partition.is_cleaning_paused() || self.in_progress.contains(&partition.id) {
                continue;
            }
            let dirt = match partition.dirt(now) {
                Ok(Some(dirt)) => dirt,
                Ok(None) => {
                    self.failures.remove(&partition.id);
                    continue;
                }
                Err(error) => {
                    self.failed(&partition, &Cleanable::default(), Reason::of(&error), &error, now.mono);
                    continue;
                }
            };
            let ratio = dirt.cleanable.dirty_ratio();
            self.figures.dirty_ratio_max = self.figures.dirty_ratio_max.max(ratio);
            self.figures.compaction_delay_ms_max =
                self.figures.compaction_delay_ms_max.max(dirt.cleanable.compaction_delay_ms);
            if dirt.is_due && dirtiest.as_ref().is_none_or(|job| ratio > job.cleanable.dirty_ratio()) {
                dirtiest = Some(Job { partition, cleanable: dirt.cleanable });
            }
        }
        self.in_progress.extend(dirtiest.iter().map(|job| job.partition.id));
        dirtiest
    }

    /// A thread is done with a log, which counts as a failure unless the log itself has changed.
    pub(super) fn done(&mut self, job: &Job, outcome: &Result<(), CleanError>, now: MonoMs) {
        self.in_progress.remove(&job.partition.id);
        match outcome {
            Ok(()) => {
                self.failures.remove(&job.partition.id);
            }
            Err(CleanError::Aborted) => {}
            Err(CleanError::Storage(error)) => {
                self.failed(&job.partition, &job.cleanable, Reason::of(error), error, now);
            }
        }
    }

    /// A cleaning panicked: the log waits as one that is broken does.
    pub(super) fn panicked(&mut self, job: &Job, now: MonoMs) {
        self.in_progress.remove(&job.partition.id);
        self.failed(&job.partition, &job.cleanable, Reason::Panic, &"a cleaning panicked", now);
    }

    fn failed(
        &mut self,
        partition: &Partition,
        cleanable: &Cleanable,
        reason: Reason,
        error: &dyn std::fmt::Display,
        now: MonoMs,
    ) {
        let attempts = self.failures.get(&partition.id).map_or(0, |failure| failure.attempts);
        let wait_ms = RETRY_MS_MIN.saturating_mul(1 << attempts.min(20)).min(RETRY_MS_MAX);
        let failure = Failure {
            attempts: attempts + 1,
            retry_at: now.plus_ms(wait_ms),
            bytes: cleanable.cleanable_bytes,
        };
        self.failures.insert(partition.id, failure);
        tracing::error!(
            partition = %partition.name,
            reason = reason.name(),
            %error,
            retry_ms = wait_ms,
            "log could not be compacted"
        );
    }

    pub(super) fn figures(&self) -> Figures {
        Figures {
            uncleanable_partitions: self.failures.len(),
            uncleanable_bytes: self.failures.values().map(|failure| failure.bytes).sum(),
            ..self.figures
        }
    }
}
