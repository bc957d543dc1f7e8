//! What being in sync means, looked at from outside: all that is committed is in every in-sync log, the last one's is on its disk,
//! and what a replica has called flushed is there after any end of its process.

use ottla_controller::IsrChange;
use ottla_metadata::PartitionRegistration;
use ottla_model::{Offset, TopicIdPartition};

use crate::command::Ask;
use crate::ledger::Violation;
use crate::message::{Address, Body, Message, broker};
use crate::node::{Node, Replica};
use crate::world::World;

impl World {
    /// Looks at every partition: who is in sync may have been changed by anybody.
    pub(crate) fn look_at_all_in_sync(&self) -> Result<(), Violation> {
        for topic in self.controller.image.topics().iter() {
            for (index, partition) in topic.partitions() {
                self.is_in_sync(TopicIdPartition { topic_id: topic.id, partition: index }, partition)?;
            }
        }
        Ok(())
    }

    /// Looks at those whose leader has just shown more as committed.
    pub(crate) fn look_at_in_sync(&self, of: &[TopicIdPartition]) -> Result<(), Violation> {
        for id in of {
            let topic = self.controller.image.topic_by_id(id.topic_id);
            if let Some(partition) = topic.and_then(|topic| topic.partition(id.partition)) {
                self.is_in_sync(*id, partition)?;
            }
        }
        Ok(())
    }

    /// What the leader of the newest epoch shows as committed every in-sync replica has. One whose process has not registered may
    /// have lost something: it is not in sync any more once it has.
    fn is_in_sync(&self, id: TopicIdPartition, partition: &PartitionRegistration) -> Result<(), Violation> {
        let Some(leader) = self.registered_replica(partition.leader.get(), id) else { return Ok(()) };
        let (machine, high_watermark) = (&leader.machine, leader.machine.high_watermark());
        if !machine.is_leader() || machine.leader_epoch() != partition.leader_epoch {
            return Ok(());
        }
        for member in &partition.isr {
            let Some(replica) = self.registered_replica(member.get(), id) else { continue };
            let end = replica.log.log_end_offset();
            if end < high_watermark {
                let what = format!(
                    "{} on {member} ends at {end}, where {} shows all below {high_watermark}: {partition:?}",
                    replica.name, partition.leader
                );
                return Err(Violation::new("what is committed is on all in-sync replicas", what));
            }
        }
        Ok(())
    }

    /// Of a process that the controller knows by its present registration.
    fn registered_replica(&self, node: Address, id: TopicIdPartition) -> Option<&Replica> {
        let process = self.nodes.get(&node)?.process.as_ref()?;
        let known = self.controller.image.brokers().get(broker(node))?;
        let replica = process.replicas.get(&id).filter(|replica| !replica.log.is_offline())?;
        (process.started && process.broker_epoch() == Some(known.epoch)).then_some(replica)
    }

    /// Before a leader is the last one in sync, what it shows as committed must be on its disk.
    pub(crate) fn look_at_proposals(&self, out: &[Message]) -> Result<(), Violation> {
        for message in out {
            let Body::Ask { ask, .. } = &message.body else { continue };
            let Ask::Isr(request) = &**ask else { continue };
            for change in &request.partitions {
                self.is_flushed_if_alone(message.from, change)?;
            }
        }
        Ok(())
    }

    fn is_flushed_if_alone(&self, from: Address, change: &IsrChange) -> Result<(), Violation> {
        let process = self.nodes.get(&from).and_then(|node| node.process.as_ref());
        let replica = process.and_then(|process| process.replicas.get(&change.id));
        let Some(replica) = replica.filter(|replica| !replica.log.is_offline()) else { return Ok(()) };
        let log = replica.machine.log();
        // One without room leaves itself out instead.
        let is_alone = matches!(change.isr.as_slice(), [(last, _)] if *last == broker(from));
        let machine = &replica.machine;
        let leads = machine.is_leader() && machine.leader_epoch() == change.leader_epoch;
        // What is asked again while the leader knows of a later change already is refused for its epoch.
        let may_be = machine.partition_epoch() == change.partition_epoch;
        if is_alone && leads && may_be && log.flushed < log.high_watermark {
            let what = format!("{} on {from}: {log:?}", replica.name);
            return Err(Violation::new("a log is flushed before its leader is alone in sync", what));
        }
        Ok(())
    }
}

impl Node {
    /// The process is about to end: what it says of its logs now must hold later. One that has not opened them says nothing new.
    pub(crate) fn note_flushed(&mut self) {
        if let Some(process) = self.process.as_ref().filter(|process| process.started) {
            let online = process.replicas.iter().filter(|(_, replica)| !replica.log.is_offline());
            self.flushed = online.map(|(id, replica)| (*id, replica.machine.log().flushed)).collect();
        }
    }

    /// What an earlier process had flushed is there, once the logs are opened.
    pub(crate) fn keeps_what_was_flushed(&mut self) -> Result<(), Violation> {
        let Some(process) = self.process.as_ref().filter(|process| process.started) else { return Ok(()) };
        for (id, flushed) in std::mem::take(&mut self.flushed) {
            let replica = process.replicas.get(&id).filter(|replica| !replica.log.is_offline());
            if let Some(replica) = replica
                && replica.log.log_end_offset() < flushed.max(Offset::ZERO)
            {
                let end = replica.log.log_end_offset();
                let what = format!("{} on {} ends at {end}, flushed up to {flushed}", replica.name, self.id);
                return Err(Violation::new("what was flushed is there after a power cut", what));
            }
        }
        Ok(())
    }
}
