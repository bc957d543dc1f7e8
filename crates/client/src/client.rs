//! A connection that knows what the broker speaks, and the calls that every test makes.

use std::collections::BTreeMap;

use bytes::Bytes;
use ottla_model::{LeaderEpoch, Offset, TimestampMs};
use ottla_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use ottla_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, FetchRequest, ProduceRequest, StrBytes, TopicName,
};
use ottla_protocol::{ApiKey, Request};

use crate::{ClientError, Connection, ConnectionConfig, Fetched, Pending};

/// The last versions that address topics by name.
const PRODUCE_BY_NAME: i16 = 12;
const FETCH_BY_NAME: i16 = 12;

/// A [`Connection`] after ApiVersions.
#[derive(Debug)]
pub struct Client {
    connection: Connection,
    broker_versions: BTreeMap<i16, (i16, i16)>,
}

/// What a produce was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Produced {
    pub base_offset: Offset,
    /// [`TimestampMs::NONE`] unless the topic stamps records with LogAppendTime.
    pub log_append_time: TimestampMs,
    pub log_start: Offset,
}

impl Client {
    /// Connects to `host:port` and asks for the broker's versions.
    pub async fn connect(address: &str, config: ConnectionConfig) -> Result<Self, ClientError> {
        Self::negotiate(Connection::connect(address, config).await?).await
    }

    /// Asks for the versions over a connection that stands.
    pub async fn negotiate(connection: Connection) -> Result<Self, ClientError> {
        let request = ApiVersionsRequest {
            client_software_name: StrBytes::from_static_str("ottla-client"),
            client_software_version: StrBytes::from_static_str(env!("CARGO_PKG_VERSION")),
            ..ApiVersionsRequest::default()
        };
        let response: ApiVersionsResponse = connection.call(&request, 3).await?;
        ClientError::check(ApiKey::ApiVersions, response.error_code)?;
        let versions = response.api_keys.iter().map(|api| (api.api_key, (api.min_version, api.max_version)));
        let broker_versions = versions.collect();
        Ok(Self { connection, broker_versions })
    }

    /// The connection itself, for calls at a version of the caller's choice.
    #[must_use]
    pub const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The versions that the broker advertises of an API.
    #[must_use]
    pub fn broker_versions(&self, key: ApiKey) -> Option<(i16, i16)> {
        self.broker_versions.get(&key.code()).copied()
    }

    /// The newest version that both sides speak.
    pub fn version(&self, key: ApiKey) -> Result<i16, ClientError> {
        let (spec, broker) = (key.spec(), self.broker_versions(key));
        let (min, max) = broker.ok_or(ClientError::NoCommonVersion(key))?;
        let version = max.min(spec.max);
        let common = version >= min && spec.accepts(version);
        if common { Ok(version) } else { Err(ClientError::NoCommonVersion(key)) }
    }

    /// Calls at the newest common version.
    pub async fn call<R: Request>(&self, request: &R) -> Result<R::Response, ClientError> {
        self.connection.call(request, self.version(R::KEY)?).await
    }

    /// Sends at the newest common version; the answer is awaited later.
    pub async fn start<R: Request>(&self, request: &R) -> Result<Pending<R::Response>, ClientError> {
        self.connection.start(request, self.version(R::KEY)?).await
    }

    /// Produces batches to one partition, by name. `acks` is 1 or -1: acks=0 has no answer (see
    /// [`Connection::send_only`] and [`Client::produce_request`]).
    pub async fn produce(
        &self,
        topic: &str,
        partition: i32,
        batches: Bytes,
        acks: i16,
    ) -> Result<Produced, ClientError> {
        let request = Self::produce_request(topic, partition, batches, acks);
        let version = self.version(ApiKey::Produce)?.min(PRODUCE_BY_NAME);
        let response = self.connection.call(&request, version).await?;
        let answers = response.responses.iter().flat_map(|topic| &topic.partition_responses);
        let answer = answers.last().ok_or(ClientError::MissingPartition(ApiKey::Produce))?;
        ClientError::check(ApiKey::Produce, answer.error_code)?;
        Ok(Produced {
            base_offset: Offset(answer.base_offset),
            log_append_time: TimestampMs(answer.log_append_time_ms),
            log_start: Offset(answer.log_start_offset),
        })
    }

    /// Fetches from one partition, by name and outside any session. Waits up to `max_wait_ms` for `min_bytes`.
    pub async fn fetch(
        &self,
        topic: &str,
        partition: i32,
        offset: Offset,
        min_bytes: i32,
        max_wait_ms: i32,
    ) -> Result<Fetched, ClientError> {
        let request = Self::fetch_request(topic, partition, offset, min_bytes, max_wait_ms);
        let version = self.version(ApiKey::Fetch)?.min(FETCH_BY_NAME);
        let response = self.connection.call(&request, version).await?;
        ClientError::check(ApiKey::Fetch, response.error_code)?;
        let mut answers = response.responses.into_iter().flat_map(|topic| topic.partitions);
        let answer = answers.next().ok_or(ClientError::MissingPartition(ApiKey::Fetch))?;
        ClientError::check(ApiKey::Fetch, answer.error_code)?;
        Ok(Fetched {
            high_watermark: Offset(answer.high_watermark),
            last_stable_offset: Offset(answer.last_stable_offset),
            log_start: Offset(answer.log_start_offset),
            records: answer.records.unwrap_or_default(),
        })
    }

    /// The request that [`Client::produce`] sends, for versions up to 12.
    #[must_use]
    pub fn produce_request(topic: &str, partition: i32, batches: Bytes, acks: i16) -> ProduceRequest {
        let data = PartitionProduceData::default().with_index(partition).with_records(Some(batches));
        let topic = TopicProduceData::default().with_name(topic_name(topic)).with_partition_data(vec![data]);
        ProduceRequest::default().with_acks(acks).with_timeout_ms(30_000).with_topic_data(vec![topic])
    }

    /// The request that [`Client::fetch`] sends, for versions up to 12.
    #[must_use]
    pub fn fetch_request(
        topic: &str,
        partition: i32,
        offset: Offset,
        min_bytes: i32,
        max_wait_ms: i32,
    ) -> FetchRequest {
        let partition = FetchPartition {
            partition,
            current_leader_epoch: LeaderEpoch::NONE.get(),
            fetch_offset: offset.get(),
            partition_max_bytes: 1 << 20,
            ..FetchPartition::default()
        };
        let topic =
            FetchTopic { topic: topic_name(topic), partitions: vec![partition], ..FetchTopic::default() };
        FetchRequest {
            max_wait_ms,
            min_bytes,
            max_bytes: 50 << 20,
            topics: vec![topic],
            ..FetchRequest::default()
        }
    }
}

fn topic_name(topic: &str) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_owned()))
}
