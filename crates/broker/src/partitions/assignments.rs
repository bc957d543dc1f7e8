//! Tells the controller which log dir a replica is in, where the metadata says something else (KIP-858).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ottla_controller::{Controller, ReplicaDirectories};
use ottla_metadata::DirectoryId;
use ottla_model::{BrokerId, TopicIdPartition};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Before a failed attempt is repeated.
const RETRY: Duration = Duration::from_secs(1);

/// What is to be told; the latest dir of each partition.
#[derive(Debug, Default)]
pub(crate) struct DirAssignments {
    pending: Mutex<BTreeMap<TopicIdPartition, DirectoryId>>,
    news: Notify,
}

impl DirAssignments {
    pub(super) fn assign(&self, partition: TopicIdPartition, directory: DirectoryId) {
        self.pending.lock().insert(partition, directory);
        self.news.notify_one();
    }

    /// What could not be told, unless it is out of date.
    fn put_back(&self, untold: BTreeMap<TopicIdPartition, DirectoryId>) {
        let mut pending = self.pending.lock();
        for (partition, directory) in untold {
            pending.entry(partition).or_insert(directory);
        }
    }

    /// Tells the controller; runs until it is aborted.
    pub(crate) async fn run(self: Arc<Self>, controller: Controller, broker_id: BrokerId, broker_epoch: i64) {
        loop {
            let pending = std::mem::take(&mut *self.pending.lock());
            if pending.is_empty() {
                self.news.notified().await;
                continue;
            }
            let directories = pending.iter().map(|(partition, directory)| (*partition, *directory)).collect();
            let request = ReplicaDirectories { broker_id, broker_epoch, directories };
            match controller.assign_replicas_to_dirs(request).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "the controller refuses the replicas' log dirs"),
                Err(error) => {
                    tracing::warn!(%error, "the replicas' log dirs will be told again");
                    self.put_back(pending);
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }
}
