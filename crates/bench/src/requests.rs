//! Frames and batches, made before anything is measured.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use ottla_model::batch::{BatchBuilder, Compression, batches};
use ottla_model::{Offset, ProducerEpoch, ProducerId, TimestampMs};
use ottla_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use ottla_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use ottla_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use ottla_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use ottla_protocol::messages::metadata_request::MetadataRequestTopic;
use ottla_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_protocol::messages::{
    ApiVersionsRequest, CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest,
    CreateTopicsResponse, DeleteTopicsRequest, FetchRequest, FetchResponse, FindCoordinatorRequest,
    FindCoordinatorResponse, ListOffsetsRequest, ListOffsetsResponse, MetadataRequest, MetadataResponse,
    ProduceRequest, ProduceResponse, StrBytes, TopicName,
};
use ottla_protocol::{ErrorCode, Request, RequestHeader, Response, encode_request, split_response_header};

use crate::Result;

/// The first in which features are named that may be off (KIP-584's, since KIP-1022).
pub(crate) const API_VERSIONS: i16 = 4;
/// Bytes of a record's value in a batch of many.
const VALUE_LEN: usize = 960;

/// Requests for one topic.
#[derive(Clone, Debug)]
pub(crate) struct Requests {
    topic: &'static str,
}

impl Default for Requests {
    fn default() -> Self {
        Self { topic: "bench" }
    }
}

impl Requests {
    /// About another topic than the usual one.
    pub(crate) const fn of(topic: &'static str) -> Self {
        Self { topic }
    }

    pub(crate) fn api_versions(&self) -> Result<Bytes> {
        let name = StrBytes::from_static_str("ottla-bench");
        let request = ApiVersionsRequest {
            client_software_name: name.clone(),
            client_software_version: name,
            ..ApiVersionsRequest::default()
        };
        framed(&request, API_VERSIONS)
    }

    pub(crate) fn create_topic(&self, partitions: i32) -> Result<Bytes> {
        self.create_topic_with(partitions, &[])
    }

    pub(crate) fn delete_topic(&self) -> Result<Bytes> {
        let request = DeleteTopicsRequest::default().with_topic_names(vec![self.name()]);
        framed(&request.with_timeout_ms(30_000), 5)
    }

    /// With configs of the topic's own.
    pub(crate) fn create_topic_with(&self, partitions: i32, configs: &[(&str, &str)]) -> Result<Bytes> {
        let configs = configs.iter().map(|(name, value)| {
            CreatableTopicConfig::default()
                .with_name(StrBytes::from_string((*name).to_owned()))
                .with_value(Some(StrBytes::from_string((*value).to_owned())))
        });
        let topic = CreatableTopic::default()
            .with_name(self.name())
            .with_num_partitions(partitions)
            .with_replication_factor(1)
            .with_configs(configs.collect());
        framed(&CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(30_000), 7)
    }

    /// Each partition on the brokers that are named for it, the first of which is its preferred leader.
    pub(crate) fn create_topic_on(&self, replicas: &[Vec<i32>]) -> Result<Bytes> {
        let assignments = (0..).zip(replicas).map(|(partition, brokers)| {
            CreatableReplicaAssignment::default()
                .with_partition_index(partition)
                .with_broker_ids(brokers.iter().map(|id| (*id).into()).collect())
        });
        let topic = CreatableTopic::default()
            .with_name(self.name())
            .with_num_partitions(-1)
            .with_replication_factor(-1)
            .with_assignments(assignments.collect());
        framed(&CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(60_000), 7)
    }

    /// Asks for the topic's partitions.
    pub(crate) fn metadata(&self) -> Result<Bytes> {
        let topic = MetadataRequestTopic::default().with_name(Some(self.name()));
        let request = MetadataRequest::default().with_allow_auto_topic_creation(false);
        framed(&request.with_topics(Some(vec![topic])), 9)
    }

    /// The leader of each partition, -1 where there is none; and how many replicas of all partitions are in sync.
    pub(crate) fn leaders(&self, answer: &BytesMut) -> Result<(Vec<i32>, usize)> {
        let answer: MetadataResponse = decoded(answer, 9)?;
        let topic = answer.topics.first().ok_or("no topic in the metadata")?;
        checked(Some(topic.error_code))?;
        let leaders = topic.partitions.iter().map(|partition| partition.leader_id.0).collect();
        Ok((leaders, topic.partitions.iter().map(|partition| partition.isr_nodes.len()).sum()))
    }

    /// How many brokers are live.
    pub(crate) fn brokers(&self, answer: &BytesMut) -> Result<usize> {
        Ok(decoded::<MetadataResponse>(answer, 9)?.brokers.len())
    }

    /// Until there are `count`.
    pub(crate) fn create_partitions(&self, count: i32) -> Result<Bytes> {
        let topic = CreatePartitionsTopic::default().with_name(self.name()).with_count(count);
        let request = CreatePartitionsRequest::default().with_topics(vec![topic.with_assignments(None)]);
        framed(&request.with_timeout_ms(30_000), 3)
    }

    pub(crate) fn check_create_partitions(&self, answer: &BytesMut) -> Result<()> {
        let answer: CreatePartitionsResponse = decoded(answer, 3)?;
        checked(answer.results.first().map(|topic| topic.error_code))
    }

    /// Asks where the logs of these partitions end.
    pub(crate) fn log_ends(&self, partitions: &[i32]) -> Result<Bytes> {
        let asked = partitions.iter().map(|partition| {
            ListOffsetsPartition::default().with_partition_index(*partition).with_timestamp(-1)
        });
        let topic = ListOffsetsTopic::default().with_name(self.name()).with_partitions(asked.collect());
        framed(&ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![topic]), 7)
    }

    /// Where the logs end of those partitions that said so.
    pub(crate) fn served(&self, answer: &BytesMut) -> Result<HashMap<i32, i64>> {
        let answer: ListOffsetsResponse = decoded(answer, 7)?;
        let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
        let served = partitions.filter(|partition| partition.error_code == 0);
        Ok(served.map(|partition| (partition.partition_index, partition.offset)).collect())
    }

    pub(crate) fn check_create_topic(&self, answer: &BytesMut) -> Result<()> {
        let answer: CreateTopicsResponse = decoded(answer, 7)?;
        checked(answer.topics.first().map(|topic| topic.error_code))
    }

    pub(crate) fn find_coordinator(&self) -> Result<Bytes> {
        let request =
            FindCoordinatorRequest::default().with_coordinator_keys(vec![StrBytes::from_static_str("bench")]);
        framed(&request, 4)
    }

    /// The error of the coordinator's lookup, 0 once it is there.
    pub(crate) fn coordinator_error(&self, answer: &BytesMut) -> Result<i16> {
        let answer: FindCoordinatorResponse = decoded(answer, 4)?;
        Ok(answer.coordinators.first().map_or(-1, |found| found.error_code))
    }

    pub(crate) fn produce(&self, batch: Vec<u8>) -> Result<Bytes> {
        self.produce_to(0, batch)
    }

    pub(crate) fn produce_to(&self, partition: i32, batch: Vec<u8>) -> Result<Bytes> {
        self.produce_with(partition, batch, Acks::All)
    }

    pub(crate) fn produce_with(&self, partition: i32, batch: Vec<u8>, acks: Acks) -> Result<Bytes> {
        let data = PartitionProduceData::default().with_index(partition).with_records(Some(batch.into()));
        let topic = TopicProduceData::default().with_name(self.name()).with_partition_data(vec![data]);
        let request = ProduceRequest::default().with_acks(acks.code()).with_timeout_ms(30_000);
        framed(&request.with_topic_data(vec![topic]), 9)
    }

    pub(crate) fn check_produce(&self, answer: &BytesMut) -> Result<()> {
        let answer: ProduceResponse = decoded(answer, 9)?;
        checked(
            answer.responses.first().and_then(|topic| Some(topic.partition_responses.first()?.error_code)),
        )
    }

    pub(crate) fn fetch(&self, offset: Offset, max_bytes: i32) -> Result<Bytes> {
        self.fetch_all(&[(0, offset)], max_bytes)
    }

    /// So many bytes of each of these partitions.
    pub(crate) fn fetch_all(&self, partitions: &[(i32, Offset)], max_bytes: i32) -> Result<Bytes> {
        framed(&self.fetch_request(partitions, max_bytes, 500), 12)
    }

    /// So many bytes of a partition, as the replica on this broker asks for them.
    pub(crate) fn fetch_as(
        &self,
        broker: i32,
        partition: i32,
        offset: Offset,
        max_bytes: i32,
    ) -> Result<Bytes> {
        let mut request = self.fetch_request(&[(partition, offset)], max_bytes, 500);
        request.replica_id = broker.into();
        framed(&request, 12)
    }

    /// A fetch that waits where there is nothing.
    pub(crate) fn fetch_waiting(&self, partition: i32, offset: Offset, wait_ms: i32) -> Result<Bytes> {
        framed(&self.fetch_request(&[(partition, offset)], 1 << 20, wait_ms), 12)
    }

    fn fetch_request(&self, partitions: &[(i32, Offset)], max_bytes: i32, wait_ms: i32) -> FetchRequest {
        let partitions = partitions.iter().map(|(partition, offset)| FetchPartition {
            partition: *partition,
            fetch_offset: offset.get(),
            partition_max_bytes: max_bytes,
            ..FetchPartition::default()
        });
        let partitions = partitions.collect();
        let topic = FetchTopic { topic: self.name(), partitions, ..FetchTopic::default() };
        FetchRequest {
            max_wait_ms: wait_ms,
            min_bytes: 1,
            max_bytes: 50 << 20,
            topics: vec![topic],
            ..FetchRequest::default()
        }
    }

    /// A fetch of a session (KIP-227); of session 0 and epoch 0 it begins one.
    pub(crate) fn session_fetch(&self, step: &SessionStep) -> Result<Bytes> {
        let mut request = self.fetch_request(&step.partitions, 1 << 20, step.wait_ms);
        (request.session_id, request.session_epoch) = (step.id, step.epoch);
        framed(&request, 12)
    }

    /// The session's id, and how many partitions were answered.
    pub(crate) fn session_fetched(&self, answer: &BytesMut) -> Result<(i32, usize)> {
        let answer: FetchResponse = decoded(answer, 12)?;
        checked(Some(answer.error_code))?;
        let partitions = answer.responses.iter().flat_map(|topic| &topic.partitions);
        Ok((answer.session_id, partitions.count()))
    }

    /// The records of an answer.
    pub(crate) fn fetched(&self, answer: &BytesMut) -> Result<Bytes> {
        let answer: FetchResponse = decoded(answer, 12)?;
        let partition =
            answer.responses.into_iter().next().and_then(|topic| topic.partitions.into_iter().next());
        let partition = partition.ok_or("a fetch was answered without its partition")?;
        checked(Some(partition.error_code))?;
        Ok(partition.records.unwrap_or_default())
    }

    fn name(&self) -> TopicName {
        TopicName(StrBytes::from_static_str(self.topic))
    }
}

/// Whose acknowledgement a producer waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acks {
    All,
    Leader,
    None,
}

impl Acks {
    const fn code(self) -> i16 {
        match self {
            Self::All => -1,
            Self::Leader => 1,
            Self::None => 0,
        }
    }
}

/// One fetch of a session.
#[derive(Clone, Debug)]
pub(crate) struct SessionStep {
    pub(crate) id: i32,
    pub(crate) epoch: i32,
    /// What is new to the session, or has moved.
    pub(crate) partitions: Vec<(i32, Offset)>,
    pub(crate) wait_ms: i32,
}

/// What a batch holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Content {
    /// Bytes before compression, at most and close to it; 0 for one record.
    pub(crate) batch: usize,
    /// Bytes of a record's value.
    pub(crate) record: usize,
    pub(crate) codec: Compression,
    pub(crate) keyed: bool,
}

impl Content {
    /// Neither compressed nor keyed.
    pub(crate) const fn plain(batch: usize, record: usize) -> Self {
        Self { batch, record, codec: Compression::None, keyed: false }
    }
}

/// A batch, ready to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) bytes: Vec<u8>,
    pub(crate) records: usize,
}

/// A batch of this content. Values look like lines of JSON, which compress as such do.
pub(crate) fn content_batch(content: Content) -> Result<Batch> {
    let mut builder = BatchBuilder::new(Offset(0)).compression(content.codec, None);
    let timestamp = wall_clock();
    let mut number = 0_u64;
    while number == 0 || builder.size() + content.record + 32 < content.batch {
        let key = content.keyed.then(|| format!("order-{number}"));
        builder.push(timestamp, key.as_deref().map(str::as_bytes), Some(&value(number, content.record)), &[]);
        number += 1;
    }
    let records = builder.record_count();
    Ok(Batch { bytes: builder.build()?, records })
}

fn value(number: u64, len: usize) -> Vec<u8> {
    let mut text = String::new();
    let mut field = number;
    while text.len() < len {
        field = field.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (id, amount) = (field >> 40, field >> 52);
        text.push_str(&format!("{{\"id\":{id},\"customer\":\"c-{amount}\",\"state\":\"shipped\"}},"));
    }
    text.truncate(len);
    text.into_bytes()
}

/// A batch of an idempotent producer, of at most `size` bytes and close to it.
pub(crate) fn idempotent_batch(size: usize, sequence: i32) -> Result<Vec<u8>> {
    let builder = BatchBuilder::new(Offset(0)).producer(ProducerId(7), ProducerEpoch(0), sequence);
    filled(builder, size)
}

/// A batch of at most `size` bytes and close to it; the smallest has one record of 100 bytes.
pub(crate) fn batch(size: usize) -> Result<Vec<u8>> {
    filled(BatchBuilder::new(Offset(0)), size)
}

/// As [`batch`], of records with this timestamp.
pub(crate) fn batch_at(timestamp: i64, size: usize) -> Result<Vec<u8>> {
    filled_at(BatchBuilder::new(Offset(0)), size, TimestampMs(timestamp))
}

fn filled(builder: BatchBuilder, size: usize) -> Result<Vec<u8>> {
    filled_at(builder, size, wall_clock())
}

fn filled_at(mut builder: BatchBuilder, size: usize, timestamp: TimestampMs) -> Result<Vec<u8>> {
    let value = vec![b'x'; VALUE_LEN];
    while builder.size() + VALUE_LEN + 32 < size {
        builder.push(timestamp, None, Some(&value), &[]);
    }
    let rest = size.saturating_sub(builder.size() + 16).clamp(100, VALUE_LEN);
    builder.push(timestamp, None, Some(&value[..rest]), &[]);
    Ok(builder.build()?)
}

/// Brokers refuse records from the future, and retention removes old ones.
pub(crate) fn wall_clock() -> TimestampMs {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimestampMs(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// The offset behind the last whole batch.
pub(crate) fn next_offset(records: &[u8]) -> Option<Offset> {
    batches(records).map_while(std::result::Result::ok).last().map(|(header, _)| header.next_offset())
}

pub(crate) fn framed<R: Request>(request: &R, version: i16) -> Result<Bytes> {
    let header = RequestHeader {
        key: R::KEY,
        version,
        correlation_id: 1,
        client_id: Some(StrBytes::from_static_str("ottla-bench")),
    };
    Ok(encode_request(&header, request)?)
}

pub(crate) fn decoded<R: Response>(answer: &BytesMut, version: i16) -> Result<R> {
    let mut frame = answer.clone();
    split_response_header(R::KEY, version, &mut frame)?;
    Ok(R::decode(frame.freeze(), version)?)
}

pub(crate) fn checked(code: Option<i16>) -> Result<()> {
    match code {
        Some(0) => Ok(()),
        Some(code) => {
            let name = ErrorCode::from_code(code).map_or("an unknown error", ErrorCode::name);
            Err(format!("the broker answered {name} ({code})").into())
        }
        None => Err("the broker's answer is empty".into()),
    }
}
