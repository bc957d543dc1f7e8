//! Carries the metadata to the replicas: opens, updates and removes logs, then publishes the image that speaks of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use ottla_config::BrokerConfig;
use ottla_metadata::{
    ChangedTopic, ConfigResourceType, DirectoryId, MetadataDelta, MetadataImage, PartitionRegistration,
    TopicImage,
};
use ottla_model::{BrokerId, TopicId, TopicIdPartition, TopicPartition};
use ottla_replication::{LogOffsets, PartitionMachine, Registration};
use ottla_storage::StorageError;
use parking_lot::Mutex;

use super::log_home::{HomedLog, WantedLog};
use super::{DirAssignments, LogHome, Partition, Partitions};
use crate::clock::Clock;
use crate::log_config::{ReplicaConfig, overrides};
use crate::memory::Pool;
use crate::metadata_view::MetadataView;

/// Applies images, one after the other. Its calls do file I/O: they run on a thread that may block.
#[derive(Debug)]
pub(crate) struct ReplicaDriver {
    pub partitions: Arc<Partitions>,
    pub view: Arc<MetadataView>,
    pub logs: Arc<LogHome>,
    pub assignments: Arc<DirAssignments>,
    pub config: Arc<ArcSwap<BrokerConfig>>,
    pub node_id: BrokerId,
    pub clock: Clock,
    /// The memory for all logs' producers.
    pub producers: Arc<Pool>,
    /// Replicas for whose logs there was no room.
    pub waiting: Mutex<MetadataDelta>,
}

impl ReplicaDriver {
    /// Opens every log on the disk with the settings of its topic in `image`, applies the whole image, and sets the
    /// logs aside that no topic owns.
    pub(crate) fn start(&self, image: Arc<MetadataImage>) -> Result<(), StorageError> {
        let broker = self.config.load_full();
        self.logs.cordon(broker.log.cordoned.clone());
        let config = |name: &TopicPartition, _: Option<TopicId>| {
            let resolved = ReplicaConfig::resolve(&image, &name.topic, &broker);
            Arc::new(resolved.map(|resolved| resolved.log).unwrap_or_default())
        };
        self.logs.open_all(&config, self.clock.now())?;
        let everything = MetadataDelta::between(&MetadataImage::new(Arc::clone(image.cluster_id())), &image);
        self.apply(image, &everything);
        self.view.followed();
        self.logs.set_strays_aside();
        Ok(())
    }

    /// Brings the replicas to what `image` says, given what has changed since the last one, and publishes it.
    pub(crate) fn apply(&self, image: Arc<MetadataImage>, delta: &MetadataDelta) {
        // First what goes: a topic that was deleted and created again is in one delta under both ids and one name.
        self.remove_topics(delta.topics.keys().copied().filter(|id| image.topic_by_id(*id).is_none()));
        for (id, changed) in &delta.topics {
            if let Some(topic) = image.topic_by_id(*id) {
                self.apply_topic(&image, topic, changed.partitions.iter().copied());
            }
        }
        if delta.configs.iter().any(|resource| resource.kind == ConfigResourceType::Broker) {
            self.configure_broker(&image);
        }
        for resource in &delta.configs {
            if resource.kind == ConfigResourceType::Topic {
                self.configure_topic(&image, &resource.name);
            }
        }
        self.view.publish(image);
    }

    /// Dynamic broker settings are below every topic's own: all logs are told.
    fn configure_broker(&self, image: &MetadataImage) {
        let node = self.node_id.to_string();
        let layer = |name| overrides(image, ConfigResourceType::Broker, name);
        match self.config.load().with_dynamic(layer(""), layer(&node)) {
            Ok(config) => {
                self.logs.cordon(config.log.cordoned.clone());
                self.config.store(Arc::new(config));
            }
            Err(error) => {
                tracing::error!(%error, "dynamic broker settings do not resolve");
                return;
            }
        }
        for topic in image.topics().iter() {
            self.configure_topic(image, &topic.name);
        }
    }

    /// Whether [`ReplicaDriver::retry`] has something to do.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.waiting.lock().is_empty()
    }

    /// Makes the logs for which there was no room, if there is now; gives what was tried.
    pub(crate) fn retry(&self) -> (Arc<MetadataImage>, MetadataDelta) {
        let (image, delta) = (Arc::clone(&self.view.image()), std::mem::take(&mut *self.waiting.lock()));
        for (id, changed) in &delta.topics {
            if let Some(topic) = image.topic_by_id(*id) {
                self.apply_topic(&image, topic, changed.partitions.iter().copied());
            }
        }
        (image, delta)
    }

    fn wait_for_room(&self, topic: &TopicImage, index: i32) {
        let mut waiting = self.waiting.lock();
        let changed = waiting
            .topics
            .entry(topic.id)
            .or_insert_with(|| ChangedTopic { name: Arc::clone(&topic.name), partitions: BTreeSet::new() });
        changed.partitions.insert(index);
    }

    fn apply_topic(&self, image: &MetadataImage, topic: &TopicImage, changed: impl Iterator<Item = i32>) {
        let config = match ReplicaConfig::resolve(image, &topic.name, &self.config.load()) {
            Ok(config) => config,
            Err(error) => {
                tracing::error!(topic = %topic.name, %error, "topic settings do not resolve");
                return;
            }
        };
        let log_config = Arc::new(config.log.clone());
        for index in changed {
            if let Some(registration) = topic.partition(index) {
                self.apply_partition(topic, index, registration, &config, &log_config);
            }
        }
    }

    fn apply_partition(
        &self,
        topic: &TopicImage,
        index: i32,
        registration: &PartitionRegistration,
        config: &ReplicaConfig,
        log_config: &Arc<ottla_storage::LogConfig>,
    ) {
        if !registration.replicas.contains(&self.node_id) {
            self.partitions.set_elsewhere(&topic.name, topic.id, index);
            return;
        }
        let here = match self.partitions.by_id(topic.id, index) {
            Ok(here) => here,
            Err(_) => match self.open(topic, index, registration, config, log_config) {
                Ok(opened) => opened,
                Err(error) => {
                    if error.is_for_lack_of_room() {
                        self.wait_for_room(topic, index);
                    } else {
                        let topic = &*topic.name;
                        tracing::error!(topic, partition = index, %error, "log could not be opened");
                    }
                    self.partitions.set_offline(&topic.name, topic.id, index);
                    return;
                }
            },
        };
        if let Err(error) = here.update(&machine_registration(registration), self.clock.now().mono) {
            tracing::error!(partition = %here.name, %error, "metadata refused");
        }
        self.partitions.insert(&topic.name, topic.id, index, here);
    }

    fn open(
        &self,
        topic: &TopicImage,
        index: i32,
        registration: &PartitionRegistration,
        config: &ReplicaConfig,
        log_config: &Arc<ottla_storage::LogConfig>,
    ) -> Result<Arc<Partition>, StorageError> {
        let name = TopicPartition::new(Arc::clone(&topic.name), index);
        let id = TopicIdPartition { topic_id: topic.id, partition: index };
        let directory = registration.directory(self.node_id).unwrap_or(DirectoryId::UNASSIGNED);
        let wanted = WantedLog { name: &name, id: topic.id, directory, config: Arc::clone(log_config) };
        let homed = self.logs.open(&wanted, self.clock.now())?;
        if homed.directory != directory {
            self.assignments.assign(id, homed.directory);
        }
        let machine = PartitionMachine::new(self.node_id, config.machine, offsets_of(&homed));
        Ok(Arc::new(Partition::new(
            name,
            id,
            homed.log,
            machine,
            self.logs.failures(),
            self.producers.account(),
        )))
    }

    fn remove_topics(&self, ids: impl Iterator<Item = TopicId>) {
        let removed: Vec<Arc<Partition>> = ids.flat_map(|id| self.partitions.remove_topic(id)).collect();
        for partition in &removed {
            partition.close();
        }
        let names: Vec<TopicPartition> = removed.iter().map(|partition| partition.name.clone()).collect();
        if let Err(error) = self.logs.remove(&names, self.clock.now()) {
            tracing::error!(%error, partitions = names.len(), "logs could not be removed");
        }
    }

    fn configure_topic(&self, image: &MetadataImage, topic: &str) {
        let config = match ReplicaConfig::resolve(image, topic, &self.config.load()) {
            Ok(config) => config,
            Err(error) => {
                tracing::error!(topic, %error, "topic settings do not resolve");
                return;
            }
        };
        let log_config = Arc::new(config.log);
        for partition in self.partitions.of_topic(topic) {
            partition.configure(Arc::clone(&log_config), config.machine, self.clock.now().mono);
        }
    }
}

/// A log that was just opened: recovery has flushed what it kept.
fn offsets_of(homed: &HomedLog) -> LogOffsets {
    LogOffsets {
        log_start: homed.log.log_start_offset(),
        high_watermark: homed.high_watermark,
        flushed: homed.log.log_end_offset(),
        leo: homed.log.log_end_offset(),
    }
}

fn machine_registration(registration: &PartitionRegistration) -> Registration {
    Registration {
        leader: registration.has_leader().then_some(registration.leader),
        leader_epoch: registration.leader_epoch,
        partition_epoch: registration.partition_epoch,
        replicas: registration.replicas.clone(),
        isr: registration.isr.clone(),
    }
}
