//! Faults that wait for their moment: the power of a broker that is to join an in-sync set goes while the request is under way.

use ottla_model::BrokerId;

use crate::command::Ask;
use crate::message::{Address, Body, Message};
use crate::world::{Event, World};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Ambush {
    pub(crate) down_ms: u64,
    /// The request is late by that.
    pub(crate) late_ms: u64,
    pub(crate) seed: u64,
}

impl World {
    /// Whether the message is the one that is waited for; then it goes its way late.
    pub(crate) fn is_ambushed(&mut self, message: &Message) -> bool {
        let Some(ambush) = self.ambush else { return false };
        let Some(joiner) = self.joiner(message) else { return false };
        // Without it nothing that was promised is missing: it is in sync nowhere, and nobody could have to make do with it.
        if self.healing || self.is_needed(joiner) {
            return false;
        }
        self.ambush = None;
        self.counts.add("broker cut off while it joins");
        self.later(1 + ambush.late_ms, Event::Deliver(Box::new(message.clone())));
        self.later(2, Event::CutOff { node: joiner, down_ms: ambush.down_ms, seed: ambush.seed });
        for (from, to) in [(message.from, joiner), (joiner, message.from)] {
            self.cut(from, to, ambush.late_ms + 200);
        }
        true
    }

    /// Who is not in sync yet and shall be.
    fn joiner(&self, message: &Message) -> Option<Address> {
        let Body::Ask { ask, .. } = &message.body else { return None };
        let Ask::Isr(request) = &**ask else { return None };
        request.partitions.iter().find_map(|change| {
            let topic = self.controller.image.topic_by_id(change.id.topic_id)?;
            let partition = topic.partition(change.id.partition)?;
            let new = |(id, _): &&(BrokerId, i64)| !partition.isr.contains(id);
            change.isr.iter().find(new).map(|(id, _)| id.get())
        })
    }

    /// Whether some partition may have to be led by that broker.
    fn is_needed(&self, node: Address) -> bool {
        self.controller.image.topics().iter().any(|topic| {
            topic.partitions().any(|(_, partition)| {
                let all = [&partition.isr, &partition.elr, &partition.last_known_elr];
                all.into_iter().flatten().any(|id| id.get() == node)
            })
        })
    }
}
