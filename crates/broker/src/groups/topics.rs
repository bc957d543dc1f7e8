//! The cluster's topics as groups see them.

use std::sync::Arc;

use ottla_group_coordinator::consumer::{TopicDirectory, TopicInfo};
use ottla_metadata::{MetadataDelta, MetadataImage, TopicImage};
use ottla_model::TopicId;

/// One image. Its version is the offset of the image: a later one with the same topics counts as another, which costs a
/// comparison and no more.
#[derive(Debug)]
pub(super) struct ImageTopics {
    pub(super) image: Arc<MetadataImage>,
    /// The latest version that created a topic, as far as this broker has seen.
    pub(super) created: i64,
}

/// The latest version that created a topic; the first one that is applied counts as such.
#[derive(Debug, Default)]
pub(super) struct CreatedTopics {
    pub(super) version: i64,
    applied: Option<Arc<MetadataImage>>,
}

impl CreatedTopics {
    pub(super) fn apply(&mut self, image: &Arc<MetadataImage>, delta: &MetadataDelta) {
        let before = self.applied.replace(Arc::clone(image));
        let is_new = |id: &TopicId| {
            let known = before.as_ref().is_some_and(|before| before.topic_by_id(*id).is_some());
            !known && image.topic_by_id(*id).is_some()
        };
        if before.is_none() || delta.topics.keys().any(is_new) {
            self.version = image.provenance().offset.get();
        }
    }
}

impl TopicDirectory for ImageTopics {
    fn version(&self) -> i64 {
        self.image.provenance().offset.get()
    }

    fn topics_created_version(&self) -> i64 {
        self.created
    }

    fn topic(&self, name: &str) -> Option<TopicInfo> {
        self.image.topic(name).map(|topic| info(topic))
    }

    fn topic_by_id(&self, id: TopicId) -> Option<TopicInfo> {
        self.image.topic_by_id(id).map(|topic| info(topic))
    }

    fn racks(&self, id: TopicId, partition: i32) -> Vec<String> {
        let Some(partition) = self.image.topic_by_id(id).and_then(|topic| topic.partition(partition)) else {
            return Vec::new();
        };
        let brokers = self.image.brokers();
        partition.replicas.iter().filter_map(|id| brokers.get(*id)?.rack.clone()).collect()
    }

    fn for_each_name(&self, visit: &mut dyn FnMut(&str)) {
        for topic in self.image.topics().iter() {
            visit(&topic.name);
        }
    }
}

fn info(topic: &TopicImage) -> TopicInfo {
    TopicInfo {
        id: topic.id,
        name: Arc::clone(&topic.name),
        partition_count: i32::try_from(topic.partition_count()).unwrap_or(i32::MAX),
    }
}

#[cfg(test)]
mod tests {
    use ottla_metadata::{MetadataRecord, Provenance, TopicRecord};
    use ottla_model::Offset;

    use super::*;

    fn at(offset: i64, topics: u128) -> Arc<MetadataImage> {
        let mut image = MetadataImage::new("cluster");
        for id in 0..topics {
            let topic_id = TopicId(uuid::Uuid::from_u128(id + 1));
            image.replay(&MetadataRecord::Topic(TopicRecord { name: format!("t{id}"), topic_id })).unwrap();
        }
        image.set_provenance(Provenance { offset: Offset(offset), ..image.provenance() });
        Arc::new(image)
    }

    #[test]
    fn only_an_image_with_a_new_topic_makes_expressions_stale() {
        let mut created = CreatedTopics::default();
        let (first, grown, later) = (at(3, 1), at(5, 2), at(7, 2));
        let mut apply = |before: &MetadataImage, image: &Arc<MetadataImage>| {
            created.apply(image, &MetadataDelta::between(before, image));
            created.version
        };
        assert_eq!(apply(&MetadataImage::new("cluster"), &first), 3);
        assert_eq!(apply(&first, &grown), 5);
        assert_eq!(apply(&grown, &later), 5, "nothing was created");
        assert_eq!(apply(&later, &at(9, 1)), 5, "one was deleted");
        assert_eq!(apply(&at(9, 1), &at(11, 2)), 11, "and made again");
    }
}
