//! Producers and consumers.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use ottla_metadata::MetadataImage;
use ottla_model::batch::BatchBuilder;
use ottla_model::{Offset, ProducerEpoch, ProducerId, TimestampMs, TopicIdPartition};
use ottla_storage::Seeded;

use crate::counts::Counts;
use crate::ledger::{Ledger, Violation, entries, read};
use crate::message::{Address, Body, Message, Refusal};
use crate::node::Replica;

const TIMEOUT_MS: u64 = 300;
const VALUES_MAX: u64 = 3;

/// Writes to one partition, several batches at a time, as an idempotent producer may; of acks=1 one, and what is not answered is
/// given up.
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
    /// From the first one that is not acknowledged on, in the order of sequence numbers.
    window: VecDeque<Batch>,
    in_flight_max: usize,
    begin_at: u64,
    /// Nothing is sent before: somebody has just refused something.
    send_at: u64,
    produce_ms: u64,
    pub(crate) stopped: bool,
    /// Its log was opened again behind a snapshot, which knows the last batch of a producer only, and takes an earlier one that it
    /// has for one out of order, as Kafka's does: it cannot go on.
    pub(crate) is_forgotten: bool,
    /// Offset and value.
    pub(crate) acknowledged: Vec<(i64, u64)>,
}

#[derive(Debug)]
struct Batch {
    values: Vec<u64>,
    bytes: Arc<Vec<u8>>,
    asked: Option<Asked>,
    is_acknowledged: bool,
}

/// A request that is out.
#[derive(Clone, Copy, Debug)]
struct Asked {
    request: u64,
    /// When it is given up.
    until: u64,
    /// Everything before it had been acknowledged: nobody can miss anything.
    follows_all: bool,
}

impl Batch {
    fn is_to_be_sent(&self) -> bool {
        self.asked.is_none() && !self.is_acknowledged
    }
}

impl Producer {
    pub(crate) fn new(
        address: Address,
        id: TopicIdPartition,
        acks_all: bool,
        produce_ms: u64,
        mut chance: Seeded,
    ) -> Self {
        // The most that Kafka's idempotent producer has in flight: a log knows of so many whether they are there.
        let in_flight_max =
            if acks_all { [1, 2, 5][usize::try_from(chance.below(3)).unwrap_or(0)] } else { 1 };
        Self {
            address,
            id,
            acks_all,
            chance,
            next_value: 0,
            next_sequence: 0,
            next_request: 0,
            leader: None,
            window: VecDeque::new(),
            in_flight_max,
            begin_at: 0,
            send_at: 0,
            produce_ms,
            stopped: false,
            is_forgotten: false,
            acknowledged: Vec::new(),
        }
    }

    /// Whether nothing is out that waits for an answer.
    pub(crate) fn is_idle(&self) -> bool {
        self.window.is_empty() || !self.acks_all
    }

    /// How many records were begun.
    pub(crate) fn begun(&self) -> u64 {
        self.next_value
    }

    pub(crate) fn tick(&mut self, now: u64, image: &MetadataImage, out: &mut Vec<Message>) {
        // A log that does not know a producer takes any sequence number for its first one: the first batch goes alone.
        let in_flight_max = if self.acknowledged.is_empty() { 1 } else { self.in_flight_max };
        if self.window.len() < in_flight_max && !self.stopped && now >= self.begin_at {
            self.begin();
            self.begin_at = now + self.chance.below(2 * self.produce_ms);
        }
        if self.window.iter().any(|batch| batch.asked.is_some_and(|asked| now >= asked.until)) {
            // The connection is given up, and with it all that is out on it.
            self.leader = None;
            self.window.iter_mut().for_each(|batch| batch.asked = None);
            if !self.acks_all {
                self.window.clear();
                return;
            }
        }
        if now < self.send_at || !self.window.iter().any(Batch::is_to_be_sent) {
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
        for (number, batch) in self.window.iter_mut().enumerate() {
            if !batch.is_to_be_sent() {
                continue;
            }
            self.next_request += 1;
            let request = self.next_request;
            batch.asked = Some(Asked { request, until: now + TIMEOUT_MS, follows_all: number == 0 });
            let body = Body::Produce {
                request,
                id: self.id,
                records: Arc::clone(&batch.bytes),
                acks_all: self.acks_all,
            };
            out.push(Message { from: self.address, to, body });
        }
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
        self.window.push_back(Batch { values, bytes, asked: None, is_acknowledged: false });
    }

    pub(crate) fn produced(
        &mut self,
        request: u64,
        outcome: Result<Offset, Refusal>,
        now: u64,
        by: Option<&Replica>,
        ledger: &Ledger,
        counts: &mut Counts,
    ) -> Result<(), Violation> {
        let is_it = |batch: &Batch| batch.asked.is_some_and(|asked| asked.request == request);
        let Some(number) = self.window.iter().position(is_it) else { return Ok(()) };
        match outcome {
            Ok(first) => {
                let batch = &mut self.window[number];
                (batch.asked, batch.is_acknowledged) = (None, true);
                let values = std::mem::take(&mut batch.values);
                while self.window.front().is_some_and(|batch| batch.is_acknowledged) {
                    self.window.pop_front();
                }
                if self.acks_all {
                    counts.add("acknowledged batch, acks=all");
                    self.acknowledge(first, &values, ledger)?;
                } else {
                    counts.add("acknowledged batch, acks=1");
                }
            }
            Err(refusal) => {
                let batch = &mut self.window[number];
                let follows_all = batch.asked.take().is_some_and(|asked| asked.follows_all);
                counts.add(match refusal {
                    Refusal::NotEnoughReplicas => "produce refused: not enough replicas",
                    Refusal::NotLeader => "produce refused: not the leader",
                    Refusal::OutOfOrderSequence => "produce refused: one before it is missing",
                    _ => "produce refused",
                });
                if refusal == Refusal::OutOfOrderSequence && follows_all {
                    let value = batch.values.first().copied().unwrap_or_default();
                    if by.map_or(Ok(false), |replica| holds(replica, value))? {
                        counts.add("idempotent producer that its log has half forgotten");
                        self.is_forgotten = true;
                        self.stopped = true;
                        self.window.clear();
                        return Ok(());
                    }
                    let what = format!("{} of {:?} is refused: {refusal:?}", self.address, self.id);
                    return Err(Violation::new("an idempotent producer goes on", what));
                }
                self.send_at = now + 20;
                if !matches!(refusal, Refusal::NotEnoughReplicas | Refusal::OutOfOrderSequence) {
                    self.leader = None;
                }
                if !self.acks_all {
                    self.window.clear();
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

/// Whether a log has that value.
fn holds(replica: &Replica, value: u64) -> Result<bool, Violation> {
    let (start, end) = (replica.log.log_start_offset(), replica.log.log_end_offset());
    Ok(read(replica, start, end)?.iter().any(|(_, entry)| entry.value == value))
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
