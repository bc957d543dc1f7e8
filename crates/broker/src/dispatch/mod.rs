//! The one way of every request: header -> API and version -> decode -> handler -> encode -> metrics.
//!
//! A handler is one small file in `apis/` that implements [`Handler`] and is named in `apis::table`; what is in that
//! table is what ApiVersions advertises.

mod answer;
mod answer_limit;
mod connection;
mod finished;
mod handler;
mod reply;

use std::sync::{Arc, OnceLock};

use bytes::BytesMut;
use ottla_controller::Peers;
use ottla_protocol::messages::StrBytes;
use ottla_protocol::{ApiKey, RequestHeader, encode_peer_answer, split_peer_request};
use tokio::time::Instant;
use tracing::Span;

pub(crate) use answer::{Answer, Closed, encoded, of_bytes};
pub(crate) use answer_limit::AnswerLimit;
pub(crate) use connection::{ClientSoftware, ConnectionInfo};
use finished::Turn;
pub(crate) use finished::{Finished, FinishedRequest};
pub(crate) use handler::{Api, Handler, Typed};
pub(crate) use reply::{Reply, ReplyFuture};

use crate::telemetry::Metrics;

/// What a handler may know of the request beside its body.
#[derive(Clone, Debug)]
pub(crate) struct RequestContext {
    pub connection: Arc<ConnectionInfo>,
    pub version: i16,
    pub correlation_id: i32,
    pub client_id: Option<StrBytes>,
}

/// All APIs of a listener and what they share.
pub(crate) struct Dispatcher {
    /// Indexed by API key; nothing is served before they are there.
    apis: OnceLock<Vec<Option<Arc<dyn Api>>>>,
    /// Who answers other voters, on the controller's listener.
    peers: Option<Peers>,
    metrics: Arc<Metrics>,
}

impl Dispatcher {
    pub(crate) fn new(handlers: Vec<Arc<dyn Api>>, metrics: Arc<Metrics>) -> Self {
        let dispatcher = Self { apis: OnceLock::new(), peers: None, metrics };
        dispatcher.open(handlers);
        dispatcher
    }

    /// One that answers other voters, and nobody else until [`Self::open`].
    pub(crate) fn of_controller(peers: Peers, metrics: Arc<Metrics>) -> Self {
        Self { apis: OnceLock::new(), peers: Some(peers), metrics }
    }

    /// Serves these APIs from now on.
    pub(crate) fn open(&self, handlers: Vec<Arc<dyn Api>>) {
        let mut apis: Vec<Option<Arc<dyn Api>>> = Vec::new();
        for handler in handlers {
            let at = usize::try_from(handler.key().code()).unwrap_or(0);
            if apis.len() <= at {
                apis.resize_with(at + 1, || None);
            }
            apis[at] = Some(handler);
        }
        // Opened once.
        let _ = self.apis.set(apis);
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Takes one frame (without its length prefix), whose last byte came in at `received_at`, to its answer.
    pub(crate) fn dispatch(
        &self,
        connection: &Arc<ConnectionInfo>,
        mut frame: BytesMut,
        received_at: Instant,
    ) -> Reply<Result<Finished, Closed>> {
        let frame_len = frame.len();
        if let Some(peers) = &self.peers
            && let Some((correlation_id, body)) = split_peer_request(&frame)
        {
            // What voters say to each other counts as what Kafka's say.
            let turn = self.measured(ApiKey::Vote, correlation_id, frame_len, received_at);
            let peers = peers.clone();
            return turn.measure(Reply::parked(async move {
                Ok(answer::of_bytes(encode_peer_answer(correlation_id, &peers.serve(body).await)))
            }));
        }
        let header = match RequestHeader::split_from(&mut frame) {
            Ok(header) => header,
            Err(error) => return Reply::Ready(Err(error.into())),
        };
        let Some(api) = self.api(header.key) else {
            return Reply::Ready(Err(Closed::NotServed { key: header.key }));
        };
        if !header.key.spec().accepts(header.version) {
            if header.key == ApiKey::ApiVersions {
                let reply = Reply::Ready(answer::api_versions_unsupported(header.correlation_id));
                return self.turn(&header, frame_len, received_at).measure(reply);
            }
            return Reply::Ready(Err(Closed::UnsupportedVersion {
                key: header.key,
                version: header.version,
            }));
        }
        let turn = self.turn(&header, frame_len, received_at);
        let span = span(connection, &header);
        let context = RequestContext {
            connection: Arc::clone(connection),
            version: header.version,
            correlation_id: header.correlation_id,
            client_id: header.client_id,
        };
        let reply = span.in_scope(|| api.call(context, frame));
        turn.measure(reply.instrumented(span))
    }

    fn turn(&self, header: &RequestHeader, frame_len: usize, received_at: Instant) -> Turn {
        self.measured(header.key, header.correlation_id, frame_len, received_at)
    }

    fn measured(&self, key: ApiKey, correlation_id: i32, frame_len: usize, received_at: Instant) -> Turn {
        let metrics = Arc::clone(self.metrics.api(key));
        let began_at = Instant::now();
        let queue = began_at - received_at;
        metrics.received(frame_len, queue);
        Turn { metrics, correlation_id, queue, began_at }
    }

    fn api(&self, key: ApiKey) -> Option<&dyn Api> {
        self.apis.get()?.get(usize::try_from(key.code()).ok()?)?.as_deref()
    }
}

impl std::fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dispatcher")
            .field("apis", &self.apis.get().map(|apis| apis.iter().flatten().count()))
            .finish_non_exhaustive()
    }
}

/// What is logged while a request is processed says of which request, if such lines are wanted.
fn span(connection: &ConnectionInfo, header: &RequestHeader) -> Span {
    tracing::debug_span!(
        target: "ottla::request",
        "request",
        api = header.key.spec().name,
        version = header.version,
        correlation_id = header.correlation_id,
        client_id = header.client_id.as_deref().unwrap_or_default(),
        peer = %connection.peer
    )
}
