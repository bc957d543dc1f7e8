//! Topics and their partitions, by name and by id.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use ottla_model::TopicId;

use super::{PartitionRegistration, ReplayError};
use crate::record::{MetadataRecord, PartitionChangeRecord, PartitionRecord, TopicRecord};

/// One topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicImage {
    pub name: Arc<str>,
    pub id: TopicId,
    partitions: BTreeMap<i32, Arc<PartitionRegistration>>,
}

impl TopicImage {
    #[must_use]
    pub fn partition(&self, partition: i32) -> Option<&Arc<PartitionRegistration>> {
        self.partitions.get(&partition)
    }

    /// The partitions by ascending number.
    pub fn partitions(&self) -> impl DoubleEndedIterator<Item = (i32, &Arc<PartitionRegistration>)> {
        self.partitions.iter().map(|(partition, registration)| (*partition, registration))
    }

    #[must_use]
    pub fn partition_count(&self) -> usize {
        self.partitions.len()
    }
}

/// All topics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicsImage {
    by_id: BTreeMap<TopicId, Arc<TopicImage>>,
    /// Every topic of `by_id`, and no other.
    ids: BTreeMap<Arc<str>, TopicId>,
}

impl TopicsImage {
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&Arc<TopicImage>> {
        self.by_id.get(self.ids.get(name)?)
    }

    #[must_use]
    pub fn by_id(&self, id: TopicId) -> Option<&Arc<TopicImage>> {
        self.by_id.get(&id)
    }

    /// Every topic, by ascending name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<TopicImage>> {
        self.ids.values().filter_map(|id| self.by_id.get(id))
    }

    /// The topics whose name is `first` or later, by ascending name.
    pub fn from_name(&self, first: &str) -> impl Iterator<Item = &Arc<TopicImage>> {
        self.ids
            .range::<str, _>((Bound::Included(first), Bound::Unbounded))
            .filter_map(|(_, id)| self.by_id.get(id))
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    pub(super) fn create(&mut self, record: &TopicRecord) -> Result<(), ReplayError> {
        if let Some(existing) = self.ids.get(record.name.as_str()) {
            return Err(ReplayError::TopicExists { name: record.name.clone(), existing: *existing });
        }
        if self.by_id.contains_key(&record.topic_id) {
            return Err(ReplayError::TopicIdExists(record.topic_id));
        }
        let name: Arc<str> = Arc::from(record.name.as_str());
        self.ids.insert(name.clone(), record.topic_id);
        let topic = TopicImage { name, id: record.topic_id, partitions: BTreeMap::new() };
        self.by_id.insert(record.topic_id, Arc::new(topic));
        Ok(())
    }

    pub(super) fn put_partition(&mut self, record: &PartitionRecord) -> Result<(), ReplayError> {
        let registration = Arc::new(PartitionRegistration::from(record));
        self.topic_mut(record.topic_id)?.partitions.insert(record.partition_id, registration);
        Ok(())
    }

    pub(super) fn change_partition(&mut self, record: &PartitionChangeRecord) -> Result<(), ReplayError> {
        let (topic_id, partition) = (record.topic_id, record.partition_id);
        if self.by_id.get(&topic_id).is_some_and(|topic| topic.partition(partition).is_none()) {
            return Err(ReplayError::UnknownPartition { topic_id, partition });
        }
        if let Some(registration) = self.topic_mut(topic_id)?.partitions.get_mut(&partition) {
            Arc::make_mut(registration).apply(record);
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, id: TopicId) -> Result<Arc<str>, ReplayError> {
        let topic = self.by_id.remove(&id).ok_or(ReplayError::UnknownTopicId(id))?;
        self.ids.remove(&topic.name);
        Ok(topic.name.clone())
    }

    pub(super) fn write_records(&self, out: &mut Vec<MetadataRecord>) {
        for topic in self.iter() {
            out.push(MetadataRecord::Topic(TopicRecord { name: topic.name.to_string(), topic_id: topic.id }));
            out.extend(topic.partitions().map(|(partition, registration)| {
                MetadataRecord::Partition(registration.to_record(topic.id, partition))
            }));
        }
    }

    /// The topic for changing; copied if an older image holds it too.
    fn topic_mut(&mut self, id: TopicId) -> Result<&mut TopicImage, ReplayError> {
        self.by_id.get_mut(&id).map(Arc::make_mut).ok_or(ReplayError::UnknownTopicId(id))
    }
}
