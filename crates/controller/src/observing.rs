//! The controller's handle of a node that is none: it has the image, and decides nothing.

use std::sync::Arc;

use ottla_metadata::{DirectoryId, MetadataImage};
use tokio::sync::{mpsc, watch};

use crate::decision_loop::Job;
use crate::handle::{Controller, QUEUE_LEN};
use crate::peers::Peers;
use crate::publish::Publisher;
use crate::raft::Observer;

/// Who observes, and whom.
#[derive(Clone, Debug)]
pub struct ObserverConfig {
    pub cluster_id: String,
    /// Of the node's first log dir.
    pub directory_id: DirectoryId,
    pub peers: Peers,
}

impl Controller {
    /// Follows the controllers' metadata. Whatever only a controller decides is answered as by one that is not active.
    #[must_use]
    pub fn observe(config: ObserverConfig) -> Self {
        let publisher = Arc::new(Publisher::new(MetadataImage::new(config.cluster_id.as_str())));
        let cluster_id = config.cluster_id.as_str().into();
        let (always, wanted) = watch::channel(true);
        let peers = config.peers;
        let observer = Observer::new(cluster_id, config.directory_id, peers, Arc::clone(&publisher), wanted);
        let following = tokio::spawn(observer.run());
        let (jobs, mut queue) = mpsc::channel(QUEUE_LEN);
        let (tell, failure) = watch::channel(None);
        let (leads, leading) = watch::channel(false);
        tokio::spawn(async move {
            while let Some(job) = queue.recv().await {
                match job {
                    // Whoever waits for it learns that this is not the controller.
                    Job::Decide(..) | Job::Describe(_) => {}
                    Job::Stop(done) => {
                        following.abort();
                        // Whoever asked may have gone.
                        let _ = done.send(());
                        break;
                    }
                }
            }
            following.abort();
            drop((tell, leads, always));
        });
        Self::of(jobs, publisher, failure, leading, watch::Sender::new(false))
    }
}
