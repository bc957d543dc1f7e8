//! A coordinator's write that is lost: what its leader sends to the replica that leads next does not arrive, and that leads at once.
//! Whoever has written hears of it late, and follows a log that has something else there.

use ottla_model::TopicIdPartition;

use super::{OFFSETS, OFFSETS_TOPIC};
use crate::message::{Body, Message, broker};
use crate::world::{Event, World};

/// The next one is sent nothing for so long.
const CUT_MS: u64 = 40;

impl World {
    /// Whether the message is the one that is waited for, from a broker whose coordinators are slow to one whose are not: it is lost.
    pub(crate) fn is_lost_in_a_turn(&mut self, message: &Message) -> bool {
        let Some(index) = self.lost_write.filter(|_| !self.healing) else { return false };
        let Body::Fetched { outcome: Ok(answer), .. } = &message.body else { return false };
        let (from, to) = (message.from, message.to);
        let slow = self.plan.settings.groups.map_or(0, |groups| groups.slow);
        if slow >> from & 1 == 0 || slow >> to & 1 == 1 {
            return false;
        }
        let Some(topic) = self.controller.image.topic(OFFSETS_TOPIC) else { return false };
        let Some(partition) = topic.partition(index).filter(|partition| !partition.is_reassigning()) else {
            return false;
        };
        let id = TopicIdPartition { topic_id: topic.id, partition: index };
        let mut told = answer.partitions.iter().filter(|(of, _)| *of == id);
        let has_records = told.any(|(_, told)| told.as_ref().is_ok_and(|told| !told.records.is_empty()));
        if !has_records
            || partition.leader != broker(from)
            || Self::next_leader(partition) != Some(broker(to))
        {
            return false;
        }
        self.lost_write = None;
        self.counts.add("group: write lost in a turn");
        self.cut(from, to, CUT_MS);
        self.later(0, Event::Turn { topic: OFFSETS, partition: index, left: 1, every_ms: 0 });
        true
    }
}
