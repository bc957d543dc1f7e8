//! The cluster's topics as groups see them.

use std::sync::Arc;

use ottla_group_coordinator::consumer::{TopicDirectory, TopicInfo};
use ottla_metadata::{MetadataImage, TopicImage};
use ottla_model::TopicId;

/// One image. Its version is the offset of the image: a later one with the same topics counts as another, which costs a
/// comparison and no more.
#[derive(Debug)]
pub(super) struct ImageTopics(pub(super) Arc<MetadataImage>);

impl TopicDirectory for ImageTopics {
    fn version(&self) -> i64 {
        self.0.provenance().offset.get()
    }

    fn topics_created_version(&self) -> i64 {
        self.version()
    }

    fn topic(&self, name: &str) -> Option<TopicInfo> {
        self.0.topic(name).map(|topic| info(topic))
    }

    fn topic_by_id(&self, id: TopicId) -> Option<TopicInfo> {
        self.0.topic_by_id(id).map(|topic| info(topic))
    }

    fn racks(&self, id: TopicId, partition: i32) -> Vec<String> {
        let Some(partition) = self.0.topic_by_id(id).and_then(|topic| topic.partition(partition)) else {
            return Vec::new();
        };
        let brokers = self.0.brokers();
        partition.replicas.iter().filter_map(|id| brokers.get(*id)?.rack.clone()).collect()
    }

    fn for_each_name(&self, visit: &mut dyn FnMut(&str)) {
        for topic in self.0.topics().iter() {
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
