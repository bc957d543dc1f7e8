//! Tells the controller which log dir a replica is in, where the metadata says something else (KIP-858).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ottla_metadata::DirectoryId;
use ottla_model::{BrokerId, TopicId, TopicIdPartition};
use ottla_protocol::messages::AssignReplicasToDirsRequest;
use ottla_protocol::messages::assign_replicas_to_dirs_request::{DirectoryData, PartitionData, TopicData};
use ottla_protocol::{ApiKey, ErrorCode};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::cluster::{ControllerChannel, version};

/// Before a failed attempt is repeated.
const RETRY: Duration = Duration::from_secs(1);
/// How long the controller may take.
const TIMEOUT: Duration = Duration::from_secs(30);

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
    pub(crate) async fn run(
        self: Arc<Self>,
        channel: ControllerChannel,
        broker_id: BrokerId,
        broker_epoch: i64,
    ) {
        loop {
            let pending = std::mem::take(&mut *self.pending.lock());
            if pending.is_empty() {
                self.news.notified().await;
                continue;
            }
            let request = AssignReplicasToDirsRequest::default()
                .with_broker_id(broker_id.get().into())
                .with_broker_epoch(broker_epoch)
                .with_directories(by_directory(&pending));
            match channel.ask(&request, version(ApiKey::AssignReplicasToDirs), TIMEOUT).await {
                Ok(answer) if answer.error_code == ErrorCode::None.code() => {}
                Ok(answer) => {
                    let code = ErrorCode::from_code(answer.error_code);
                    tracing::error!(?code, "the controller refuses the replicas' log dirs");
                }
                Err(error) => {
                    tracing::warn!(%error, "the replicas' log dirs will be told again");
                    self.put_back(pending);
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }
}

fn by_directory(pending: &BTreeMap<TopicIdPartition, DirectoryId>) -> Vec<DirectoryData> {
    let mut directories: BTreeMap<DirectoryId, BTreeMap<TopicId, Vec<PartitionData>>> = BTreeMap::new();
    for (id, directory) in pending {
        let partition = PartitionData::default().with_partition_index(id.partition);
        directories.entry(*directory).or_default().entry(id.topic_id).or_default().push(partition);
    }
    let topics = |topics: BTreeMap<TopicId, Vec<PartitionData>>| {
        let topics = topics.into_iter();
        topics
            .map(|(id, partitions)| TopicData::default().with_topic_id(id.0).with_partitions(partitions))
            .collect()
    };
    let directories = directories.into_iter();
    directories.map(|(id, of)| DirectoryData::default().with_id(id.0).with_topics(topics(of))).collect()
}
