//! The cluster's state after some prefix of the metadata log. Cloning costs a few reference counts: replaying into a
//! clone copies only the part it touches.

mod brokers;
mod configs;
mod controllers;
mod partition;
mod settings;
mod topics;

pub use brokers::{BrokerRegistration, BrokersImage};
pub use configs::{ConfigOverrides, ConfigResource, ConfigResourceType, ConfigsImage};
pub use controllers::{ControllerRegistration, ControllersImage};
pub use partition::{LeaderRecoveryState, PartitionRegistration};
pub use settings::{FeaturesImage, ProducerIdsImage};
pub use topics::{TopicImage, TopicsImage};

use std::sync::Arc;

use ottla_model::{BrokerId, Offset, TopicId};
use ottla_planted::planted;

use crate::record::MetadataRecord;

/// How far in the metadata log an image stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// Offset of the last metadata record in the image; [`Offset::NONE`] before the first. It is the epoch of the
    /// finalized features, too (KIP-584).
    pub offset: Offset,
    /// The controller's epoch (its raft term) in which that record was written.
    pub epoch: i32,
}

/// Why a committed record cannot be replayed: the log and the code disagree, and the node must not go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    #[error("topic id {0} is not known")]
    UnknownTopicId(TopicId),
    #[error("partition {partition} of topic id {topic_id} is not known")]
    UnknownPartition { topic_id: TopicId, partition: i32 },
    #[error("topic {name} exists already, as {existing}")]
    TopicExists { name: String, existing: TopicId },
    #[error("topic id {0} exists already")]
    TopicIdExists(TopicId),
    #[error("broker {0} is not registered")]
    UnknownBroker(BrokerId),
    #[error("controller {0} is not registered")]
    UnknownController(BrokerId),
    #[error("broker {broker} is registered with epoch {current}, not {given}")]
    StaleBrokerEpoch { broker: BrokerId, current: i64, given: i64 },
}

/// The replicated state of the cluster, immutable but for [`Self::replay`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataImage {
    cluster_id: Arc<str>,
    provenance: Provenance,
    controller_id: BrokerId,
    brokers: Arc<BrokersImage>,
    controllers: Arc<ControllersImage>,
    topics: Arc<TopicsImage>,
    configs: Arc<ConfigsImage>,
    features: Arc<FeaturesImage>,
    producer_ids: ProducerIdsImage,
}

impl MetadataImage {
    /// The image before the first record.
    #[must_use]
    pub fn new(cluster_id: impl Into<Arc<str>>) -> Self {
        Self {
            cluster_id: cluster_id.into(),
            provenance: Provenance { offset: Offset::NONE, epoch: 0 },
            controller_id: BrokerId::NONE,
            brokers: Arc::default(),
            controllers: Arc::default(),
            topics: Arc::default(),
            configs: Arc::default(),
            features: Arc::default(),
            producer_ids: ProducerIdsImage::default(),
        }
    }

    #[must_use]
    pub fn cluster_id(&self) -> &Arc<str> {
        &self.cluster_id
    }

    #[must_use]
    pub const fn provenance(&self) -> Provenance {
        self.provenance
    }

    /// Node id of the active controller as last known here; [`BrokerId::NONE`] if there is none.
    #[must_use]
    pub const fn controller_id(&self) -> BrokerId {
        self.controller_id
    }

    #[must_use]
    pub fn brokers(&self) -> &BrokersImage {
        &self.brokers
    }

    #[must_use]
    pub fn controllers(&self) -> &ControllersImage {
        &self.controllers
    }

    #[must_use]
    pub fn topics(&self) -> &TopicsImage {
        &self.topics
    }

    /// The topic of that name.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<&Arc<TopicImage>> {
        self.topics.by_name(name)
    }

    /// The topic of that id.
    #[must_use]
    pub fn topic_by_id(&self, id: TopicId) -> Option<&Arc<TopicImage>> {
        self.topics.by_id(id)
    }

    /// A partition's registration, by its topic's name.
    #[must_use]
    pub fn partition(&self, topic: &str, partition: i32) -> Option<&Arc<PartitionRegistration>> {
        self.topics.by_name(topic)?.partition(partition)
    }

    /// The replicas of a partition whose broker is fenced or not registered, in the order of the replicas.
    #[must_use]
    pub fn offline_replicas(&self, partition: &PartitionRegistration) -> Vec<BrokerId> {
        let is_offline = |id: &BrokerId| self.brokers().get(*id).is_none_or(|broker| broker.fenced);
        partition.replicas.iter().copied().filter(is_offline).collect()
    }

    #[must_use]
    pub fn configs(&self) -> &ConfigsImage {
        &self.configs
    }

    #[must_use]
    pub fn features(&self) -> &FeaturesImage {
        &self.features
    }

    #[must_use]
    pub const fn producer_ids(&self) -> ProducerIdsImage {
        self.producer_ids
    }

    /// Says how far in the log the records replayed since stand; the log's keeper calls it after each batch.
    pub fn set_provenance(&mut self, provenance: Provenance) {
        self.provenance = provenance;
    }

    /// Who leads the metadata quorum is not a record; the log's keeper says it.
    pub fn set_controller(&mut self, controller_id: BrokerId) {
        self.controller_id = controller_id;
    }

    /// Applies one committed record.
    ///
    /// # Errors
    /// The record refers to what the image does not hold, or creates what it holds. The image is unchanged then.
    pub fn replay(&mut self, record: &MetadataRecord) -> Result<(), ReplayError> {
        match record {
            MetadataRecord::RegisterBroker(r) => {
                Arc::make_mut(&mut self.brokers).register(BrokerRegistration::from(r));
                Ok(())
            }
            MetadataRecord::UnregisterBroker(r) => self.brokers_mut().unregister(r),
            MetadataRecord::BrokerRegistrationChange(r) => self.brokers_mut().change(r),
            MetadataRecord::FenceBroker(r) => {
                self.brokers_mut().set_fenced(r.broker_id, r.broker_epoch, true)
            }
            MetadataRecord::UnfenceBroker(r) => {
                self.brokers_mut().set_fenced(r.broker_id, r.broker_epoch, false)
            }
            MetadataRecord::RegisterController(r) => {
                Arc::make_mut(&mut self.controllers).register(ControllerRegistration::from(r));
                Ok(())
            }
            MetadataRecord::UnregisterController(r) => {
                Arc::make_mut(&mut self.controllers).unregister(r.controller_id)
            }
            MetadataRecord::Topic(r) => Arc::make_mut(&mut self.topics).create(r),
            MetadataRecord::Partition(r) => Arc::make_mut(&mut self.topics).put_partition(r),
            MetadataRecord::PartitionChange(r) => Arc::make_mut(&mut self.topics).change_partition(r),
            MetadataRecord::RemoveTopic(r) => {
                let name = Arc::make_mut(&mut self.topics).remove(r.topic_id)?;
                if self.configs.has_overrides(ConfigResourceType::Topic, &name) {
                    Arc::make_mut(&mut self.configs).remove_resource(ConfigResourceType::Topic, &name);
                }
                Ok(())
            }
            MetadataRecord::Config(r) => {
                Arc::make_mut(&mut self.configs).apply(r);
                Ok(())
            }
            MetadataRecord::ProducerIds(r) => {
                self.producer_ids = ProducerIdsImage { next_producer_id: r.next_producer_id };
                Ok(())
            }
            MetadataRecord::FeatureLevel(r) => {
                Arc::make_mut(&mut self.features).apply(r);
                Ok(())
            }
            MetadataRecord::NoOp => Ok(()),
        }
    }

    /// Records that, replayed into a new image, build this one (all but provenance and controller id). Features come
    /// first, since they say which records may follow.
    #[must_use]
    pub fn to_records(&self) -> Vec<MetadataRecord> {
        let mut out = Vec::new();
        self.features.write_records(&mut out);
        self.brokers.write_records(&mut out);
        self.controllers.write_records(&mut out);
        self.topics.write_records(&mut out);
        self.configs.write_records(&mut out);
        if !planted!("snapshot_without_producer_ids") {
            self.producer_ids.write_records(&mut out);
        }
        out
    }

    fn brokers_mut(&mut self) -> &mut BrokersImage {
        Arc::make_mut(&mut self.brokers)
    }
}

#[cfg(test)]
mod tests;
