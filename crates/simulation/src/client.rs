//! Producers and consumers.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_metadata::MetadataImage;
use ottla_model::batch::BatchBuilder;
use ottla_model::{Offset, ProducerEpoch, ProducerId, TimestampMs, TopicIdPartition};
use ottla_storage::Seeded;

use crate::counts::Counts;
use crate::ledger::{Ledger, Violation, entries};
use crate::message::{Address, Body, Message, Refusal};

const TIMEOUT_MS: u64 = 300;
/// Batches that nobody has acknowledged are repeated for so long; a client of acks=1 gives them up.
const VALUES_MAX: u64 = 3;

/// Writes to one partition, one batch at a time.
#[derive(Debug)]
pub(crate) struct Producer {
    pub(crate) address: Address,
    pub(crate) id: TopicIdPartition,
    pub(crate) acks_all: bool,
    chance: Seeded,
    next_value: u64,
    next_sequence: i32,
    next_request: u64,
    /// As it was told last.
    leader: Option<Address>,
    batch: Option<Batch>,
    send_at: u64,
    produce_ms: u64,
    pub(crate) stopped: bool,
    /// Offset and value.
    pub(crate) acknowledged: Vec<(i64, u64)>,
}

#[derive(Debug)]
struct Batch {
    values: Vec<u64>,
    bytes: Arc<Vec<u8>>,
    /// The request that is out, and when it is given up.
    asked: Option<(u64, u64)>,
}

impl Producer {
    pub(crate) fn new(
        address: Address,
        id: TopicIdPartition,
        acks_all: bool,
        produce_ms: u64,
        chance: Seeded,
    ) -> Self {
        Self {
            address,
            id,
            acks_all,
            chance,
            next_value: 0,
            next_sequence: 0,
            next_request: 0,
            leader: None,
            batch: None,
            send_at: 0,
            produce_ms,
            stopped: false,
            acknowledged: Vec::new(),
        }
    }

    /// Whether nothing is out that waits for an answer.
    pub(crate) fn is_idle(&self) -> bool {
        self.batch.is_none() || !self.acks_all
    }

    /// How many records were begun.
    pub(crate) fn begun(&self) -> u64 {
        self.next_value
    }

    pub(crate) fn tick(&mut self, now: u64, image: &MetadataImage, out: &mut Vec<Message>) {
        if self.batch.is_none() && !self.stopped && now >= self.send_at {
            self.begin();
        }
        let Some(batch) = &mut self.batch else { return };
        if batch.asked.is_some_and(|(_, until)| now >= until) {
            batch.asked = None;
            self.leader = None;
            if !self.acks_all {
                self.batch = None;
                return;
            }
        }
        if batch.asked.is_some() || now < self.send_at {
            return;
        }
        // It asks who leads only when it must, and never believes an older answer again.
        if self.leader.is_none() || self.chance.below(10) == 0 {
            let topic = image.topic_by_id(self.id.topic_id);
            let partition = topic.and_then(|topic| topic.partition(self.id.partition));
            self.leader =
                partition.filter(|partition| partition.has_leader()).map(|partition| partition.leader.get());
        }
        let Some(to) = self.leader else { return };
        self.next_request += 1;
        let request = self.next_request;
        batch.asked = Some((request, now + TIMEOUT_MS));
        let body = Body::Produce {
            request,
            id: self.id,
            records: Arc::clone(&batch.bytes),
            acks_all: self.acks_all,
        };
        out.push(Message { from: self.address, to, body });
    }

    fn begin(&mut self) {
        let count = 1 + self.chance.below(VALUES_MAX);
        let base = u64::from(self.address.unsigned_abs()) << 32;
        let values: Vec<u64> = (0..count).map(|i| base + self.next_value + i).collect();
        self.next_value += count;
        let mut builder = BatchBuilder::new(Offset::ZERO);
        if self.acks_all {
            builder =
                builder.producer(ProducerId(i64::from(self.address)), ProducerEpoch(0), self.next_sequence);
            self.next_sequence += i32::try_from(count).unwrap_or(0);
        }
        for value in &values {
            builder.push(TimestampMs(1_700_000_000_000), None, Some(&value.to_be_bytes()), &[]);
        }
        let bytes = Arc::new(builder.build().expect("a small batch"));
        self.batch = Some(Batch { values, bytes, asked: None });
    }

    pub(crate) fn produced(
        &mut self,
        request: u64,
        outcome: Result<Offset, Refusal>,
        now: u64,
        ledger: &Ledger,
        counts: &mut Counts,
    ) -> Result<(), Violation> {
        let Some(batch) =
            self.batch.as_mut().filter(|batch| batch.asked.is_some_and(|(asked, _)| asked == request))
        else {
            return Ok(());
        };
        batch.asked = None;
        match outcome {
            Ok(first) => {
                let values = std::mem::take(&mut batch.values);
                self.batch = None;
                self.send_at = now + self.chance.below(2 * self.produce_ms);
                if self.acks_all {
                    counts.add("acknowledged batch, acks=all");
                    self.acknowledge(first, &values, ledger)?;
                } else {
                    counts.add("acknowledged batch, acks=1");
                }
            }
            Err(refusal) => {
                counts.add(match refusal {
                    Refusal::NotEnoughReplicas => "produce refused: not enough replicas",
                    Refusal::NotLeader => "produce refused: not the leader",
                    _ => "produce refused",
                });
                if refusal == Refusal::OutOfOrderSequence {
                    let what = format!("{} of {:?} is refused: {refusal:?}", self.address, self.id);
                    return Err(Violation::new("an idempotent producer goes on", what));
                }
                self.send_at = now + 20;
                if refusal != Refusal::NotEnoughReplicas {
                    self.leader = None;
                }
                if !self.acks_all {
                    self.batch = None;
                }
            }
        }
        Ok(())
    }

    fn acknowledge(&mut self, first: Offset, values: &[u64], ledger: &Ledger) -> Result<(), Violation> {
        let committed = ledger.histories.get(&self.id).map(|history| &history.committed);
        for (offset, value) in (first.get()..).zip(values) {
            let entry = committed.and_then(|committed| committed.get(&offset));
            if entry.is_none_or(|entry| entry.value != *value) {
                let what = format!(
                    "{value:#x} at {offset} of {:?} to {}: committed is {entry:?}",
                    self.id, self.address
                );
                return Err(Violation::new("what is acknowledged is committed", what));
            }
            self.acknowledged.push((offset, *value));
        }
        Ok(())
    }
}

/// Reads one partition from its start, over and over, from its leader or another replica.
#[derive(Debug)]
pub(crate) struct Consumer {
    pub(crate) address: Address,
    pub(crate) id: TopicIdPartition,
    chance: Seeded,
    offset: Offset,
    next_request: u64,
    asked: Option<(u64, u64)>,
}

impl Consumer {
    pub(crate) fn new(address: Address, id: TopicIdPartition, chance: Seeded) -> Self {
        Self { address, id, chance, offset: Offset::ZERO, next_request: 0, asked: None }
    }

    pub(crate) fn tick(&mut self, now: u64, image: &MetadataImage, out: &mut Vec<Message>) {
        if self.asked.is_some_and(|(_, until)| now < until) {
            return;
        }
        let partition =
            image.topic_by_id(self.id.topic_id).and_then(|topic| topic.partition(self.id.partition));
        let Some(partition) = partition else { return };
        let replica = self.chance.below(partition.replicas.len() as u64);
        let Some(to) = partition.replicas.get(usize::try_from(replica).unwrap_or(0)) else { return };
        self.next_request += 1;
        self.asked = Some((self.next_request, now + 100));
        let leader_only = *to == partition.leader;
        let body =
            Body::Consume { request: self.next_request, id: self.id, offset: self.offset, leader_only };
        out.push(Message { from: self.address, to: to.get(), body });
    }

    pub(crate) fn consumed(
        &mut self,
        request: u64,
        outcome: &Result<Arc<Vec<u8>>, Refusal>,
        ledger: &Ledger,
        counts: &mut Counts,
    ) -> Result<(), Violation> {
        if self.asked.is_none_or(|(asked, _)| asked != request) {
            return Ok(());
        }
        let Ok(bytes) = outcome else {
            self.offset = Offset::ZERO;
            return Ok(());
        };
        let read: BTreeMap<i64, _> = entries(bytes)?.into_iter().collect();
        let committed = ledger.histories.get(&self.id).map(|history| &history.committed);
        for (offset, entry) in &read {
            let known = committed.and_then(|committed| committed.get(offset));
            if known != Some(entry) {
                let what = format!("{entry:?} at {offset} of {:?}: committed is {known:?}", self.id);
                return Err(Violation::new("consumers read what is committed", what));
            }
            counts.add("record consumed");
        }
        self.offset = read.last_key_value().map_or(self.offset, |(last, _)| Offset(last + 1));
        Ok(())
    }
}
