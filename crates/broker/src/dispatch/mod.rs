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
    /// When its turn came.
    pub began_at: Instant,
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

    /// Takes one frame (without its length prefix), whose last byte came in at `received_at` and whose turn it is `now`,
    /// to its answer.
    pub(crate) fn dispatch(
        &self,
        connection: &Arc<ConnectionInfo>,
        mut frame: BytesMut,
        received_at: Instant,
        now: Instant,
    ) -> Reply<Result<Finished, Closed>> {
        let frame_len = frame.len();
        if let Some(peers) = &self.peers
            && let Some((correlation_id, body)) = split_peer_request(&frame)
        {
            // What voters say to each other counts as what Kafka's say.
            let turn = self.turn(ApiKey::Vote, correlation_id, frame_len, received_at, now);
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
                let turn = self.turn(header.key, header.correlation_id, frame_len, received_at, now);
                return turn.measure(reply);
            }
            return Reply::Ready(Err(Closed::UnsupportedVersion {
                key: header.key,
                version: header.version,
            }));
        }
        let turn = self.turn(header.key, header.correlation_id, frame_len, received_at, now);
        let span = span(connection, &header);
        let context = RequestContext {
            connection: Arc::clone(connection),
            version: header.version,
            correlation_id: header.correlation_id,
            client_id: header.client_id,
            began_at: now,
        };
        let reply = span.in_scope(|| api.call(context, frame));
        turn.measure(reply.instrumented(span))
    }

    /// One look at the clock serves the end of a request and the beginning of the next.
    fn turn(
        &self,
        key: ApiKey,
        correlation_id: i32,
        frame_len: usize,
        received_at: Instant,
        began_at: Instant,
    ) -> Turn<'_> {
        let metrics = self.metrics.api(key);
        let queue = began_at.saturating_duration_since(received_at);
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

#[cfg(test)]
mod tests {
    use bytes::Buf as _;
    use ottla_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
    use ottla_protocol::{FRAME_PREFIX_LEN, encode_request};
    use parking_lot::Mutex;
    use tracing_subscriber::EnvFilter;

    use super::*;

    /// Says something in its turn, and something later.
    struct Talks;

    impl Handler for Talks {
        type Request = ApiVersionsRequest;

        fn handle(&self, _: &RequestContext, _: ApiVersionsRequest) -> Reply<ApiVersionsResponse> {
            tracing::info!("in its turn");
            Reply::parked(async {
                tracing::info!("later");
                ApiVersionsResponse::default()
            })
        }
    }

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What is logged of one request.
    fn logged(filter: &str) -> Vec<String> {
        let lines = Lines::default();
        let of_log = lines.clone();
        let log = tracing_subscriber::fmt().with_env_filter(EnvFilter::new(filter)).with_ansi(false);
        let log = log.with_writer(move || of_log.clone()).finish();
        let metrics = Arc::new(Metrics::new(std::time::Instant::now()));
        let dispatcher = Dispatcher::new(vec![Arc::new(Typed(Talks))], metrics);
        let client_id = Some(StrBytes::from_static_str("me"));
        let header = RequestHeader { key: ApiKey::ApiVersions, version: 0, correlation_id: 4_711, client_id };
        let mut frame = BytesMut::from(&encode_request(&header, &ApiVersionsRequest::default()).unwrap()[..]);
        frame.advance(FRAME_PREFIX_LEN);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        tracing::subscriber::with_default(log, || {
            let (connection, now) = (Arc::new(ConnectionInfo::local()), Instant::now());
            let reply = dispatcher.dispatch(&connection, frame, now, now);
            runtime.block_on(reply.answer()).unwrap().unwrap();
        });
        let text = String::from_utf8(lines.0.lock().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn what_is_logged_while_a_request_is_processed_names_it() {
        let lines = logged("info,ottla::request=debug");
        assert_eq!(lines.len(), 2, "{lines:?}");
        for (line, said) in lines.iter().zip(["in its turn", "later"]) {
            assert!(line.ends_with(said), "{line}");
            for field in ["api=\"ApiVersions\"", "correlation_id=4711", "client_id=\"me\""] {
                assert!(line.contains(field), "no {field} in {line}");
            }
        }
        let lines = logged("info");
        assert!(lines.len() == 2 && !lines.iter().any(|line| line.contains("4711")), "{lines:?}");
    }
}
