//! What an administrator does, and what must come of it.

use ottla_controller::{
    AlterPartitionReassignments, DeleteTopics, ElectLeaders, ElectionType, ReassignableTopic, TopicRef,
};
use ottla_metadata::PartitionRegistration;
use ottla_model::{BrokerId, TopicId, TopicIdPartition};

use crate::command::{Ask, Told};
use crate::groups::OFFSETS_TOPIC;
use crate::ledger::Violation;
use crate::message::{Address, broker};
use crate::world::{Event, World};

/// What the answer is for.
#[derive(Debug)]
pub(crate) enum Errand {
    SetUp,
    SetUpGroups,
    Reassign { id: TopicIdPartition, replicas: Vec<BrokerId> },
    TakeBack(TopicIdPartition),
    Delete { name: String, id: TopicId },
    Elect,
    ProducerIds(BrokerId),
}

impl World {
    /// Asks the controller that commits at once.
    pub(crate) fn command(&mut self, ask: &Ask) -> Told {
        let mut out = Vec::new();
        let told = self.controller.ask(ask, self.now, &mut out);
        self.send(out);
        told
    }

    /// Asks the controller. What comes of it is seen at once, or when a quorum has answered.
    pub(crate) fn ask_for(&mut self, ask: Ask, errand: Errand) -> Result<(), Violation> {
        if let Some(joint) = &self.joint {
            joint.command(ask, errand);
            return Ok(());
        }
        let told = self.command(&ask);
        self.done(errand, told)
    }

    fn done(&mut self, errand: Errand, told: Told) -> Result<(), Violation> {
        match (errand, told) {
            (Errand::SetUp, Told::Created(answers)) => {
                let created = answers.into_iter().map(|created| {
                    let created = created
                        .map_err(|error| Violation::new("a topic can be created", error.to_string()))?;
                    Ok((created.topic_id, created.partition_count))
                });
                self.is_set_up(created.collect::<Result<_, _>>()?)
            }
            (Errand::SetUpGroups, Told::Created(answers)) if matches!(answers.first(), Some(Ok(_))) => {
                self.groups_are_set_up();
                Ok(())
            }
            (Errand::SetUpGroups, told) => {
                Err(Violation::new("a topic can be created", format!("{OFFSETS_TOPIC}: {told:?}")))
            }
            (errand @ Errand::Delete { .. }, told) => match told {
                Told::Deleted(ref answers) if matches!(answers.first(), Some(Ok(_))) => {
                    self.acknowledged(errand, told)
                }
                told => Err(Violation::new("a topic can be deleted", format!("{errand:?}: {told:?}"))),
            },
            (errand, told) => self.acknowledged(errand, told),
        }
    }

    /// What an answer says of an errand that may be refused.
    pub(crate) fn acknowledged(&mut self, errand: Errand, told: Told) -> Result<(), Violation> {
        match (errand, told) {
            (Errand::Reassign { id, replicas }, Told::Reassigned(answers))
                if matches!(answers.first().and_then(|some| some.first()), Some(Ok(()))) =>
            {
                self.counts.add("reassignment begun");
                self.assigned.insert(id, replicas);
            }
            (Errand::TakeBack(id), Told::Reassigned(answers))
                if answers.iter().flatten().all(Result::is_ok) =>
            {
                self.counts.add("reassignment taken back");
                self.assigned.remove(&id);
            }
            (Errand::Delete { id, .. }, Told::Deleted(_)) => {
                self.counts.add("topic deleted");
                self.leave_topic(id);
            }
            (Errand::ProducerIds(to), Told::ProducerIds(Ok(block))) => {
                self.counts.add("producer ids given");
                return self.mover.given(to, &block);
            }
            // A broker may be away, or the partition not be there.
            _ => {}
        }
        Ok(())
    }

    /// Nobody writes to it, reads it or moves it any more.
    pub(crate) fn leave_topic(&mut self, id: TopicId) {
        self.producers.retain(|_, producer| producer.id.topic_id != id);
        self.consumers.retain(|_, consumer| consumer.id.topic_id != id);
        self.assigned.retain(|partition, _| partition.topic_id != id);
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
        let id = TopicIdPartition { topic_id, partition };
        self.ask_for(Ask::Reassign(request), Errand::Reassign { id, replicas })
    }

    pub(crate) fn delete(&mut self, topic: usize) -> Result<(), Violation> {
        let Some(name) = self.plan.topic_name(topic).map(str::to_owned) else { return Ok(()) };
        let Some(id) = self.controller.image.topic(&name).map(|topic| topic.id) else { return Ok(()) };
        let request = DeleteTopics { topics: vec![TopicRef::Name(name.clone())] };
        self.ask_for(Ask::Delete(request), Errand::Delete { name, id })
    }

    /// Has another in-sync replica lead, and again and again.
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
        if let Some(next) = Self::next_leader(partition) {
            let replicas = partition.replicas.clone();
            self.have_lead(topic, index, next, &replicas)?;
        }
        if left > 1 {
            self.later(every_ms, Event::Turn { topic, partition: index, left: left - 1, every_ms });
        }
        Ok(())
    }

    /// The in-sync replica after the one that leads.
    pub(crate) fn next_leader(partition: &PartitionRegistration) -> Option<BrokerId> {
        let at = partition.isr.iter().position(|id| *id == partition.leader).map_or(0, |at| at + 1);
        partition.isr.get(at % partition.isr.len().max(1)).copied()
    }

    /// Changes the order of the replicas, and has the first one elected.
    pub(crate) fn have_lead(
        &mut self,
        topic: usize,
        index: i32,
        next: BrokerId,
        replicas: &[BrokerId],
    ) -> Result<(), Violation> {
        let others = replicas.iter().copied().filter(|id| *id != next);
        let order: Vec<Address> = [next].into_iter().chain(others).map(BrokerId::get).collect();
        self.reassign(topic, index, &order)?;
        self.elect()?;
        self.counts.add("leader turned");
        Ok(())
    }

    pub(crate) fn elect(&mut self) -> Result<(), Violation> {
        let request = ElectLeaders { election: ElectionType::Preferred, topics: None };
        self.ask_for(Ask::Elect(request), Errand::Elect)
    }
}
