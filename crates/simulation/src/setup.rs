//! What there is before the trouble: topics, and who writes to them and reads them.

use ottla_controller::{CreateTopics, NewTopic};
use ottla_model::{TopicId, TopicIdPartition};
use ottla_storage::Seeded;

use crate::admin::Errand;
use crate::client::{Consumer, Producer};
use crate::command::Ask;
use crate::ledger::Violation;
use crate::message::{Address, CLIENTS, broker};
use crate::world::{Event, World};

impl World {
    pub(crate) fn set_up(&mut self) -> Result<(), Violation> {
        let topics = self.plan.topics.iter().map(|topic| self.new_topic(&topic.name, &topic.partitions));
        let topics = topics.collect();
        self.ask_for(Ask::Create(CreateTopics { topics, validate_only: false }), Errand::SetUp)
    }

    /// With these replicas for each of its partitions.
    pub(crate) fn new_topic(&self, name: &str, partitions: &[Vec<Address>]) -> NewTopic {
        let configs = [("min.insync.replicas", "2"), ("flush.messages", "1")];
        let count = if self.plan.flushed { 2 } else { 1 };
        let configs = configs[..count].iter();
        NewTopic {
            configs: configs.map(|(key, value)| ((*key).to_owned(), Some((*value).to_owned()))).collect(),
            assignments: (0..)
                .zip(partitions)
                .map(|(index, replicas)| (index, replicas.iter().map(|id| broker(*id)).collect()))
                .collect(),
            ..NewTopic::named(name)
        }
    }

    /// The topics of the plan are there, with so many partitions each.
    pub(crate) fn is_set_up(&mut self, topics: Vec<(TopicId, i32)>) -> Result<(), Violation> {
        let mut address = CLIENTS;
        for (topic_id, partition_count) in topics {
            for partition in 0..partition_count {
                let id = TopicIdPartition { topic_id, partition };
                for acks_all in [true, true, false] {
                    let chance = Seeded::new(self.chance.bits());
                    let producer = Producer::new(address, id, acks_all, self.plan.produce_ms, chance);
                    self.producers.insert(address, producer);
                    self.later(1, Event::ClientTick(address));
                    address += 1;
                }
                let consumer = Consumer::new(address, id, Seeded::new(self.chance.bits()));
                self.consumers.insert(address, consumer);
                self.later(1, Event::ClientTick(address));
                address += 1;
            }
        }
        self.set_up_groups()
    }
}
