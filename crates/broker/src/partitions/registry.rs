//! All replicas on this broker, by topic name and by topic id.

use std::collections::HashMap;
use std::sync::Arc;

use ottla_model::TopicId;
use parking_lot::RwLock;

use super::Partition;

/// Why a partition cannot be served here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absent {
    UnknownName,
    UnknownId,
    /// The topic is known, this replica is on other brokers.
    Elsewhere,
    /// Its log could not be opened.
    Offline,
}

#[derive(Debug)]
struct Topic {
    id: TopicId,
    /// By partition number.
    partitions: Vec<Slot>,
}

#[derive(Clone, Debug)]
enum Slot {
    Unknown,
    Elsewhere,
    Offline,
    Here(Arc<Partition>),
}

#[derive(Debug, Default)]
struct Topics {
    by_name: HashMap<Arc<str>, Topic>,
    names: HashMap<TopicId, Arc<str>>,
}

/// The replicas. Reads take one short shared lock.
#[derive(Debug, Default)]
pub(crate) struct Partitions {
    topics: RwLock<Topics>,
}

impl Partitions {
    pub(crate) fn by_name(&self, topic: &str, partition: i32) -> Result<Arc<Partition>, Absent> {
        let topics = self.topics.read();
        topics.by_name.get(topic).ok_or(Absent::UnknownName)?.get(partition)
    }

    /// Whether there is such a topic, wherever its partitions are.
    pub(crate) fn knows(&self, topic: &str) -> bool {
        self.topics.read().by_name.contains_key(topic)
    }

    pub(crate) fn by_id(&self, topic: TopicId, partition: i32) -> Result<Arc<Partition>, Absent> {
        let topics = self.topics.read();
        let name = topics.names.get(&topic).ok_or(Absent::UnknownId)?;
        topics.by_name.get(name).ok_or(Absent::UnknownId)?.get(partition)
    }

    /// Every replica that is open here.
    pub(crate) fn all(&self) -> Vec<Arc<Partition>> {
        let topics = self.topics.read();
        let slots = topics.by_name.values().flat_map(|topic| &topic.partitions);
        slots.filter_map(Slot::partition).collect()
    }

    /// The replicas of one topic that are open here.
    pub(crate) fn of_topic(&self, name: &str) -> Vec<Arc<Partition>> {
        let topics = self.topics.read();
        let slots = topics.by_name.get(name).into_iter().flat_map(|topic| &topic.partitions);
        slots.filter_map(Slot::partition).collect()
    }

    pub(super) fn insert(&self, name: &Arc<str>, id: TopicId, partition: i32, replica: Arc<Partition>) {
        self.set(name, id, partition, Slot::Here(replica));
    }

    pub(super) fn set_elsewhere(&self, name: &Arc<str>, id: TopicId, partition: i32) {
        self.set(name, id, partition, Slot::Elsewhere);
    }

    pub(super) fn set_offline(&self, name: &Arc<str>, id: TopicId, partition: i32) {
        self.set(name, id, partition, Slot::Offline);
    }

    /// Takes a topic out; gives its replicas.
    pub(super) fn remove_topic(&self, id: TopicId) -> Vec<Arc<Partition>> {
        let mut topics = self.topics.write();
        let Some(name) = topics.names.remove(&id) else {
            return Vec::new();
        };
        match topics.by_name.get(&name) {
            Some(topic) if topic.id == id => {}
            _ => return Vec::new(),
        }
        let topic = topics.by_name.remove(&name);
        topic.into_iter().flat_map(|topic| topic.partitions).filter_map(|slot| slot.partition()).collect()
    }

    fn set(&self, name: &Arc<str>, id: TopicId, partition: i32, slot: Slot) {
        let Ok(at) = usize::try_from(partition) else { return };
        let mut topics = self.topics.write();
        topics.names.insert(id, Arc::clone(name));
        let topic =
            topics.by_name.entry(Arc::clone(name)).or_insert_with(|| Topic { id, partitions: Vec::new() });
        topic.id = id;
        if topic.partitions.len() <= at {
            topic.partitions.resize(at + 1, Slot::Unknown);
        }
        topic.partitions[at] = slot;
    }
}

impl Topic {
    fn get(&self, partition: i32) -> Result<Arc<Partition>, Absent> {
        let slot = usize::try_from(partition).ok().and_then(|at| self.partitions.get(at));
        match slot {
            Some(Slot::Here(partition)) => Ok(Arc::clone(partition)),
            Some(Slot::Elsewhere) => Err(Absent::Elsewhere),
            Some(Slot::Offline) => Err(Absent::Offline),
            Some(Slot::Unknown) | None => Err(Absent::UnknownName),
        }
    }
}

impl Slot {
    fn partition(&self) -> Option<Arc<Partition>> {
        match self {
            Self::Here(partition) => Some(Arc::clone(partition)),
            _ => None,
        }
    }
}
