//! Recovery points that go back are written down before anything is appended where something else was flushed: a power cut
//! would else leave records that nobody checks, and where `flush.messages=1` count as flushed. As Kafka's `LogManager.truncateTo`.

use std::sync::Arc;

use ottla_storage::OffsetCheckpoint;

use crate::partitions::{LogHome, Partitions};

/// The log dirs and what is in them; none in tests of fetchers alone.
#[derive(Clone, Debug, Default)]
pub(crate) struct RecoveryPoints(pub Option<(Arc<LogHome>, Arc<Partitions>)>);

impl RecoveryPoints {
    /// Ends when they are on the disk, or the dir that failed was reported.
    pub(crate) async fn write_down(&self) {
        let Some((logs, partitions)) = self.0.clone() else { return };
        let write = move || logs.write_checkpoint(OffsetCheckpoint::RecoveryPoint, &partitions);
        if let Err(error) = tokio::task::spawn_blocking(write).await {
            tracing::error!(%error, "recovery points were not written");
        }
    }
}
