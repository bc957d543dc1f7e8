//! Producers of numbered records, with several batches under way.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use ottla_client::{Client, Pending};
use ottla_model::batch::{BatchBuilder, Compression};
use ottla_model::{Offset, ProducerEpoch, ProducerId, TimestampMs};
use ottla_protocol::ApiKey;
use ottla_protocol::messages::ProduceResponse;
use tokio::time::sleep;

use super::session::{Interrupted, Site, later};
use super::{History, Rng, ids};
use crate::ledger::records::Entry;

/// The last version that names topics.
const BY_NAME: i16 = 12;
/// Batches without an answer: as many as the log remembers of a producer.
const UNANSWERED_MAX: usize = 5;
const RECORDS_MAX: u64 = 6;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What goes wrong is not sent again.
    Acks(i16),
    /// Everything is sent again until it is acknowledged.
    Idempotent,
}

#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) topic: &'static str,
    pub(crate) partition: i32,
    /// Unique in the topic.
    pub(crate) number: u32,
    pub(crate) kind: Kind,
    pub(crate) value_len: usize,
    pub(crate) pause: Duration,
    /// Timestamps are wanted with the acknowledgements, which are those of a topic with retention.
    pub(crate) is_retained: bool,
}

/// A batch of consecutive records.
#[derive(Debug, Clone)]
struct Batch {
    first: u64,
    count: u64,
    timestamp: i64,
    bytes: Bytes,
}

/// A batch under way.
struct Sent {
    first: u64,
    answer: Pending<ProduceResponse>,
}

/// Error code and base offset.
async fn answered(answer: Pending<ProduceResponse>) -> Result<(i16, i64), Interrupted> {
    let answer = answer.answer().await?;
    let partitions = answer.responses.iter().flat_map(|topic| &topic.partition_responses);
    partitions.last().map(|answer| (answer.error_code, answer.base_offset)).ok_or(Interrupted)
}

pub(crate) struct Producer {
    plan: Plan,
    rng: Rng,
    history: Arc<History>,
    next: u64,
    producer_id: Option<i64>,
    /// Sent and not acknowledged; an idempotent producer begins a session with them.
    unanswered: VecDeque<Batch>,
}

impl Producer {
    pub(crate) fn new(plan: Plan, rng: Rng, history: Arc<History>) -> Self {
        Self { plan, rng, history, next: 0, producer_id: None, unanswered: VecDeque::new() }
    }

    pub(crate) async fn run(mut self, site: Site) {
        while let Some(client) = site.leader(self.plan.topic, self.plan.partition).await {
            let mut pending = VecDeque::new();
            let _ = self.session(&site, &client, &mut pending).await;
            // Answers that came before the end count: they are of the last batches in the log, the first to be lost. What is
            // still under way on this connection may yet be appended: nothing overtakes it.
            while let Some(sent) = pending.pop_front()
                && self.take_late_answer(sent).await.is_ok()
            {}
            if self.plan.kind != Kind::Idempotent {
                self.unanswered.clear();
            }
        }
    }

    async fn session(
        &mut self,
        site: &Site,
        client: &Client,
        pending: &mut VecDeque<Sent>,
    ) -> Result<(), Interrupted> {
        if self.plan.kind == Kind::Idempotent && self.producer_id.is_none() {
            self.producer_id = Some(ids::next(client, &self.history).await?);
        }
        for batch in self.unanswered.clone() {
            self.send(client, &batch, pending).await?;
        }
        while !site.stopped() {
            while pending.len() >= UNANSWERED_MAX {
                self.take_answer(pending).await?;
            }
            let batch = self.make();
            if self.plan.kind != Kind::Acks(0) {
                self.unanswered.push_back(batch.clone());
            }
            self.send(client, &batch, pending).await?;
            sleep(self.plan.pause).await;
        }
        while !pending.is_empty() {
            self.take_answer(pending).await?;
        }
        Ok(())
    }

    async fn send(
        &self,
        client: &Client,
        batch: &Batch,
        pending: &mut VecDeque<Sent>,
    ) -> Result<(), Interrupted> {
        let acks = if let Kind::Acks(acks) = self.plan.kind { acks } else { -1 };
        let request =
            Client::produce_request(self.plan.topic, self.plan.partition, batch.bytes.clone(), acks);
        let version = client.version(ApiKey::Produce)?.min(BY_NAME);
        if acks == 0 {
            client.connection().send_only(&request, version).await?;
        } else {
            let answer = client.connection().start(&request, version).await?;
            pending.push_back(Sent { first: batch.first, answer });
        }
        Ok(())
    }

    async fn take_answer(&mut self, pending: &mut VecDeque<Sent>) -> Result<(), Interrupted> {
        let Some(Sent { first, answer }) = pending.pop_front() else { return Ok(()) };
        let (code, base_offset) = answered(answer).await?;
        match code {
            0 => {
                self.acknowledge(first, base_offset);
                Ok(())
            }
            // UNKNOWN_TOPIC_OR_PARTITION, LEADER_NOT_AVAILABLE, NOT_LEADER_OR_FOLLOWER, REQUEST_TIMED_OUT,
            // NOT_ENOUGH_REPLICAS and _AFTER_APPEND, KAFKA_STORAGE_ERROR: an idempotent producer comes again.
            3 | 5 | 6 | 7 | 19 | 20 | 56 => Err(later().await),
            code => {
                let number = self.plan.number;
                self.history.found("producer", [format!("{number} was answered {code} to {first}")]);
                Err(later().await)
            }
        }
    }

    /// What comes after a batch that was refused may be refused for that.
    async fn take_late_answer(&mut self, sent: Sent) -> Result<(), Interrupted> {
        let (code, base_offset) = answered(sent.answer).await?;
        if code == 0 {
            self.acknowledge(sent.first, base_offset);
        }
        Ok(())
    }

    fn acknowledge(&mut self, first: u64, base_offset: i64) {
        let place = self.unanswered.iter().position(|batch| batch.first == first);
        if let Some(batch) = place.and_then(|place| self.unanswered.remove(place)) {
            self.acknowledged(&batch, base_offset);
        }
    }

    fn acknowledged(&self, batch: &Batch, base_offset: i64) {
        let Plan { partition, number: producer, .. } = self.plan;
        let entries = (0..batch.count).zip(base_offset..).map(|(n, offset)| Entry {
            partition,
            offset,
            producer,
            sequence: batch.first + n,
        });
        if self.plan.is_retained {
            self.history.retained(entries.map(|entry| (entry, batch.timestamp)));
        } else {
            self.history.acknowledged(entries);
        }
    }

    fn make(&mut self) -> Batch {
        let (first, count) = (self.next, 1 + self.rng.below(RECORDS_MAX));
        self.next += count;
        let timestamp = now_ms();
        let codecs = [Compression::None, Compression::Lz4, Compression::Zstd];
        let codec = if self.plan.is_retained { Compression::None } else { self.rng.pick(&codecs) };
        let mut builder = BatchBuilder::new(Offset::ZERO).compression(codec, None);
        if let Some(id) = self.producer_id {
            let sequence = i32::try_from(first).expect("fewer records than that");
            builder = builder.producer(ProducerId(id), ProducerEpoch(0), sequence);
        }
        for sequence in first..first + count {
            let value = format!("{}:{sequence}:{}", self.plan.number, "x".repeat(self.plan.value_len));
            builder.push(TimestampMs(timestamp), None, Some(value.as_bytes()), &[]);
        }
        let bytes = Bytes::from(builder.build().expect("a batch"));
        Batch { first, count, timestamp, bytes }
    }
}

pub(crate) fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(now.as_millis()).expect("a time of this age")
}
