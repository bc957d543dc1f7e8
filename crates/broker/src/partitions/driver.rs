//! Carries the metadata to the replicas: opens, updates and removes logs, then publishes the image that speaks of them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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
use super::opening::{Gate, Opened, OpeningJob, OpeningQueue};
use super::registry::Removed;
use super::{DirAssignments, Flusher, LogHome, Partition, Partitions};
use crate::clock::Clock;
use crate::internal_topics::CONSUMER_OFFSETS;
use crate::log_config::{ReplicaConfig, overrides};
use crate::memory::Pool;
use crate::metadata_view::MetadataView;
use crate::replication::{Fetchers, IsrProposals};

/// Applies images, one after the other. Its calls do file I/O: they run on a thread that may block.
#[derive(Debug)]
pub(crate) struct ReplicaDriver {
    pub partitions: Arc<Partitions>,
    pub view: Arc<MetadataView>,
    pub logs: Arc<LogHome>,
    pub opening: Arc<OpeningQueue>,
    pub flusher: Arc<Flusher>,
    pub assignments: Arc<DirAssignments>,
    pub fetchers: Arc<Fetchers>,
    pub proposals: Arc<IsrProposals>,
    pub config: Arc<ArcSwap<BrokerConfig>>,
    pub node_id: BrokerId,
    pub clock: Clock,
    /// The memory for all logs' producers.
    pub producers: Arc<Pool>,
    /// Replicas for whose logs there was no room.
    pub waiting: Mutex<MetadataDelta>,
}

/// Each thread more is to make so many logs at least.
const LOGS_PER_THREAD: usize = 32;

/// Threads that a topic with so many changed partitions is worth: what it takes to make their logs is mostly done by the file
/// system.
fn threads_for(partitions: usize) -> usize {
    let available = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    available.min(partitions / LOGS_PER_THREAD).max(1)
}

impl ReplicaDriver {
    /// Finds every log on the disk, applies the whole image, which queues those logs to be opened, and sets the logs aside
    /// that no topic owns.
    pub(crate) fn start(&self, image: Arc<MetadataImage>) -> Result<(), StorageError> {
        let broker = self.config.load_full();
        self.logs.cordon(broker.log.cordoned.clone());
        let config = |name: &TopicPartition, _: Option<TopicId>| {
            let resolved = ReplicaConfig::resolve(&image, &name.topic, &broker);
            Arc::new(resolved.map(|resolved| resolved.log).unwrap_or_default())
        };
        self.logs.find_all(&config, self.clock.now())?;
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
        self.note_brokers(&image, delta);
        self.view.publish(image);
    }

    /// Leaders here wait for no follower that is fenced or about to stop.
    fn note_brokers(&self, image: &MetadataImage, delta: &MetadataDelta) {
        let ineligible = delta.brokers.iter().filter(|id| !image.brokers().is_active(**id));
        for broker in ineligible {
            let now = self.clock.now().mono;
            self.partitions.all().iter().for_each(|partition| partition.follower_ineligible(*broker, now));
        }
    }

    /// Dynamic broker settings are below every topic's own: all logs are told.
    fn configure_broker(&self, image: &MetadataImage) {
        let node = self.node_id.to_string();
        let layer = |name| overrides(image, ConfigResourceType::Broker, name);
        match self.config.load().with_dynamic(layer(""), layer(&node)) {
            Ok(config) => {
                self.logs.cordon(config.log.cordoned.clone());
                self.config.store(Arc::new(config));
                self.fetchers.configure();
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

    fn apply_topic(&self, image: &MetadataImage, topic: &TopicImage, changed: impl Iterator<Item = i32>) {
        let Some(config) = self.resolve(image, &topic.name) else { return };
        let log_config = Arc::new(config.log.clone());
        let apply = |index| {
            if let Some(registration) = topic.partition(index) {
                self.apply_partition(topic, index, registration, &config, &log_config);
            }
        };
        let (changed, next): (Vec<i32>, _) = (changed.collect(), AtomicUsize::new(0));
        let work = || {
            while let Some(index) = changed.get(next.fetch_add(1, Ordering::Relaxed)) {
                apply(*index);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads_for(changed.len()) {
                scope.spawn(work);
            }
            work();
        });
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
            return self.give_up(topic, index);
        }
        if self.partitions.has_gate(topic.id, index) {
            // What the metadata says when it is open counts.
            return;
        }
        let name = TopicPartition::new(Arc::clone(&topic.name), index);
        let here = match self.partitions.by_id(topic.id, index) {
            Ok(here) => here,
            Err(_) if self.logs.claim(&name) => return self.queue(topic, name, registration, log_config),
            Err(_) => {
                let wanted = self.wanted(topic, &name, registration, log_config);
                match self.logs.open(&wanted, self.clock.now()) {
                    Ok(homed) => self.replica(topic, name, registration, config, homed),
                    Err(error) => return self.not_opened(topic, index, &error),
                }
            }
        };
        self.list(topic, index, registration, here);
    }

    /// The assignment no longer names this broker: the replica goes, with its log.
    fn give_up(&self, topic: &TopicImage, index: i32) {
        let here = self.partitions.by_id(topic.id, index);
        let was_opening = self.partitions.has_gate(topic.id, index);
        self.partitions.set_elsewhere(&topic.name, topic.id, index);
        let name = TopicPartition::new(Arc::clone(&topic.name), index);
        match here {
            Ok(partition) => {
                self.fetchers.leave(partition.id);
                partition.close();
            }
            Err(_) if was_opening => self.opening.forget(std::slice::from_ref(&name)),
            // It never was here, or its dir is offline: a log that turns up later is set aside.
            Err(_) => return,
        }
        if let Err(error) = self.logs.remove(std::slice::from_ref(&name), self.clock.now()) {
            tracing::error!(partition = %name, %error, "the log of a replica that is elsewhere now stays");
        }
    }

    /// Brings a replica to what the metadata says, and has it served.
    fn list(
        &self,
        topic: &TopicImage,
        index: i32,
        registration: &PartitionRegistration,
        here: Arc<Partition>,
    ) {
        match here.update(&machine_registration(registration), self.clock.now().mono) {
            Ok(Some(role)) => self.fetchers.role_changed(&here, role),
            Ok(None) => {}
            Err(error) => tracing::error!(partition = %here.name, %error, "metadata refused"),
        }
        self.partitions.insert(&topic.name, topic.id, index, Arc::clone(&here));
        // Not before it is listed: the checkpoints are made of what is the one or the other.
        self.logs.owned(&here.name);
    }

    fn wanted<'a>(
        &self,
        topic: &TopicImage,
        name: &'a TopicPartition,
        registration: &PartitionRegistration,
        log_config: &Arc<ottla_storage::LogConfig>,
    ) -> WantedLog<'a> {
        let directory = registration.directory(self.node_id).unwrap_or(DirectoryId::UNASSIGNED);
        WantedLog { name, id: topic.id, directory, config: Arc::clone(log_config) }
    }

    /// Has a log opened that the start has found.
    fn queue(
        &self,
        topic: &TopicImage,
        name: TopicPartition,
        registration: &PartitionRegistration,
        log_config: &Arc<ottla_storage::LogConfig>,
    ) {
        let WantedLog { id, directory, config, .. } = self.wanted(topic, &name, registration, log_config);
        let gate = Gate::new(name.clone(), Arc::clone(&self.opening));
        self.partitions.set_opening(&topic.name, topic.id, name.partition, gate);
        let dir = self.logs.place_of(&name).unwrap_or(0);
        self.opening.push(dir, OpeningJob { name, id, directory, config });
    }

    /// Serves the replicas whose logs have been opened; gives what of that concerns the coordinators.
    pub(crate) fn install(&self, opened: Vec<Opened>) -> (Arc<MetadataImage>, MetadataDelta) {
        let (image, mut delta) = (self.view.image_arc(), MetadataDelta::default());
        self.opening.count_over(opened.len());
        let mut configs: HashMap<TopicId, Option<ReplicaConfig>> = HashMap::new();
        for Opened { name, id, log } in opened {
            let Some(topic) = image.topic_by_id(id) else { continue };
            let Some(registration) = topic.partition(name.partition) else { continue };
            if !self.partitions.has_gate(id, name.partition) {
                continue;
            }
            // Settings may have changed since the log was queued.
            let config = configs.entry(id).or_insert_with(|| self.resolve(&image, &topic.name));
            match (log, config) {
                (Ok(homed), Some(config)) => self.serve(topic, name.clone(), registration, config, homed),
                (Ok(_), None) => self.partitions.set_offline(&topic.name, id, name.partition),
                (Err(error), _) => self.not_opened(topic, name.partition, &error),
            }
            if *name.topic == *CONSUMER_OFFSETS {
                changed(&mut delta, topic, name.partition);
            }
        }
        (image, delta)
    }

    fn serve(
        &self,
        topic: &TopicImage,
        name: TopicPartition,
        registration: &PartitionRegistration,
        config: &ReplicaConfig,
        mut homed: HomedLog,
    ) {
        homed.log.set_config(Arc::new(config.log.clone()));
        let index = name.partition;
        let here = self.replica(topic, name, registration, config, homed);
        self.list(topic, index, registration, Arc::clone(&here));
        if here.is_flush_due(self.clock.now(), u64::MAX) {
            self.flusher.flush(&here);
        }
    }

    fn not_opened(&self, topic: &TopicImage, index: i32, error: &StorageError) {
        if error.is_for_lack_of_room() {
            changed(&mut self.waiting.lock(), topic, index);
        } else if !matches!(error, StorageError::Offline { .. }) {
            let topic = &*topic.name;
            tracing::error!(topic, partition = index, %error, "log could not be opened");
        }
        self.partitions.set_offline(&topic.name, topic.id, index);
    }

    fn replica(
        &self,
        topic: &TopicImage,
        name: TopicPartition,
        registration: &PartitionRegistration,
        config: &ReplicaConfig,
        homed: HomedLog,
    ) -> Arc<Partition> {
        let id = TopicIdPartition { topic_id: topic.id, partition: name.partition };
        if Some(homed.directory) != registration.directory(self.node_id) {
            self.assignments.assign(id, homed.directory);
        }
        let machine = PartitionMachine::new(self.node_id, config.machine, offsets_of(&homed));
        let (failures, producers) = (self.logs.failures(), self.producers.account());
        let proposals = Arc::clone(&self.proposals);
        let replica = Partition::new(name, id, homed.log, machine, failures, proposals, producers);
        self.throttle(&replica, config);
        Arc::new(replica)
    }

    fn throttle(&self, partition: &Partition, config: &ReplicaConfig) {
        let (leader, follower) = &config.throttled;
        let (index, broker) = (partition.name.partition, self.node_id.get());
        partition.throttled.0.store(leader.has(index, broker), Ordering::Relaxed);
        partition.throttled.1.store(follower.has(index, broker), Ordering::Relaxed);
    }

    fn remove_topics(&self, ids: impl Iterator<Item = TopicId>) {
        let mut names: Vec<TopicPartition> = Vec::new();
        for id in ids {
            let Removed { open, opening } = self.partitions.remove_topic(id);
            for partition in open {
                self.fetchers.leave(partition.id);
                partition.close();
                names.push(partition.name.clone());
            }
            names.extend(opening);
        }
        self.opening.forget(&names);
        if let Err(error) = self.logs.remove(&names, self.clock.now()) {
            tracing::error!(%error, partitions = names.len(), "logs could not be removed");
        }
    }

    fn resolve(&self, image: &MetadataImage, topic: &str) -> Option<ReplicaConfig> {
        match ReplicaConfig::resolve(image, topic, &self.config.load()) {
            Ok(config) => Some(config),
            Err(error) => {
                tracing::error!(topic, %error, "topic settings do not resolve");
                None
            }
        }
    }

    fn configure_topic(&self, image: &MetadataImage, topic: &str) {
        let Some(config) = self.resolve(image, topic) else { return };
        let log_config = Arc::new(config.log.clone());
        for partition in self.partitions.of_topic(topic) {
            self.throttle(&partition, &config);
            partition.configure(Arc::clone(&log_config), config.machine, self.clock.now().mono);
        }
    }
}

fn changed(delta: &mut MetadataDelta, topic: &TopicImage, index: i32) {
    let changed = delta
        .topics
        .entry(topic.id)
        .or_insert_with(|| ChangedTopic { name: Arc::clone(&topic.name), partitions: BTreeSet::new() });
    changed.partitions.insert(index);
}

/// A log that was just opened.
fn offsets_of(homed: &HomedLog) -> LogOffsets {
    LogOffsets {
        log_start: homed.log.log_start_offset(),
        high_watermark: homed.high_watermark,
        flushed: homed.log.recovery_point(),
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
