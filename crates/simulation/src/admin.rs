//! What an administrator does, and what must come of it.

use ottla_controller::{
    AlterPartitionReassignments, DeleteTopics, ElectLeaders, ElectionType, ReassignableTopic, TopicRef,
};
use ottla_model::{BrokerId, TopicIdPartition};

use crate::command::{Ask, Told};
use crate::ledger::Violation;
use crate::message::{Address, broker};
use crate::world::{Event, World};

impl World {
    pub(crate) fn command(&mut self, ask: &Ask) -> Told {
        let mut out = Vec::new();
        let told = self.controller.ask(ask, self.now, &mut out);
        self.send(out);
        told
    }

    pub(crate) fn reassign(
        &mut self,
        topic: usize,
        partition: i32,
        replicas: &[Address],
    ) -> Result<(), Violation> {
        let Some(name) = self.plan.topic_name(topic).map(str::to_owned) else { return Ok(()) };
        let Some(topic_id) = self.controller.image.topic(&name).map(|topic| topic.id) else { return Ok(()) };
        let replicas: Vec<BrokerId> = replicas.iter().map(|id| broker(*id)).collect();
        let topics = vec![ReassignableTopic { name, partitions: vec![(partition, Some(replicas.clone()))] }];
        let request = AlterPartitionReassignments { allow_replication_factor_change: true, topics };
        match self.command(&Ask::Reassign(request)) {
            Told::Reassigned(answers)
                if matches!(answers.first().and_then(|some| some.first()), Some(Ok(()))) =>
            {
                self.counts.add("reassignment begun");
                self.assigned.insert(TopicIdPartition { topic_id, partition }, replicas);
                Ok(())
            }
            // A broker may be away, or the partition not be there.
            _ => Ok(()),
        }
    }

    pub(crate) fn delete(&mut self, topic: usize) -> Result<(), Violation> {
        let Some(name) = self.plan.topic_name(topic).map(str::to_owned) else { return Ok(()) };
        let Some(id) = self.controller.image.topic(&name).map(|topic| topic.id) else { return Ok(()) };
        let told = self.command(&Ask::Delete(DeleteTopics { topics: vec![TopicRef::Name(name.clone())] }));
        let deleted = matches!(&told, Told::Deleted(answers) if matches!(answers.first(), Some(Ok(_))));
        if !deleted {
            return Err(Violation::new("a topic can be deleted", format!("{name}: {told:?}")));
        }
        self.counts.add("topic deleted");
        self.producers.retain(|_, producer| producer.id.topic_id != id);
        self.consumers.retain(|_, consumer| consumer.id.topic_id != id);
        self.assigned.retain(|partition, _| partition.topic_id != id);
        Ok(())
    }

    /// Has another in-sync replica lead, and again and again: the order of the replicas is changed, and then the first one elected.
    pub(crate) fn turn(
        &mut self,
        topic: usize,
        index: i32,
        left: u64,
        every_ms: u64,
    ) -> Result<(), Violation> {
        let Some(name) = self.plan.topic_name(topic).map(str::to_owned) else { return Ok(()) };
        let known = self.controller.image.topic(&name).and_then(|topic| topic.partition(index));
        let Some(partition) = known.filter(|partition| !partition.is_reassigning() && !self.healing) else {
            return Ok(());
        };
        let at = partition.isr.iter().position(|id| *id == partition.leader).map_or(0, |at| at + 1);
        if let Some(next) = partition.isr.get(at % partition.isr.len().max(1)).copied() {
            let others = partition.replicas.iter().copied().filter(|id| *id != next);
            let order: Vec<Address> = [next].into_iter().chain(others).map(BrokerId::get).collect();
            self.reassign(topic, index, &order)?;
            self.elect();
            self.counts.add("leader turned");
        }
        if left > 1 {
            self.later(every_ms, Event::Turn { topic, partition: index, left: left - 1, every_ms });
        }
        Ok(())
    }

    pub(crate) fn elect(&mut self) {
        let request = ElectLeaders { election: ElectionType::Preferred, topics: None };
        let _ = self.command(&Ask::Elect(request));
    }
}
