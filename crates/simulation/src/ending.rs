//! After the trouble: everybody is in sync, all replicas are alike, and what was acknowledged is there, once.

use std::collections::BTreeMap;

use ottla_model::TopicIdPartition;

use crate::ledger::{Entry, Violation, read};
use crate::message::broker;
use crate::node::Replica;
use crate::world::World;

fn stuck(what: impl Into<String>) -> Violation {
    Violation::new("after healing everything is well", what)
}

impl World {
    fn replicas(&self, id: TopicIdPartition) -> Vec<(i32, &Replica)> {
        let processes = self.nodes.iter().filter_map(|(node, at)| Some((*node, at.process.as_ref()?)));
        processes.filter_map(|(node, process)| Some((node, process.replicas.get(&id)?))).collect()
    }

    /// Whether all is as it should be; else what is not.
    pub(crate) fn is_well(&self) -> Result<(), Violation> {
        let image = &self.controller.image;
        if let Some(producer) = self.producers.values().find(|producer| !producer.is_idle()) {
            return Err(stuck(format!("a producer waits: {producer:?}")));
        }
        self.quorum_is_well()?;
        self.groups_are_well().map_err(stuck)?;
        for (node, at) in &self.nodes {
            for id in at.process.iter().flat_map(|process| process.replicas.keys()) {
                let partition =
                    image.topic_by_id(id.topic_id).and_then(|topic| topic.partition(id.partition));
                if partition.is_none_or(|partition| !partition.replicas.contains(&broker(*node))) {
                    return Err(stuck(format!("{node} still has {id:?}")));
                }
            }
        }
        for topic in image.topics().iter() {
            for (index, partition) in topic.partitions() {
                let name = format!("{}-{index}", topic.name);
                if !partition.has_leader() || partition.isr.len() < partition.replicas.len() {
                    return Err(stuck(format!("{name}: {partition:?}")));
                }
                let replicas = self.replicas(TopicIdPartition { topic_id: topic.id, partition: index });
                if replicas.len() != partition.replicas.len() {
                    return Err(stuck(format!("{name} is on {} brokers", replicas.len())));
                }
                let leader = replicas.iter().find(|(node, _)| *node == partition.leader.get());
                let Some((_, leader)) = leader.filter(|(_, leader)| leader.machine.is_leader()) else {
                    return Err(stuck(format!("{name}: {} does not lead", partition.leader)));
                };
                let wanted = self.assigned.get(&TopicIdPartition { topic_id: topic.id, partition: index });
                if partition.is_reassigning() || wanted.is_some_and(|wanted| *wanted != partition.replicas) {
                    return Err(stuck(format!("{name} was reassigned to {wanted:?}: {partition:?}")));
                }
                let end = leader.log.log_end_offset();
                for (node, replica) in &replicas {
                    let log = replica.machine.log();
                    if log.leo != end || log.high_watermark != end {
                        return Err(stuck(format!("{name} on {node}: {log:?}, the leader ends at {end}")));
                    }
                }
            }
        }
        Ok(())
    }

    pub(crate) fn at_the_end(&mut self) -> Result<(), Violation> {
        self.counts.add("world that is well in the end");
        self.look_at_groups()?;
        let mut logs: BTreeMap<TopicIdPartition, BTreeMap<i64, Entry>> = BTreeMap::new();
        for id in self.ledger.histories.keys() {
            let mut first: Option<(i32, BTreeMap<i64, Entry>)> = None;
            for (node, replica) in self.replicas(*id) {
                let (start, end) = (replica.log.log_start_offset(), replica.log.log_end_offset());
                let held: BTreeMap<i64, Entry> = read(replica, start, end)?.into_iter().collect();
                self.ledger.histories[id].holds_all(node, replica)?;
                match &first {
                    None => first = Some((node, held)),
                    Some((other, known)) if *known != held => {
                        let what = format!("{} on {node} and on {other} differ below {end}", replica.name);
                        return Err(Violation::new("replicas are alike in the end", what));
                    }
                    Some(_) => {}
                }
            }
            logs.extend(first.map(|(_, held)| (*id, held)));
        }
        for producer in self.producers.values().filter(|producer| producer.acks_all) {
            let Some(log) = logs.get(&producer.id) else { continue };
            for (offset, value) in &producer.acknowledged {
                if log.get(offset).is_none_or(|entry| entry.value != *value) {
                    let what = format!("{value:#x} at {offset} of {:?}", producer.id);
                    return Err(Violation::new("no acknowledged record is lost", what));
                }
            }
            let written = log.values().filter(|entry| entry.producer == i64::from(producer.address));
            let sequences: Vec<i32> = written.map(|entry| entry.sequence).collect();
            let wanted: Vec<i32> = (0..i32::try_from(producer.begun()).unwrap_or(0)).collect();
            // Of one that cannot go on whoever has answered it last says what is there.
            let is_whole = if producer.is_forgotten {
                sequences.is_sorted_by(|one, next| *next == one + 1) && sequences.len() <= wanted.len()
            } else {
                sequences == wanted
            };
            if !is_whole {
                let what = format!("{} of {:?} has written {sequences:?}", producer.address, producer.id);
                return Err(Violation::new(
                    "an idempotent producer's records are there once and in order",
                    what,
                ));
            }
        }
        Ok(())
    }
}
