//! The controller as the broker sees it.

use std::path::PathBuf;
use std::sync::Arc;

use ottla_metadata::{DirectoryId, MetadataDelta, MetadataImage};
use ottla_model::BrokerId;

use crate::command::{
    AlterConfigs, BrokerRegistrationRequest, ConfigAnswers, CreatePartitions, CreateTopics, CreatedTopic,
    DeleteTopics, DeletedTopic, IncrementalAlterConfigs, ProducerIdBlock, TopicAnswers,
};
use crate::error::{BrokerError, ControllerError, StartError};

/// What a controller needs to know before its log says the rest.
#[derive(Clone, Debug)]
pub struct ControllerConfig {
    /// `metadata.log.dir`: the metadata log lives below it, in `__cluster_metadata-0`.
    pub dir: PathBuf,
    pub node_id: BrokerId,
    pub cluster_id: String,
    /// Of `dir`, from its `meta.properties`.
    pub directory_id: DirectoryId,
    /// `num.partitions`: of a topic created with -1.
    pub default_partition_count: i32,
    /// `default.replication.factor`: of a topic created with -1.
    pub default_replication_factor: i16,
    /// Entries after which a snapshot is taken and the log before it purged.
    pub snapshot_every_entries: u64,
}

/// A newer image, and what it changed since the last one the subscriber was given.
#[derive(Clone, Debug)]
pub struct MetadataUpdate {
    pub image: Arc<MetadataImage>,
    pub delta: MetadataDelta,
}

/// Follows the published image. A slow subscriber skips images, never changes: deltas add up.
#[derive(Debug)]
pub struct MetadataSubscription {
    seen: Arc<MetadataImage>,
}

impl MetadataSubscription {
    /// The image the subscription stands at.
    #[must_use]
    pub fn current(&self) -> &Arc<MetadataImage> {
        &self.seen
    }

    /// Waits for a newer image; `None` once the controller is gone. Cancel-safe.
    pub async fn next(&mut self) -> Option<MetadataUpdate> {
        None
    }
}

/// A running controller; clones share it. Every method that changes something answers only after the change is
/// durable and in [`Self::image`].
#[derive(Clone, Debug)]
pub struct Controller {
    image: Arc<MetadataImage>,
}

impl Controller {
    /// Opens the metadata log, or formats an empty directory, and leads once it returns (one voter).
    ///
    /// # Errors
    /// I/O, a damaged log, or one that belongs to another node or cluster.
    pub async fn start(_config: ControllerConfig) -> Result<Self, StartError> {
        Err(StartError::Raft("not built yet".to_owned()))
    }

    /// The newest applied image.
    #[must_use]
    pub fn image(&self) -> Arc<MetadataImage> {
        self.image.clone()
    }

    /// Follows the image from now on.
    #[must_use]
    pub fn subscribe(&self) -> MetadataSubscription {
        MetadataSubscription { seen: self.image.clone() }
    }

    /// CreateTopics: one answer per topic, in the request's order.
    pub async fn create_topics(
        &self,
        _request: CreateTopics,
    ) -> Result<TopicAnswers<CreatedTopic>, ControllerError> {
        Err(ControllerError::Closed)
    }

    /// DeleteTopics: one answer per topic, in the request's order.
    pub async fn delete_topics(
        &self,
        _request: DeleteTopics,
    ) -> Result<TopicAnswers<DeletedTopic>, ControllerError> {
        Err(ControllerError::Closed)
    }

    /// CreatePartitions: one answer per topic, in the request's order.
    pub async fn create_partitions(
        &self,
        _request: CreatePartitions,
    ) -> Result<TopicAnswers<()>, ControllerError> {
        Err(ControllerError::Closed)
    }

    /// IncrementalAlterConfigs: one answer per resource, in the request's order.
    pub async fn incremental_alter_configs(
        &self,
        _request: IncrementalAlterConfigs,
    ) -> Result<ConfigAnswers, ControllerError> {
        Err(ControllerError::Closed)
    }

    /// AlterConfigs: one answer per resource, in the request's order.
    pub async fn alter_configs(&self, _request: AlterConfigs) -> Result<ConfigAnswers, ControllerError> {
        Err(ControllerError::Closed)
    }

    /// Registers a starting broker, unfenced if it is this node; answers its broker epoch.
    pub async fn register_broker(
        &self,
        _request: BrokerRegistrationRequest,
    ) -> Result<Result<i64, BrokerError>, ControllerError> {
        Err(ControllerError::Closed)
    }

    /// Begins a broker's controlled shutdown.
    pub async fn controlled_shutdown(
        &self,
        _broker_id: BrokerId,
        _broker_epoch: i64,
    ) -> Result<Result<(), BrokerError>, ControllerError> {
        Err(ControllerError::Closed)
    }

    /// AllocateProducerIds: a block of 1,000 ids for a broker.
    pub async fn allocate_producer_ids(
        &self,
        _broker_id: BrokerId,
        _broker_epoch: i64,
    ) -> Result<Result<ProducerIdBlock, BrokerError>, ControllerError> {
        Err(ControllerError::Closed)
    }

    /// Stops: nothing is answered or written afterwards. Everything answered before stays.
    pub async fn shutdown(&self) {}
}
