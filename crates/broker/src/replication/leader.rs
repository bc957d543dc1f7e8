//! The connection to one leader.

use std::sync::Arc;
use std::time::Duration;

use ottla_client::{ClientError, Connection, ConnectionConfig};
use ottla_model::{BrokerId, LeaderEpoch, Offset};
use ottla_protocol::messages::{FetchRequest, FetchResponse};
use ottla_protocol::{ApiKey, ErrorCode};

use super::fetchers::FetchersParts;
use super::wire::{self, End, Follower};
use crate::cluster::host_port;
use crate::partitions::Partition;

/// The newest that the message crate knows.
const LIST_OFFSETS_VERSION: i16 = 10;

/// Why a leader has not answered.
#[derive(Debug, thiserror::Error)]
pub(super) enum LeaderError {
    #[error("broker {0} is not registered, or not on the listener between brokers")]
    NoAddress(BrokerId),
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Leader {
    connection: Connection,
}

impl Leader {
    /// Connects on the listener that brokers use among themselves.
    pub(super) async fn connect(leader: BrokerId, parts: &FetchersParts) -> Result<Self, LeaderError> {
        let config = parts.config.load_full();
        let address = {
            let image = parts.view.image();
            let broker = image.brokers().get(leader);
            let endpoint = broker.and_then(|broker| broker.endpoint(&config.net.inter_broker_listener));
            endpoint.map(|endpoint| host_port(&endpoint.host, endpoint.port))
        };
        let address = address.ok_or(LeaderError::NoAddress(leader))?;
        let timeout_ms = u64::try_from(config.replication.socket_timeout_ms).unwrap_or(0);
        let connection = ConnectionConfig {
            client_id: Some(format!("broker-{}-fetcher", parts.broker_id)),
            timeout: Duration::from_millis(timeout_ms),
            ..ConnectionConfig::default()
        };
        Ok(Self { connection: Connection::connect(&address, connection).await? })
    }

    pub(super) async fn fetch(&self, request: &FetchRequest) -> Result<FetchResponse, LeaderError> {
        Ok(self.connection.call(request, ApiKey::Fetch.spec().max).await?)
    }

    /// An end of the leader's log.
    pub(super) async fn log_end(
        &self,
        partition: &Arc<Partition>,
        leader_epoch: LeaderEpoch,
        end: End,
        follower: Follower,
    ) -> Result<Result<Offset, ErrorCode>, LeaderError> {
        let (topic, index) = (&partition.name.topic, partition.name.partition);
        let request = wire::list_offset(topic, index, leader_epoch, end, follower);
        let answer = self.connection.call(&request, LIST_OFFSETS_VERSION).await?;
        let answered = answer.topics.first().and_then(|topic| topic.partitions.first());
        let Some(answered) = answered else { return Ok(Err(ErrorCode::UnknownServerError)) };
        Ok(match ErrorCode::from_code(answered.error_code) {
            Some(ErrorCode::None) => Ok(wire::offset(answered.offset)),
            Some(error) => Err(error),
            None => Err(ErrorCode::UnknownServerError),
        })
    }
}
