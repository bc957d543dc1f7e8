//! The one way of every request: header -> API and version -> decode -> handler -> encode -> metrics.
//!
//! A handler is one small file in `apis/` that implements [`Handler`] and is named in `apis::table`; what is in that
//! table is what ApiVersions advertises.

mod answer;
mod answer_limit;
mod handler;
mod reply;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BytesMut;
use ottla_protocol::messages::StrBytes;
use ottla_protocol::{ApiKey, RequestHeader};
use tokio::time::Instant;

pub(crate) use answer::{Answer, Closed, encoded};
pub(crate) use answer_limit::AnswerLimit;
pub(crate) use handler::{Api, Handler, Typed};
pub(crate) use reply::{Reply, ReplyFuture};

use crate::telemetry::{ApiMetrics, Metrics};

/// What is known of a connection.
#[derive(Debug)]
pub(crate) struct ConnectionInfo {
    pub peer: SocketAddr,
    /// The name of the listener it came in on.
    pub listener: Arc<str>,
}

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
    /// Indexed by API key.
    apis: Vec<Option<Box<dyn Api>>>,
    metrics: Arc<Metrics>,
}

impl Dispatcher {
    pub(crate) fn new(handlers: Vec<Box<dyn Api>>, metrics: Arc<Metrics>) -> Self {
        let mut apis: Vec<Option<Box<dyn Api>>> = Vec::new();
        for handler in handlers {
            let at = usize::try_from(handler.key().code()).unwrap_or(0);
            if apis.len() <= at {
                apis.resize_with(at + 1, || None);
            }
            apis[at] = Some(handler);
        }
        Self { apis, metrics }
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Takes one frame (without its length prefix) to its answer.
    pub(crate) fn dispatch(
        &self,
        connection: &Arc<ConnectionInfo>,
        mut frame: BytesMut,
    ) -> Reply<Result<Answer, Closed>> {
        let frame_len = frame.len();
        let header = match RequestHeader::split_from(&mut frame) {
            Ok(header) => header,
            Err(error) => return Reply::Ready(Err(error.into())),
        };
        let Some(api) = self.api(header.key) else {
            return Reply::Ready(Err(Closed::NotServed { key: header.key }));
        };
        if !header.key.spec().accepts(header.version) {
            if header.key == ApiKey::ApiVersions {
                return Reply::Ready(answer::api_versions_unsupported(header.correlation_id));
            }
            return Reply::Ready(Err(Closed::UnsupportedVersion {
                key: header.key,
                version: header.version,
            }));
        }
        let context = RequestContext {
            connection: Arc::clone(connection),
            version: header.version,
            correlation_id: header.correlation_id,
            client_id: header.client_id,
        };
        let metrics = Arc::clone(self.metrics.api(header.key));
        metrics.received(frame_len);
        let started = Instant::now();
        measured(api.call(context, frame), metrics, started)
    }

    fn api(&self, key: ApiKey) -> Option<&dyn Api> {
        self.apis.get(usize::try_from(key.code()).ok()?)?.as_deref()
    }
}

impl std::fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dispatcher")
            .field("apis", &self.apis.iter().flatten().count())
            .finish_non_exhaustive()
    }
}

/// Counts the request now and its time when its answer is there.
fn measured(
    reply: Reply<Result<Answer, Closed>>,
    metrics: Arc<ApiMetrics>,
    started: Instant,
) -> Reply<Result<Answer, Closed>> {
    if let Reply::Ready(answer) = &reply {
        metrics.answered(started.elapsed(), answer.as_ref().map_or(0, |answer| answer.len));
        return reply;
    }
    let parked = metrics.park();
    reply.map(move |answer| {
        drop(parked);
        metrics.answered(started.elapsed(), answer.as_ref().map_or(0, |answer| answer.len));
        answer
    })
}
