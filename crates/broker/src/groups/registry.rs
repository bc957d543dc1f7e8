//! The coordinators that are led here, kept in step with the metadata.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use ottla_config::BrokerConfig;
use ottla_coordinator::NotActive;
use ottla_group_coordinator::{GroupError, GroupShard};
use ottla_metadata::{MetadataDelta, MetadataImage, PartitionRegistration, TopicImage};
use ottla_model::{BrokerId, Offset, TopicId};
use ottla_protocol::ErrorCode;
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use super::ask::{Shard, not_coordinator};
use super::coordinator::Coordinator;
use super::load;
use super::settings;
use super::slot::partition_of;
use super::topics::{CreatedTopics, ImageTopics};
use crate::auto_topics::AutoTopics;
use crate::clock::Clock;
use crate::internal_topics::CONSUMER_OFFSETS;
use crate::memory::Pool;
use crate::metadata_view::MetadataView;
use crate::partitions::{Flusher, Partitions};

/// What the coordinators are made of.
#[derive(Debug)]
pub(crate) struct GroupsParts {
    pub node_id: BrokerId,
    pub clock: Clock,
    pub config: Arc<ArcSwap<BrokerConfig>>,
    pub view: Arc<MetadataView>,
    pub partitions: Arc<Partitions>,
    pub flusher: Arc<Flusher>,
    pub auto_topics: Arc<AutoTopics>,
    /// The memory for all groups.
    pub memory: Arc<Pool>,
}

/// All coordinators of this broker.
#[derive(Debug)]
pub(crate) struct Groups {
    pub(super) parts: GroupsParts,
    coordinators: RwLock<BTreeMap<i32, Arc<Coordinator>>>,
    /// The image that was last applied.
    applied: watch::Sender<Offset>,
    created_topics: Mutex<CreatedTopics>,
    /// Held while `__consumer_offsets` is made.
    creating: tokio::sync::Mutex<()>,
}

/// Kafka's default of `max.message.bytes`, which it leaves to `__consumer_offsets` too.
const BATCH_BYTES_MAX: usize = 1_048_588;

impl Groups {
    pub(crate) fn new(parts: GroupsParts) -> Self {
        Self {
            parts,
            coordinators: RwLock::default(),
            applied: watch::Sender::new(Offset::NONE),
            created_topics: Mutex::default(),
            creating: tokio::sync::Mutex::new(()),
        }
    }

    /// The coordinator of a group.
    ///
    /// # Errors
    /// `NOT_COORDINATOR`, or `COORDINATOR_LOAD_IN_PROGRESS` if this broker is about to become it.
    pub(super) fn coordinator_of(&self, group: &str) -> Result<Arc<Coordinator>, GroupError> {
        let image = self.parts.view.image();
        let topic = image.topic(CONSUMER_OFFSETS).ok_or_else(not_coordinator)?;
        let index = partition_of(group, partition_count(topic));
        if let Some(coordinator) = self.coordinators.read().get(&index) {
            return Ok(Arc::clone(coordinator));
        }
        // If its log is not open yet, that is opened next.
        let _ = self.parts.partitions.by_id(topic.id, index);
        let leader = topic.partition(index).map(|partition| partition.leader);
        let here = leader == Some(self.parts.node_id);
        Err(if here { GroupError::NotActive(NotActive::Loading) } else { not_coordinator() })
    }

    /// Reads the committed state of a group's coordinator.
    pub(crate) fn read<R>(&self, group: &str, read: impl FnOnce(&Shard) -> R) -> Result<R, GroupError> {
        self.coordinator_of(group)?.read(read)
    }

    /// Reads the committed state of all coordinators here.
    ///
    /// # Errors
    /// `COORDINATOR_LOAD_IN_PROGRESS` if one of them is not loaded yet.
    pub(crate) fn read_all<R>(&self, mut read: impl FnMut(&Shard) -> R) -> Result<Vec<R>, GroupError> {
        if self.parts.partitions.is_opening(CONSUMER_OFFSETS) {
            return Err(GroupError::NotActive(NotActive::Loading));
        }
        let mut results = Vec::new();
        for coordinator in self.all() {
            match coordinator.read(&mut read) {
                Ok(result) => results.push(result),
                Err(GroupError::NotActive(NotActive::Closed)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(results)
    }

    /// The partition of `__consumer_offsets` that a group lives in; `None` if the topic does not exist.
    pub(crate) fn registration_of(&self, group: &str) -> Option<Arc<PartitionRegistration>> {
        let image = self.parts.view.image();
        let topic = image.topic(CONSUMER_OFFSETS)?;
        topic.partition(partition_of(group, partition_count(topic))).cloned()
    }

    /// Creates `__consumer_offsets` if it is not there, and waits until its coordinators serve.
    pub(crate) async fn create_topic(&self) -> Result<(), ErrorCode> {
        let _one_at_a_time = self.creating.lock().await;
        if self.parts.view.image().topic(CONSUMER_OFFSETS).is_some() {
            return Ok(());
        }
        let topic = self.parts.auto_topics.offsets_topic();
        let created = self.parts.auto_topics.create_all(vec![topic]).await;
        match created.into_iter().next() {
            // Another broker may have been quicker.
            Some(Ok(()) | Err(ErrorCode::TopicAlreadyExists)) | None => {}
            Some(Err(error)) => {
                tracing::error!(topic = CONSUMER_OFFSETS, ?error, "topic could not be created");
                return Err(error);
            }
        }
        let offset = self.parts.view.image().provenance().offset;
        // The sender lives as long as `self`.
        let _ = self.applied.subscribe().wait_for(|applied| *applied >= offset).await;
        Ok(())
    }

    /// Takes in the first image.
    pub(crate) fn start(&self, image: &Arc<MetadataImage>) {
        let nothing = MetadataImage::new(Arc::clone(image.cluster_id()));
        self.apply(image, &MetadataDelta::between(&nothing, image));
    }

    /// Brings the coordinators to what `image` says, given what has changed. Called after the replicas have followed;
    /// reads logs, so it runs on a thread that may block.
    pub(crate) fn apply(&self, image: &Arc<MetadataImage>, delta: &MetadataDelta) {
        self.created_topics.lock().apply(image, delta);
        if !delta.topics.is_empty() {
            let topics = self.topics(image);
            for coordinator in self.all() {
                let topics = Arc::clone(&topics);
                // A coordinator that is being loaded gets them when it is loaded.
                let _ = coordinator.write(|shard, _, _| shard.set_topics(topics));
            }
        }
        if !delta.configs.is_empty() {
            let config = self.parts.config.load();
            for coordinator in self.all() {
                let (all, own) = (settings::consumers(&config), settings::own_consumers(image, &config));
                let _ = coordinator.write(|shard, _, _| shard.set_consumer_settings(all, own));
            }
        }
        let is_gone = |id: &TopicId| image.topic_by_id(*id).is_none();
        // First what goes: a topic that was deleted and created again is in one delta under both ids.
        if delta.topics.iter().any(|(id, changed)| &*changed.name == CONSUMER_OFFSETS && is_gone(id)) {
            self.close_all();
        }
        for (id, changed) in &delta.topics {
            if let Some(topic) = image.topic_by_id(*id).filter(|topic| &*topic.name == CONSUMER_OFFSETS) {
                self.apply_partitions(image, topic, changed.partitions.iter().copied());
            }
        }
        self.forget_deleted(image, delta);
        self.applied.send_replace(image.provenance().offset);
    }

    fn topics(&self, image: &Arc<MetadataImage>) -> Arc<ImageTopics> {
        Arc::new(ImageTopics { image: Arc::clone(image), created: self.created_topics.lock().version })
    }

    /// The offsets of deleted topics go.
    fn forget_deleted(&self, image: &MetadataImage, delta: &MetadataDelta) {
        let gone = delta.topics.iter().filter(|(id, _)| image.topic_by_id(**id).is_none());
        let gone: BTreeMap<Arc<str>, TopicId> = gone.map(|(id, t)| (Arc::clone(&t.name), *id)).collect();
        if gone.is_empty() {
            return;
        }
        for coordinator in self.all() {
            let _ = coordinator.write(|shard, _, out| shard.topics_deleted(&gone, out));
        }
    }

    fn apply_partitions(
        &self,
        image: &Arc<MetadataImage>,
        topic: &TopicImage,
        changed: impl Iterator<Item = i32>,
    ) {
        for index in changed {
            match topic.partition(index) {
                Some(registration) if registration.leader == self.parts.node_id => {
                    self.elect(image, topic, index, registration);
                }
                _ => self.resign(index),
            }
        }
    }

    fn elect(
        &self,
        image: &Arc<MetadataImage>,
        topic: &TopicImage,
        index: i32,
        registration: &PartitionRegistration,
    ) {
        let known = self.coordinators.read().get(&index).map(|c| (c.leader_epoch, c.partition.id.topic_id));
        if known == Some((registration.leader_epoch, topic.id)) {
            return;
        }
        self.resign(index);
        let Ok(partition) = self.parts.partitions.by_id(topic.id, index) else { return };
        let config = self.parts.config.load();
        let topics = self.topics(image);
        let consumers = settings::consumers(&config);
        let mut shard = GroupShard::new(settings::groups(&config), consumers.clone(), topics);
        shard.set_consumer_settings(consumers, settings::own_consumers(image, &config));
        let coordinator = Arc::new(Coordinator::new(
            partition,
            registration.leader_epoch,
            shard,
            settings::core(&config, BATCH_BYTES_MAX),
            Arc::clone(&self.parts.flusher),
            self.parts.clock,
        ));
        self.coordinators.write().insert(index, Arc::clone(&coordinator));
        if load::is_empty(&coordinator) {
            load::load(&coordinator, &self.parts.view, &config);
        } else {
            let view = Arc::clone(&self.parts.view);
            let config = Arc::clone(&self.parts.config);
            tokio::task::spawn_blocking(move || load::load(&coordinator, &view, &config.load()));
        }
    }

    fn resign(&self, index: i32) {
        let coordinator = self.coordinators.write().remove(&index);
        if let Some(coordinator) = coordinator {
            coordinator.close();
        }
    }

    /// Answers everybody who waits.
    pub(crate) fn close_all(&self) {
        let coordinators = std::mem::take(&mut *self.coordinators.write());
        for coordinator in coordinators.into_values() {
            coordinator.close();
        }
    }

    fn all(&self) -> Vec<Arc<Coordinator>> {
        self.coordinators.read().values().cloned().collect()
    }
}

fn partition_count(topic: &TopicImage) -> i32 {
    i32::try_from(topic.partition_count()).unwrap_or(i32::MAX)
}
