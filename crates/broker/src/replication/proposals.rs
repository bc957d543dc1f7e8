//! In-sync sets that leaders here want the controller to know, until it is asked.

use std::collections::BTreeMap;

use ottla_model::TopicIdPartition;
use ottla_replication::IsrProposal;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// The latest proposal of each partition: a machine has one at a time.
#[derive(Debug, Default)]
pub(crate) struct IsrProposals {
    pending: Mutex<BTreeMap<TopicIdPartition, IsrProposal>>,
    news: Notify,
}

impl IsrProposals {
    pub(crate) fn propose(&self, partition: TopicIdPartition, proposal: IsrProposal) {
        self.pending.lock().insert(partition, proposal);
        self.news.notify_one();
    }

    /// All that there is, once there is something.
    pub(crate) async fn next(&self) -> BTreeMap<TopicIdPartition, IsrProposal> {
        loop {
            let pending = std::mem::take(&mut *self.pending.lock());
            if !pending.is_empty() {
                return pending;
            }
            self.news.notified().await;
        }
    }
}
