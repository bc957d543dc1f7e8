//! Snapshots by size and by time (`metadata.log.max.record.bytes.between.snapshots`, `metadata.log.max.snapshot.interval.ms`),
//! beside openraft's own, which counts entries.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::log_store::LogStore;
use super::quorum::OurRaft;

/// When a snapshot is taken at the latest, if there is anything new.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SnapshotLimits {
    /// Bytes of entries since the last one.
    pub(crate) bytes_max: u64,
    /// Time since the last one; `None`: by size only.
    pub(crate) interval: Option<Duration>,
}

impl SnapshotLimits {
    fn is_due(&self, new_bytes: u64, since_last: Duration) -> bool {
        new_bytes >= self.bytes_max
            || (new_bytes > 0 && self.interval.is_some_and(|interval| since_last >= interval))
    }
}

/// How often the limits are looked at.
const CHECK: Duration = Duration::from_secs(1);
const CHECK_MIN: Duration = Duration::from_millis(10);

/// The task that looks; it ends with this.
#[derive(Debug)]
pub(super) struct SnapshotClock {
    task: JoinHandle<()>,
}

impl SnapshotClock {
    pub(super) fn start(raft: OurRaft, log: LogStore, limits: SnapshotLimits) -> Self {
        Self { task: tokio::spawn(run(raft, log, limits)) }
    }

    /// Waits until the task holds nothing any more.
    pub(super) async fn stop(mut self) {
        self.task.abort();
        // Aborted is how it ends.
        drop((&mut self.task).await);
    }
}

impl Drop for SnapshotClock {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(raft: OurRaft, log: LogStore, limits: SnapshotLimits) {
    let pause = limits.interval.map_or(CHECK, |interval| interval.clamp(CHECK_MIN, CHECK));
    let (mut covered, mut last) = (0, Instant::now());
    loop {
        sleep(pause).await;
        let bytes = log.appended_bytes();
        if !limits.is_due(bytes.saturating_sub(covered), last.elapsed()) {
            continue;
        }
        if let Err(error) = raft.trigger().snapshot().await {
            tracing::warn!(%error, "no snapshot of the metadata");
            return;
        }
        (covered, last) = (bytes, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_by_size_or_by_time_and_only_for_something_new() {
        let limits = SnapshotLimits { bytes_max: 100, interval: Some(Duration::from_secs(10)) };
        let soon = Duration::from_secs(1);
        assert!(!limits.is_due(99, soon));
        assert!(limits.is_due(100, soon));
        assert!(limits.is_due(1, Duration::from_secs(10)));
        assert!(!limits.is_due(0, Duration::from_secs(10)));
        let by_size = SnapshotLimits { interval: None, ..limits };
        assert!(!by_size.is_due(99, Duration::from_secs(1_000_000)));
    }
}
