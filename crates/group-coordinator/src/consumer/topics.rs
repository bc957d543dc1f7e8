//! What a consumer group needs to know of the cluster's topics.

use std::sync::Arc;

use ottla_model::TopicId;

/// One topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicInfo {
    pub id: TopicId,
    pub name: Arc<str>,
    pub partition_count: i32,
}

/// One version of the cluster's topics; implemented over the broker's metadata image.
pub trait TopicDirectory: std::fmt::Debug {
    /// The metadata offset of this version; the same number means the same topics.
    fn version(&self) -> i64;

    /// The latest version that created a topic: regular expressions resolved before it are resolved anew. An
    /// implementation that does not know says `version()`.
    fn topics_created_version(&self) -> i64;

    fn topic(&self, name: &str) -> Option<TopicInfo>;

    fn topic_by_id(&self, id: TopicId) -> Option<TopicInfo>;

    /// Racks of the replicas of a partition, in any order, one entry a replica that has one.
    fn racks(&self, id: TopicId, partition: i32) -> Vec<String>;

    /// Calls `visit` with every topic's name.
    fn for_each_name(&self, visit: &mut dyn FnMut(&str));
}

#[cfg(test)]
pub(crate) mod testing {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use ottla_model::TopicId;

    use super::{TopicDirectory, TopicInfo};

    /// Topics as a test says; every change is a new version.
    #[derive(Clone, Debug, Default)]
    pub(crate) struct FakeTopics {
        version: i64,
        created: i64,
        topics: BTreeMap<Arc<str>, (TopicInfo, Vec<Vec<String>>)>,
    }

    impl FakeTopics {
        /// Adds a topic whose id is its number.
        pub(crate) fn add(&mut self, name: &str, id: u128, partitions: usize) -> TopicId {
            let id = TopicId(uuid::Uuid::from_u128(id));
            self.add_with_racks(name, id, vec![Vec::new(); partitions]);
            id
        }

        pub(crate) fn add_with_racks(&mut self, name: &str, id: TopicId, racks: Vec<Vec<String>>) {
            let partition_count = i32::try_from(racks.len()).unwrap();
            let info = TopicInfo { id, name: Arc::from(name), partition_count };
            self.version += 1;
            if self.topics.insert(Arc::from(name), (info, racks)).is_none() {
                self.created = self.version;
            }
        }

        pub(crate) fn remove(&mut self, name: &str) {
            self.version += 1;
            self.topics.remove(name);
        }
    }

    impl TopicDirectory for FakeTopics {
        fn version(&self) -> i64 {
            self.version
        }

        fn topics_created_version(&self) -> i64 {
            self.created
        }

        fn topic(&self, name: &str) -> Option<TopicInfo> {
            self.topics.get(name).map(|(info, _)| info.clone())
        }

        fn topic_by_id(&self, id: TopicId) -> Option<TopicInfo> {
            self.topics.values().find(|(info, _)| info.id == id).map(|(info, _)| info.clone())
        }

        fn racks(&self, id: TopicId, partition: i32) -> Vec<String> {
            let topic = self.topics.values().find(|(info, _)| info.id == id);
            let partition = usize::try_from(partition).unwrap();
            topic.and_then(|(_, racks)| racks.get(partition)).cloned().unwrap_or_default()
        }

        fn for_each_name(&self, visit: &mut dyn FnMut(&str)) {
            self.topics.keys().for_each(|name| visit(name));
        }
    }
}
