//! The way to the active controller, wherever it is: requests of this node's own, and those that it hands on.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use ottla_controller::{Controller, Peers};
use ottla_model::BrokerId;
use ottla_protocol::fetch::Segment;
use ottla_protocol::messages::StrBytes;
use ottla_protocol::{
    ApiKey, DecodeError, EncodeError, FRAME_PREFIX_LEN, HeaderError, Request, RequestHeader, Response,
    encode_request, split_response_header,
};
use tokio::time::{Instant, sleep, timeout_at};

use super::ErrorCodes;
use super::links::{LinkError, Links};
use super::transport::address;
use crate::dispatch::{Answer, Api, ConnectionInfo, Reply, RequestContext};

/// Before it is asked again who leads.
const PAUSE: Duration = Duration::from_millis(10);
/// One try of a request, of several that its own time allows.
const TRY_MAX: Duration = Duration::from_secs(30);

/// Why the controller has not answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChannelError {
    #[error("no controller has answered within {0:?}")]
    Timeout(Duration),
    #[error("the controller cannot be asked: {0}")]
    Encode(#[from] EncodeError),
}

/// Why one try has failed; the next may not.
#[derive(Debug, thiserror::Error)]
pub(super) enum TryError {
    #[error("nobody leads the quorum")]
    NoLeader,
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error("the controller of this node does not answer")]
    Local,
}

/// What asks the controller; clones share it.
#[derive(Clone)]
pub(crate) struct ControllerChannel {
    controller: Controller,
    peers: Option<Peers>,
    links: Links,
    /// What this node's own controller listener serves.
    local: Arc<OnceLock<Vec<Arc<dyn Api>>>>,
}

impl std::fmt::Debug for ControllerChannel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ControllerChannel")
    }
}

impl ControllerChannel {
    pub(crate) fn new(controller: Controller, peers: Option<Peers>, links: Links) -> Self {
        Self { controller, peers, links, local: Arc::default() }
    }

    /// What this node answers itself while it is the active controller.
    pub(crate) fn serve_locally(&self, apis: Vec<Arc<dyn Api>>) {
        // A second set would be the same.
        let _ = self.local.set(apis);
    }

    pub(crate) fn peers(&self) -> Option<&Peers> {
        self.peers.as_ref()
    }

    pub(crate) fn controller(&self) -> &Controller {
        &self.controller
    }

    /// Asks whoever leads, again while nobody does, until `limit` is over.
    pub(crate) async fn ask<R: Request>(
        &self,
        request: &R,
        version: i16,
        limit: Duration,
    ) -> Result<R::Response, ChannelError>
    where
        R::Response: ErrorCodes,
    {
        let header = RequestHeader { key: R::KEY, version, correlation_id: 0, client_id: Some(client_id()) };
        let frame = encode_request(&header, request)?;
        let deadline = Instant::now() + limit;
        loop {
            match self.try_ask::<R::Response>(&header, frame.clone(), deadline).await {
                Ok(mut answer) => {
                    if !answer.is_not_controller() {
                        return Ok(answer);
                    }
                }
                Err(error) => tracing::debug!(api = %R::KEY, %error, "the controller is asked again"),
            }
            if Instant::now() + PAUSE >= deadline {
                return Err(ChannelError::Timeout(limit));
            }
            sleep(PAUSE).await;
        }
    }

    async fn try_ask<A: Response>(
        &self,
        header: &RequestHeader,
        frame: Bytes,
        deadline: Instant,
    ) -> Result<A, TryError> {
        let mut answer = if self.controller.is_active() {
            timeout_at(deadline, self.ask_local(header, frame)).await.map_err(|_| TryError::Local)??
        } else {
            self.ask_remote(&frame, deadline).await?
        };
        split_response_header(header.key, header.version, &mut answer)?;
        Ok(A::decode(answer.freeze(), header.version)?)
    }

    /// The answer of the leader on another node to a whole frame; without its length, with its header.
    pub(super) async fn ask_remote(&self, frame: &[u8], deadline: Instant) -> Result<BytesMut, TryError> {
        let leader = self.controller.image().controller_id();
        let peer = self.peers.as_ref().and_then(|peers| peers.voter(leader)).ok_or(TryError::NoLeader)?;
        if leader == BrokerId::NONE || self.peers.as_ref().is_some_and(|peers| peers.own() == leader) {
            // It has been elected, and has not applied all yet.
            return Err(TryError::NoLeader);
        }
        let limit = deadline.saturating_duration_since(Instant::now()).min(TRY_MAX);
        Ok(self.links.exchange(&address(&peer), frame, limit).await?)
    }

    async fn ask_local(&self, header: &RequestHeader, mut frame: Bytes) -> Result<BytesMut, TryError> {
        frame.advance(FRAME_PREFIX_LEN);
        let mut body = BytesMut::from(&frame[..]);
        RequestHeader::split_from(&mut body)?;
        let apis = self.local.get().ok_or(TryError::Local)?;
        let api = apis.iter().find(|api| api.key() == header.key).ok_or(TryError::Local)?;
        let context = RequestContext {
            connection: Arc::new(ConnectionInfo::local()),
            version: header.version,
            correlation_id: header.correlation_id,
            client_id: header.client_id.clone(),
            began_at: Instant::now(),
        };
        let answer = match api.call(context, body) {
            Reply::Ready(answer) => answer,
            Reply::Parked(future) | Reply::Ordered(future) => future.await,
            Reply::Silent | Reply::Close => return Err(TryError::Local),
        };
        let mut answer = flat(&answer.map_err(|_| TryError::Local)?);
        answer.advance(FRAME_PREFIX_LEN);
        Ok(answer)
    }
}

/// An answer without file slices, as one run of bytes.
pub(crate) fn flat(answer: &Answer) -> BytesMut {
    let mut bytes = BytesMut::with_capacity(answer.len);
    for segment in &answer.segments {
        if let Segment::Bytes(segment) = segment {
            bytes.extend_from_slice(segment);
        }
    }
    bytes
}

fn client_id() -> StrBytes {
    StrBytes::from_static_str("ottla-broker")
}

/// The version that controllers are asked in: the newest, or the newest that the message crate knows.
pub(crate) const fn version(key: ApiKey) -> i16 {
    match key {
        ApiKey::BrokerHeartbeat => 1,
        key => key.spec().max,
    }
}
