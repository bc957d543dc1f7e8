//! Carries the metadata to the replicas: as `broker/src/partitions/driver.rs` and `log_home.rs`, without gates.

use std::sync::Arc;

use ottla_metadata::{
    ChangedTopic, DirectoryId, MetadataDelta, MetadataImage, MetadataRecord, PartitionRegistration,
    Provenance, TopicImage,
};
use ottla_model::{Now, Offset, TopicId, TopicIdPartition, TopicPartition};
use ottla_replication::{LogOffsets, PartitionMachine, Registration};
use ottla_storage::{LogConfig, PartitionLog, StorageError};
use uuid::Uuid;

use super::process::{Process, Standing};
use super::replica::Replica;
use crate::controller::CLUSTER;
use crate::message::broker;

pub(crate) fn registration(partition: &PartitionRegistration) -> Registration {
    Registration {
        leader: partition.has_leader().then_some(partition.leader),
        leader_epoch: partition.leader_epoch,
        partition_epoch: partition.partition_epoch,
        replicas: partition.replicas.clone(),
        isr: partition.isr.clone(),
    }
}

impl Process {
    /// What the metadata log has from `from` on.
    pub(crate) fn news(&mut self, from: Offset, records: &[MetadataRecord], now: Now) {
        let next = self.image.provenance().offset.plus(1);
        let Ok(known) = usize::try_from(next.get() - from.get()) else { return };
        let Some(records) = records.get(known..).filter(|records| !records.is_empty()) else { return };
        let mut delta = MetadataDelta::default();
        for record in records {
            delta.note(&self.image, record);
            self.image.replay(record).expect("a committed record replays");
            let offset = self.image.provenance().offset.plus(1);
            self.image.set_provenance(Provenance { offset, epoch: 1 });
        }
        self.follow_image(&delta, now);
        self.pull();
    }

    /// What the process's own observer shows, if it has one.
    pub(crate) fn look(&mut self, now: Now) {
        let Some(observer) = &mut self.observer else { return };
        let update = observer.try_next();
        let is_first = self.image.provenance().offset == Offset::NONE;
        if is_first || update.is_some() {
            self.image = observer.current().as_ref().clone();
            self.follow_image(&update.map(|update| update.delta).unwrap_or_default(), now);
        }
    }

    fn follow_image(&mut self, delta: &MetadataDelta, now: Now) {
        if self.started {
            let image = self.image.clone();
            self.apply(&image, delta, now);
        } else {
            self.begin(now);
        }
    }

    /// Begins to live by the metadata, once it has the broker's own registration.
    pub(crate) fn begin(&mut self, now: Now) {
        let is_caught_up = matches!(self.standing, Standing::Registered { epoch } if self.image.provenance().offset.get() >= epoch);
        if is_caught_up && !self.started {
            let image = self.image.clone();
            self.started = true;
            self.apply(&image, &MetadataDelta::between(&MetadataImage::new(CLUSTER), &image), now);
            self.set_strays_aside();
        }
    }

    fn set_strays_aside(&mut self) {
        if self.shell.dir_failed {
            // The dir is offline, and what was found in it may be of topics that were not gone through any more.
            return;
        }
        let strays: Vec<TopicPartition> = std::mem::take(&mut self.found).into_iter().collect();
        if !strays.is_empty() {
            self.shell.count("stray log set aside");
            let unique = &mut self.unique;
            let fresh = || {
                *unique += 1;
                Uuid::from_u128(*unique)
            };
            if let Err(error) = self.dir.set_aside(&strays, fresh) {
                self.disk_says(&error);
            }
        }
    }

    fn disk_says(&mut self, error: &StorageError) {
        self.shell.dir_failed |= error.is_of_the_disk() && !error.is_for_lack_of_room();
    }

    fn apply(&mut self, image: &MetadataImage, delta: &MetadataDelta, now: Now) {
        for id in delta.topics.keys().filter(|id| image.topic_by_id(**id).is_none()) {
            let gone: Vec<TopicIdPartition> =
                self.replicas.keys().filter(|replica| replica.topic_id == *id).copied().collect();
            gone.into_iter().for_each(|id| self.give_up(id));
        }
        for (id, changed) in &delta.topics {
            if let Some(topic) = image.topic_by_id(*id) {
                for index in &changed.partitions {
                    self.apply_partition(topic, *index, now);
                }
            }
        }
        for broker in delta.brokers.iter().filter(|id| !image.brokers().is_active(**id)) {
            for replica in self.replicas.values_mut() {
                let effects = replica.machine.follower_ineligible(*broker, now.mono);
                replica.settle(&effects, &mut self.shell);
            }
        }
        self.coordinators.hear(image, delta, now);
    }

    /// Makes the logs for which there was no room; what is coordinated there begins with them.
    pub(crate) fn open_waiting(&mut self, now: Now) {
        let waiting = std::mem::take(&mut self.waiting);
        if !waiting.is_empty() {
            let image = self.image.clone();
            self.apply(&image, &waiting, now);
        }
    }

    fn give_up(&mut self, id: TopicIdPartition) {
        let Some(mut replica) = self.replicas.remove(&id) else { return };
        replica.close(&mut self.shell);
        self.role_changed(id);
        self.remove_log(&replica.name);
    }

    fn remove_log(&mut self, name: &TopicPartition) {
        self.shell.count("log removed");
        let unique = &mut self.unique;
        let fresh = || {
            *unique += 1;
            Uuid::from_u128(*unique)
        };
        match self.dir.delete_partitions(std::slice::from_ref(name), fresh) {
            Ok(deleted) => {
                for deleted in deleted {
                    let _ = self.dir.remove_deleted(&deleted);
                }
            }
            Err(error) => self.disk_says(&error),
        }
    }

    fn apply_partition(&mut self, topic: &TopicImage, index: i32, now: Now) {
        let Some(partition) = topic.partition(index) else { return };
        let id = TopicIdPartition { topic_id: topic.id, partition: index };
        if !partition.replicas.contains(&broker(self.own)) {
            return self.give_up(id);
        }
        if !self.replicas.contains_key(&id) {
            if self.shell.dir_failed {
                // The dir is offline: a log that was found in it and could not be opened is not made anew.
                return;
            }
            match self.open(topic, index, now) {
                Ok(replica) => {
                    self.replicas.insert(id, replica);
                }
                Err(error) if error.is_for_lack_of_room() => {
                    self.shell.count("replica waits for room");
                    let changed = ChangedTopic { name: Arc::clone(&topic.name), partitions: [index].into() };
                    let topics = [(topic.id, changed)].into();
                    self.waiting.merge(&MetadataDelta { topics, ..MetadataDelta::default() });
                    return;
                }
                Err(error) => return self.disk_says(&error),
            }
            let here = DirectoryId(self.dir.directory_id());
            if partition.directory(broker(self.own)) != Some(here) {
                self.directories.insert(id, here);
            }
        }
        let Some(replica) = self.replicas.get_mut(&id) else { return };
        if replica.update(&registration(partition), now, &mut self.shell) {
            self.role_changed(id);
        }
    }

    /// The log that was found, or a new one.
    fn open(&mut self, topic: &TopicImage, index: i32, now: Now) -> Result<Replica, StorageError> {
        let name = TopicPartition::new(Arc::clone(&topic.name), index);
        let (log_config, machine_config) = self.settings.of(&self.image, &topic.name);
        let id = TopicIdPartition { topic_id: topic.id, partition: index };
        let (log, high_watermark) = self.open_log(&name, topic.id, &log_config, now)?;
        let offsets = LogOffsets {
            log_start: log.log_start_offset(),
            high_watermark,
            flushed: log.recovery_point(),
            leo: log.log_end_offset(),
        };
        self.dir.owned(&name);
        let machine = PartitionMachine::new(broker(self.own), machine_config, offsets);
        Ok(Replica::new(name, id, log, machine))
    }

    fn open_log(
        &mut self,
        name: &TopicPartition,
        topic_id: TopicId,
        config: &Arc<LogConfig>,
        now: Now,
    ) -> Result<(PartitionLog, Offset), StorageError> {
        if self.found.remove(name) {
            let same = Arc::clone(config);
            let found = self.dir.open_found(name, &move |_, _| Arc::clone(&same), now)?;
            if found.topic_id.is_none_or(|found| found == topic_id) {
                if found.topic_id.is_none() {
                    self.shell.count("log without a topic id");
                    self.dir.adopt(&found.log, topic_id)?;
                }
                self.shell.count("log opened again");
                return Ok((found.log, found.high_watermark));
            }
            drop(found);
            self.remove_log(name);
        }
        let log = self.dir.create_partition(name, topic_id, Arc::clone(config), now)?;
        let high_watermark = log.log_end_offset();
        Ok((log, high_watermark))
    }
}
