//! The batches of a Produce request on their way into the logs.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ottla_model::batch::{BatchHeader, Compression};
use ottla_model::{Now, TopicId};
use ottla_protocol::produce::{ProducePartition, ProduceRequest, ProduceTopic};
use ottla_protocol::{ApiKey, ErrorCode};
use ottla_storage::{AppendOrigin, one_batch};

use super::Produce;
use super::refusal::Refusal;
use super::respond::{Answers, Outcome, TopicAnswers};
use crate::error_map;
use crate::internal_topics::is_internal;
use crate::partitions::{Acks, Partition, TopicKey};

/// The first version that names topics by id (KIP-516).
const FIRST_BY_ID: i16 = 13;
/// The first version whose clients know zstd (KIP-110).
const FIRST_WITH_ZSTD: i16 = 7;

/// The answer to all of a request that would write in a transaction.
const REFUSED: ErrorCode = ErrorCode::TransactionalIdAuthorizationFailed;

/// How the batches of one request are appended.
#[derive(Debug)]
pub(super) struct Batches<'a> {
    pub(super) handler: &'a Produce,
    pub(super) version: i16,
    /// None: a number that means nothing, for which nothing is appended.
    pub(super) acks: Option<Acks>,
}

impl Batches<'_> {
    pub(super) fn append(&self, mut request: ProduceRequest) -> Answers {
        let now = self.handler.clock.now();
        merge(&mut request.topics);
        keep_the_last_of_each(&mut request.topics);
        // Kafka refuses the whole request: without a transactional id nobody may write in a transaction. An id alone,
        // without such a batch, means nothing.
        let transactional =
            request.topics.iter().any(has_transactional).then(|| match &request.transactional_id {
                Some(_) => Refusal::new(REFUSED, "Transactions are not supported by this broker."),
                None => Refusal::code(REFUSED),
            });
        let transactional = transactional.as_ref();
        let topics = request.topics.into_iter().map(|topic| self.topic(topic, transactional, now)).collect();
        Answers { topics }
    }

    fn topic(&self, topic: ProduceTopic, transactional: Option<&Refusal>, now: Now) -> TopicAnswers {
        let outcomes = topic.partitions.into_iter().map(|partition| {
            let index = partition.index;
            let outcome = match transactional {
                Some(refusal) => Outcome::Failed(refusal.clone()),
                None => self.partition(&topic.name, TopicId(topic.topic_id), partition, now),
            };
            (index, outcome)
        });
        let outcomes = outcomes.collect();
        TopicAnswers { name: topic.name, topic_id: topic.topic_id, outcomes }
    }

    fn partition(&self, name: &str, id: TopicId, batch: ProducePartition, now: Now) -> Outcome {
        let found = if self.version >= FIRST_BY_ID {
            self.handler.partitions.by_id(id, batch.index)
        } else {
            self.handler.partitions.by_name(name, batch.index)
        };
        match (found, self.acks) {
            (Err(error), _) => Outcome::Failed(Refusal::code(error_map::absent(&error))),
            (Ok(partition), None) => Outcome::Failed(without_acks(&partition, batch.records.as_deref())),
            (Ok(partition), _) if is_internal(&partition.name.topic) => {
                Outcome::Failed(Refusal::code(ErrorCode::InvalidTopicException))
            }
            (Ok(partition), Some(acks)) => self.batch(partition, batch, acks, now),
        }
    }

    fn batch(&self, partition: Arc<Partition>, batch: ProducePartition, acks: Acks, now: Now) -> Outcome {
        let Some(mut records) = batch.records else {
            return Outcome::Failed(null_records());
        };
        if self.version < FIRST_WITH_ZSTD && is_zstd(&records) {
            return Outcome::Failed(Refusal::code(ErrorCode::UnsupportedCompressionType));
        }
        match partition.append(&mut records, acks, AppendOrigin::Client, now) {
            Ok(appended) => {
                let info = &appended.info;
                let record_count = info.last_offset.get() - info.first_offset.get() + 1;
                let record_count = u64::try_from(record_count).unwrap_or(0);
                self.handler.metrics.broker.produced(record_count, records.len());
                partition.traffic.produced(record_count, records.len());
                if appended.flush_due {
                    self.handler.flusher.flush(&partition);
                }
                if let Some(range) = appended.writeback {
                    self.handler.flusher.write_back(range);
                }
                if acks == Acks::All && !appended.committed {
                    Outcome::Waiting { partition, info: appended.info, required: appended.required }
                } else {
                    Outcome::Done(appended.info)
                }
            }
            Err(error) => {
                self.handler.metrics.broker.produce_rejected(records.len());
                self.handler.metrics.api(ApiKey::Produce).error(error_map::append(&error));
                let log_start = || partition.log_start();
                Outcome::Failed(Refusal::of_append(&partition.name, log_start, &error))
            }
        }
    }
}

/// The partitions that a request is about.
pub(super) fn named(request: &ProduceRequest, version: i16) -> impl Iterator<Item = (TopicKey<'_>, i32)> {
    request.topics.iter().flat_map(move |topic| {
        let key = if version >= FIRST_BY_ID {
            TopicKey::Id(TopicId(topic.topic_id))
        } else {
            TopicKey::Name(&topic.name)
        };
        topic.partitions.iter().map(move |partition| (key, partition.index))
    })
}

/// Kafka looks at a batch before it looks at `acks`.
fn without_acks(partition: &Partition, records: Option<&[u8]>) -> Refusal {
    match records.map(one_batch) {
        None => null_records(),
        Some(Ok(_)) => Refusal::code(ErrorCode::InvalidRequiredAcks),
        Some(Err(error)) => Refusal::of_append(&partition.name, || partition.log_start(), &error.into()),
    }
}

fn null_records() -> Refusal {
    Refusal::new(ErrorCode::InvalidRecord, "The records are null.")
}

/// A topic that is named more than once stands where it was first, with all of its partitions.
fn merge(topics: &mut Vec<ProduceTopic>) {
    if topics.len() < 2 {
        return;
    }
    let mut places = HashMap::new();
    let mut merged: Vec<ProduceTopic> = Vec::with_capacity(topics.len());
    for topic in topics.drain(..) {
        let place = *places.entry((topic.name.clone(), topic.topic_id)).or_insert(merged.len());
        match merged.get_mut(place) {
            Some(first) => first.partitions.extend(topic.partitions),
            None => merged.push(topic),
        }
    }
    *topics = merged;
}

/// Of a partition that is named more than once the last batch counts; a topic without partitions is not answered.
fn keep_the_last_of_each(topics: &mut Vec<ProduceTopic>) {
    if topics.iter().map(|topic| topic.partitions.len()).sum::<usize>() > 1 {
        let mut seen = HashSet::new();
        for topic in topics.iter_mut().rev() {
            let (name, id) = (topic.name.clone(), topic.topic_id);
            let mut of_last: Vec<bool> =
                topic.partitions.iter().rev().map(|p| seen.insert((name.clone(), id, p.index))).collect();
            topic.partitions.retain(|_| of_last.pop().unwrap_or(true));
        }
    }
    topics.retain(|topic| !topic.partitions.is_empty());
}

fn has_transactional(topic: &ProduceTopic) -> bool {
    let mut records = topic.partitions.iter().filter_map(|partition| partition.records.as_deref());
    records.any(|records| BatchHeader::read(records).is_ok_and(|header| header.is_transactional()))
}

fn is_zstd(records: &[u8]) -> bool {
    BatchHeader::read(records).is_ok_and(|header| header.compression() == Ok(Compression::Zstd))
}
