//! Connections to other nodes' controller listeners, kept for the next request. Each carries one request at a time, so
//! that no heartbeat waits behind an append's fsync.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use ottla_client::{ClientError, RawConnection};
use parking_lot::Mutex;
use tokio::time::timeout;

/// Idle connections kept for each address; more are closed after use.
const KEPT_MAX: usize = 8;
/// No single step takes longer; each request has its own, shorter limit.
const STEP_MAX: Duration = Duration::from_secs(120);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    #[error("{0}")]
    Failed(#[from] ClientError),
    #[error("no answer within {0:?}")]
    Timeout(Duration),
}

/// The connections of this node; clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Links {
    idle: Arc<Mutex<BTreeMap<String, Vec<RawConnection>>>>,
}

impl Links {
    /// Sends a whole frame and gives the next one that comes, without its length.
    pub(crate) async fn exchange(
        &self,
        address: &str,
        frame: &[u8],
        limit: Duration,
    ) -> Result<BytesMut, LinkError> {
        let exchanging = self.try_exchange(address, frame);
        timeout(limit, exchanging).await.map_err(|_| LinkError::Timeout(limit))?
    }

    async fn try_exchange(&self, address: &str, frame: &[u8]) -> Result<BytesMut, LinkError> {
        // One that was kept may have been closed meanwhile, as by a restart: all that are left are as old.
        if let Some(kept) = self.take(address) {
            match self.over(kept, address, frame).await {
                Ok(answer) => return Ok(answer),
                Err(_) => self.idle.lock().remove(address),
            };
        }
        let connection = RawConnection::connect(address, STEP_MAX).await?;
        Ok(self.over(connection, address, frame).await?)
    }

    async fn over(
        &self,
        mut connection: RawConnection,
        address: &str,
        frame: &[u8],
    ) -> Result<BytesMut, ClientError> {
        connection.send_bytes(frame).await?;
        let answer = connection.receive_frame().await?;
        let mut idle = self.idle.lock();
        let kept = idle.entry(address.to_owned()).or_default();
        if kept.len() < KEPT_MAX {
            kept.push(connection);
        }
        Ok(answer)
    }

    fn take(&self, address: &str) -> Option<RawConnection> {
        self.idle.lock().get_mut(address)?.pop()
    }
}
