//! All replicas on this broker, by topic name and by topic id.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ottla_model::{TopicId, TopicPartition};
use parking_lot::RwLock;

use super::Partition;
use super::opening::{Gate, Opening};
use super::unfinished::Unfinished;

/// Why a partition cannot be served here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absent {
    UnknownName,
    UnknownId,
    /// The topic is known, this replica is on other brokers.
    Elsewhere,
    /// Its log is not open yet.
    Opening,
    /// Its log could not be opened.
    Offline,
}

/// How a request names a topic.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TopicKey<'a> {
    Name(&'a str),
    Id(TopicId),
}

/// The replicas of a topic that is gone.
#[derive(Debug, Default)]
pub(super) struct Removed {
    pub(super) open: Vec<Arc<Partition>>,
    /// Those whose logs were not open yet.
    pub(super) opening: Vec<TopicPartition>,
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
    Opening(Arc<Gate>),
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
    /// Replicas whose logs are not open yet: without any nobody need look for them.
    opening_count: AtomicUsize,
    unfinished: Arc<Unfinished>,
}

impl Partitions {
    /// Where its log is not open yet, that is what is opened next; so for all that ask for a replica.
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

    /// Those of the named replicas whose logs are not open yet. They are opened next.
    pub(crate) fn opening<'a>(&self, named: impl IntoIterator<Item = (TopicKey<'a>, i32)>) -> Vec<Opening> {
        if self.opening_count.load(Ordering::Acquire) == 0 {
            return Vec::new();
        }
        let topics = self.topics.read();
        let gates = named.into_iter().filter_map(|(topic, partition)| {
            let name = match topic {
                TopicKey::Name(name) => name,
                TopicKey::Id(id) => topics.names.get(&id)?,
            };
            topics.by_name.get(name)?.gate(partition)
        });
        gates.map(|gate| gate.opening()).collect()
    }

    /// The names of those replicas.
    pub(crate) fn opening_names(&self) -> Vec<TopicPartition> {
        let topics = self.topics.read();
        let slots = topics.by_name.values().flat_map(|topic| &topic.partitions);
        slots.filter_map(Slot::gate).map(|gate| gate.name().clone()).collect()
    }

    /// Whether one of a topic's replicas is such a one; all of them are opened next.
    pub(crate) fn is_opening(&self, topic: &str) -> bool {
        let topics = self.topics.read();
        let slots = topics.by_name.get(topic).into_iter().flat_map(|topic| &topic.partitions);
        slots.filter_map(Slot::gate).inspect(|gate| gate.want()).count() > 0
    }

    /// Whether this one is, by id. It is not opened the sooner for it.
    pub(super) fn has_gate(&self, topic: TopicId, partition: i32) -> bool {
        let topics = self.topics.read();
        let topic = topics.names.get(&topic).and_then(|name| topics.by_name.get(name));
        topic.is_some_and(|topic| topic.slot(partition).is_some_and(|slot| slot.gate().is_some()))
    }

    /// Every replica that is open here.
    pub(crate) fn all(&self) -> Vec<Arc<Partition>> {
        let topics = self.topics.read();
        let slots = topics.by_name.values().flat_map(|topic| &topic.partitions);
        slots.filter_map(Slot::partition).collect()
    }

    /// Those that have not been looked after since something was done to their logs, or that had more to do then: to be looked
    /// after now.
    pub(super) fn take_unfinished(&self) -> Vec<Arc<Partition>> {
        let listed = self.unfinished.take();
        listed.into_iter().filter_map(|id| self.by_id(id.topic_id, id.partition).ok()).collect()
    }

    /// Whether a high watermark has moved, or a replica has come, since this was asked last.
    pub(super) fn take_moved(&self) -> bool {
        self.unfinished.take_moved()
    }

    /// The replicas of one topic that are open here.
    pub(crate) fn of_topic(&self, name: &str) -> Vec<Arc<Partition>> {
        let topics = self.topics.read();
        let slots = topics.by_name.get(name).into_iter().flat_map(|topic| &topic.partitions);
        slots.filter_map(Slot::partition).collect()
    }

    pub(super) fn insert(&self, name: &Arc<str>, id: TopicId, partition: i32, replica: Arc<Partition>) {
        self.set(name, id, partition, Slot::Here(Arc::clone(&replica)));
        // Not before it can be found.
        replica.list_in(Arc::clone(&self.unfinished));
    }

    pub(super) fn set_elsewhere(&self, name: &Arc<str>, id: TopicId, partition: i32) {
        self.set(name, id, partition, Slot::Elsewhere);
    }

    pub(super) fn set_opening(&self, name: &Arc<str>, id: TopicId, partition: i32, gate: Gate) {
        self.set(name, id, partition, Slot::Opening(Arc::new(gate)));
    }

    pub(super) fn set_offline(&self, name: &Arc<str>, id: TopicId, partition: i32) {
        self.set(name, id, partition, Slot::Offline);
    }

    /// Takes a topic out; gives its replicas.
    pub(super) fn remove_topic(&self, id: TopicId) -> Removed {
        let mut topics = self.topics.write();
        let Some(name) = topics.names.remove(&id) else {
            return Removed::default();
        };
        match topics.by_name.get(&name) {
            Some(topic) if topic.id == id => {}
            _ => return Removed::default(),
        }
        let mut removed = Removed::default();
        for slot in topics.by_name.remove(&name).into_iter().flat_map(|topic| topic.partitions) {
            match slot {
                Slot::Here(partition) => removed.open.push(partition),
                Slot::Opening(gate) => removed.opening.push(gate.name().clone()),
                Slot::Unknown | Slot::Elsewhere | Slot::Offline => {}
            }
        }
        self.opening_count.fetch_sub(removed.opening.len(), Ordering::AcqRel);
        removed
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
        if slot.gate().is_some() {
            self.opening_count.fetch_add(1, Ordering::AcqRel);
        }
        if std::mem::replace(&mut topic.partitions[at], slot).gate().is_some() {
            self.opening_count.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Topic {
    fn slot(&self, partition: i32) -> Option<&Slot> {
        usize::try_from(partition).ok().and_then(|at| self.partitions.get(at))
    }

    /// The gate of a replica that is not open yet, which somebody wants.
    fn gate(&self, partition: i32) -> Option<&Gate> {
        self.slot(partition).and_then(Slot::gate).inspect(|gate| gate.want())
    }

    fn get(&self, partition: i32) -> Result<Arc<Partition>, Absent> {
        match self.slot(partition) {
            Some(Slot::Here(partition)) => Ok(Arc::clone(partition)),
            Some(Slot::Elsewhere) => Err(Absent::Elsewhere),
            Some(Slot::Opening(gate)) => {
                gate.want();
                Err(Absent::Opening)
            }
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

    fn gate(&self) -> Option<&Gate> {
        match self {
            Self::Opening(gate) => Some(gate),
            _ => None,
        }
    }
}
