//! What goes on beside the plan: brokers ask for producer ids, and moves of partitions are taken back.

use ottla_controller::{AlterPartitionReassignments, ProducerIdBlock, ReassignableTopic};
use ottla_model::{BrokerId, TopicIdPartition};
use ottla_storage::Seeded;

use crate::admin::Errand;
use crate::command::Ask;
use crate::ledger::Violation;
use crate::world::World;

#[derive(Debug)]
pub(crate) struct Mover {
    chance: Seeded,
    /// The first producer id that nobody has.
    free_producer_ids: i64,
}

impl Mover {
    pub(crate) fn new(chance: Seeded) -> Self {
        Self { chance, free_producer_ids: 0 }
    }

    /// A block of producer ids that nobody has had.
    pub(crate) fn given(&mut self, to: BrokerId, block: &ProducerIdBlock) -> Result<(), Violation> {
        if block.ids.start < self.free_producer_ids {
            let what = format!("{:?} to {to}, below {}", block.ids, self.free_producer_ids);
            return Err(Violation::new("producer ids are given once", what));
        }
        self.free_producer_ids = block.ids.end;
        Ok(())
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let at = self.chance.below(from.len().max(1) as u64);
        from.get(usize::try_from(at).unwrap_or(0)).copied()
    }
}

impl World {
    /// Now and then, as often as the controller looks around.
    pub(crate) fn go_on_moving(&mut self) -> Result<(), Violation> {
        match self.mover.chance.below(30) {
            0 => self.give_producer_ids(),
            1 if !self.healing => self.take_back(),
            _ => Ok(()),
        }
    }

    fn give_producer_ids(&mut self) -> Result<(), Violation> {
        let brokers = self.controller.image.brokers().iter();
        let registered: Vec<(BrokerId, i64)> = brokers.map(|broker| (broker.id, broker.epoch)).collect();
        let Some((id, epoch)) = self.mover.pick(&registered) else { return Ok(()) };
        self.ask_for(Ask::ProducerIds(id, epoch), Errand::ProducerIds(id))
    }

    /// Takes a move back that goes on: where the partition is then is for nobody to say.
    fn take_back(&mut self) -> Result<(), Violation> {
        let mut moving: Vec<TopicIdPartition> = Vec::new();
        for topic in self.controller.image.topics().iter() {
            let partitions = topic.partitions().filter(|(_, partition)| partition.is_reassigning());
            moving
                .extend(partitions.map(|(partition, _)| TopicIdPartition { topic_id: topic.id, partition }));
        }
        let Some(id) = self.mover.pick(&moving) else { return Ok(()) };
        let Some(topic) = self.controller.image.topic_by_id(id.topic_id) else { return Ok(()) };
        let name = topic.name.to_string();
        let topics = vec![ReassignableTopic { name, partitions: vec![(id.partition, None)] }];
        let request = AlterPartitionReassignments { allow_replication_factor_change: true, topics };
        self.ask_for(Ask::Reassign(request), Errand::TakeBack(id))
    }
}
