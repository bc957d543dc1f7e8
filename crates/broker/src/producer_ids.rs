//! The producer ids that this broker may give out (KIP-730): blocks of 1,000, fetched from the controller.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use ottla_model::ProducerId;
use ottla_protocol::messages::AllocateProducerIdsRequest;
use ottla_protocol::{ApiKey, ErrorCode};
use parking_lot::Mutex;

use crate::cluster::{ChannelError, ControllerChannel, version};
use crate::identity::Identity;
use crate::metadata_view::MetadataView;

/// How long a client waits for the controller.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why there is no producer id now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProducerIdError {
    #[error(transparent)]
    Controller(#[from] ChannelError),
    #[error("the controller refuses: {0:?}")]
    Refused(Option<ErrorCode>),
}

/// Gives each caller an id that nobody else has or will have.
#[derive(Debug)]
pub(crate) struct ProducerIds {
    channel: ControllerChannel,
    identity: Arc<Identity>,
    view: Arc<MetadataView>,
    block: Mutex<Range<i64>>,
    /// Held by the one caller that fetches the next block; the others wait for it.
    fetching: tokio::sync::Mutex<()>,
}

impl ProducerIds {
    pub(crate) fn new(channel: ControllerChannel, identity: Arc<Identity>, view: Arc<MetadataView>) -> Self {
        Self { channel, identity, view, block: Mutex::new(0..0), fetching: tokio::sync::Mutex::new(()) }
    }

    /// An id of the block at hand; `None` if it is used up.
    pub(crate) fn try_next(&self) -> Option<ProducerId> {
        self.block.lock().next().map(ProducerId)
    }

    /// An id, of a new block if need be.
    pub(crate) async fn next(&self) -> Result<ProducerId, ProducerIdError> {
        let _one_at_a_time = self.fetching.lock().await;
        loop {
            if let Some(id) = self.try_next() {
                return Ok(id);
            }
            let block = self.fetch().await?;
            *self.block.lock() = block;
        }
    }

    async fn fetch(&self) -> Result<Range<i64>, ProducerIdError> {
        let id = self.identity.node_id;
        let epoch = self.view.image().brokers().get(id).map_or(-1, |broker| broker.epoch);
        let request =
            AllocateProducerIdsRequest::default().with_broker_id(id.get().into()).with_broker_epoch(epoch);
        let answer = self.channel.ask(&request, version(ApiKey::AllocateProducerIds), TIMEOUT).await?;
        if answer.error_code != ErrorCode::None.code() {
            return Err(ProducerIdError::Refused(ErrorCode::from_code(answer.error_code)));
        }
        let first = answer.producer_id_start.0;
        Ok(first..first.saturating_add(i64::from(answer.producer_id_len)))
    }
}
