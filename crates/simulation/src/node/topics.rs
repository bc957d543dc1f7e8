//! The cluster's topics as groups see them.

use std::sync::Arc;

use ottla_group_coordinator::consumer::{TopicDirectory, TopicInfo};
use ottla_metadata::{MetadataImage, TopicImage};
use ottla_model::TopicId;

use crate::groups::work;

/// One image. Each version counts as one that has created topics.
#[derive(Debug)]
pub(crate) struct Topics(MetadataImage);

impl Topics {
    pub(crate) fn of(image: &MetadataImage) -> Self {
        Self(image.clone())
    }
}

impl TopicDirectory for Topics {
    fn version(&self) -> i64 {
        self.0.provenance().offset.get()
    }

    fn topics_created_version(&self) -> i64 {
        self.version()
    }

    fn topic(&self, name: &str) -> Option<TopicInfo> {
        if name == work::TOPIC { Some(shared()) } else { self.0.topic(name).map(|topic| info(topic)) }
    }

    fn topic_by_id(&self, id: TopicId) -> Option<TopicInfo> {
        if id == work::TOPIC_ID { Some(shared()) } else { self.0.topic_by_id(id).map(|topic| info(topic)) }
    }

    fn racks(&self, _id: TopicId, _partition: i32) -> Vec<String> {
        Vec::new()
    }

    fn for_each_name(&self, visit: &mut dyn FnMut(&str)) {
        for topic in self.0.topics().iter() {
            visit(&topic.name);
        }
    }
}

/// The topic that is there for groups only.
fn shared() -> TopicInfo {
    TopicInfo { id: work::TOPIC_ID, name: Arc::from(work::TOPIC), partition_count: work::PARTITIONS }
}

fn info(topic: &TopicImage) -> TopicInfo {
    TopicInfo {
        id: topic.id,
        name: Arc::clone(&topic.name),
        partition_count: i32::try_from(topic.partition_count()).unwrap_or(i32::MAX),
    }
}
