//! The producer ids that this broker may give out (KIP-730): blocks of 1,000, fetched from the controller.

use std::ops::Range;
use std::sync::Arc;

use ottla_controller::{BrokerError, Controller, ControllerError};
use ottla_model::{BrokerId, ProducerId};
use parking_lot::Mutex;

use crate::identity::Identity;

/// Why there is no producer id now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProducerIdError {
    #[error(transparent)]
    Controller(#[from] ControllerError),
    #[error(transparent)]
    Refused(#[from] BrokerError),
}

/// Gives each caller an id that nobody else has or will have.
#[derive(Debug)]
pub(crate) struct ProducerIds {
    controller: Controller,
    identity: Arc<Identity>,
    block: Mutex<Range<i64>>,
    /// Held by the one caller that fetches the next block; the others wait for it.
    fetching: tokio::sync::Mutex<()>,
}

impl ProducerIds {
    pub(crate) fn new(controller: Controller, identity: Arc<Identity>) -> Self {
        Self { controller, identity, block: Mutex::new(0..0), fetching: tokio::sync::Mutex::new(()) }
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
            let id = self.identity.node_id;
            let block = self.controller.allocate_producer_ids(id, self.epoch(id)).await??;
            *self.block.lock() = block.ids;
        }
    }

    fn epoch(&self, id: BrokerId) -> i64 {
        self.controller.image().brokers().get(id).map_or(-1, |broker| broker.epoch)
    }
}
