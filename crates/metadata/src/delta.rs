//! What a run of records changed, so that a broker applies only that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_model::{BrokerId, TopicId};

use crate::image::{ConfigResource, ConfigResourceType, MetadataImage};
use crate::record::{ConfigRecord, MetadataRecord};

/// A topic that has been created, changed or deleted (then the newer image does not hold its id).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedTopic {
    pub name: Arc<str>,
    /// The partitions that were created, changed, or deleted with the topic.
    pub partitions: BTreeSet<i32>,
}

/// What differs between an older and a newer image: names of things, not their values. What has become of each thing,
/// the newer image says. Deltas of consecutive runs add up by [`Self::merge`], so that a slow reader holds one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataDelta {
    pub topics: BTreeMap<TopicId, ChangedTopic>,
    pub configs: BTreeSet<ConfigResource>,
    pub brokers: BTreeSet<BrokerId>,
    /// Controllers that have registered, or are registered no more.
    pub controllers: BTreeSet<BrokerId>,
    pub features: bool,
    pub producer_ids: bool,
    pub controller: bool,
}

impl MetadataDelta {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Notes what `record` is about to change. Call it with the image *before* the record is replayed.
    pub fn note(&mut self, before: &MetadataImage, record: &MetadataRecord) {
        match record {
            MetadataRecord::RegisterBroker(r) => self.broker(r.broker_id),
            MetadataRecord::UnregisterBroker(r) => self.broker(r.broker_id),
            MetadataRecord::BrokerRegistrationChange(r) => self.broker(r.broker_id),
            MetadataRecord::FenceBroker(r) => self.broker(r.broker_id),
            MetadataRecord::UnfenceBroker(r) => self.broker(r.broker_id),
            MetadataRecord::RegisterController(r) => self.registered_controller(r.controller_id),
            MetadataRecord::UnregisterController(r) => self.registered_controller(r.controller_id),
            MetadataRecord::Topic(r) => {
                self.topic(r.topic_id, &Arc::from(r.name.as_str()));
            }
            MetadataRecord::Partition(r) => self.partition(before, r.topic_id, r.partition_id),
            MetadataRecord::PartitionChange(r) => self.partition(before, r.topic_id, r.partition_id),
            MetadataRecord::RemoveTopic(r) => self.removed_topic(before, r.topic_id),
            MetadataRecord::Config(r) => self.config(r),
            MetadataRecord::ProducerIds(_) => self.producer_ids = true,
            MetadataRecord::FeatureLevel(_) => self.features = true,
            MetadataRecord::NoOp => {}
        }
    }

    /// Adds what a later run changed.
    pub fn merge(&mut self, later: &Self) {
        for (id, topic) in &later.topics {
            self.topic(*id, &topic.name).partitions.extend(&topic.partitions);
        }
        self.configs.extend(later.configs.iter().cloned());
        self.brokers.extend(&later.brokers);
        self.controllers.extend(&later.controllers);
        self.features |= later.features;
        self.producer_ids |= later.producer_ids;
        self.controller |= later.controller;
    }

    /// What differs between two images, found by comparing them: for a reader that starts, or after a snapshot.
    #[must_use]
    pub fn between(older: &MetadataImage, newer: &MetadataImage) -> Self {
        let mut delta = Self {
            features: older.features() != newer.features(),
            producer_ids: older.producer_ids() != newer.producer_ids(),
            controller: older.controller_id() != newer.controller_id(),
            ..Self::default()
        };
        delta.compare_topics(older, newer);
        delta.compare_topics(newer, older);
        delta.compare_configs(older, newer);
        delta.compare_configs(newer, older);
        for (a, b) in [(older, newer), (newer, older)] {
            let changed = a.brokers().iter().filter(|broker| b.brokers().get(broker.id) != Some(*broker));
            delta.brokers.extend(changed.map(|broker| broker.id));
            let is_same = |id| b.controllers().get(id) == a.controllers().get(id);
            let changed = a.controllers().iter().filter(|controller| !is_same(controller.id));
            delta.controllers.extend(changed.map(|controller| controller.id));
        }
        delta
    }

    fn compare_topics(&mut self, a: &MetadataImage, b: &MetadataImage) {
        for topic in a.topics().iter() {
            let other = b.topic_by_id(topic.id);
            if other.is_some_and(|other| Arc::ptr_eq(topic, other) || topic == other) {
                continue;
            }
            let changed = self.topic(topic.id, &topic.name);
            for (partition, registration) in topic.partitions() {
                if other.and_then(|other| other.partition(partition)) != Some(registration) {
                    changed.partitions.insert(partition);
                }
            }
        }
    }

    fn compare_configs(&mut self, a: &MetadataImage, b: &MetadataImage) {
        for (resource, overrides) in a.configs().iter() {
            if b.configs().overrides(resource.kind, &resource.name) != Some(overrides) {
                self.configs.insert(resource);
            }
        }
    }

    fn broker(&mut self, id: BrokerId) {
        self.brokers.insert(id);
    }

    fn registered_controller(&mut self, id: BrokerId) {
        self.controllers.insert(id);
    }

    fn config(&mut self, record: &ConfigRecord) {
        self.configs.insert(ConfigResource::new(record.resource_type, record.resource_name.as_str()));
    }

    fn topic(&mut self, id: TopicId, name: &Arc<str>) -> &mut ChangedTopic {
        self.topics
            .entry(id)
            .or_insert_with(|| ChangedTopic { name: name.clone(), partitions: BTreeSet::new() })
    }

    fn partition(&mut self, before: &MetadataImage, id: TopicId, partition: i32) {
        if let Some(topic) = before.topic_by_id(id) {
            self.topic(id, &topic.name).partitions.insert(partition);
        }
    }

    fn removed_topic(&mut self, before: &MetadataImage, id: TopicId) {
        let Some(topic) = before.topic_by_id(id) else { return };
        self.topic(id, &topic.name).partitions.extend(topic.partitions().map(|(partition, _)| partition));
        if before.configs().has_overrides(ConfigResourceType::Topic, &topic.name) {
            self.configs.insert(ConfigResource::topic(topic.name.clone()));
        }
    }
}
