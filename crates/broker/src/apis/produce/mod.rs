//! Produce: append each partition's batch in place, then wait for what `acks` asks. The hot path: an API of its own on
//! the frame's bytes.

mod append;
mod refusal;
mod respond;

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use ottla_protocol::ApiKey;
use ottla_protocol::produce::ProduceRequest;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::clock::Clock;
use crate::dispatch::{Answer, Api, Closed, Reply, RequestContext, encoded};
use crate::metadata_view::MetadataView;
use crate::partitions::opening::{OPENING_WAIT, all_over};
use crate::partitions::{Acks, Flusher, Partitions};
use crate::telemetry::Metrics;
use append::Batches;
use respond::Answers;

/// Serves producers.
#[derive(Clone, Debug)]
pub(crate) struct Produce {
    pub partitions: Arc<Partitions>,
    pub flusher: Arc<Flusher>,
    pub view: Arc<MetadataView>,
    pub metrics: Arc<Metrics>,
    pub clock: Clock,
}

impl Api for Produce {
    fn key(&self) -> ApiKey {
        ApiKey::Produce
    }

    fn call(&self, mut context: RequestContext, body: BytesMut) -> Reply<Result<Answer, Closed>> {
        let request = match ProduceRequest::decode(body, context.version) {
            Ok(request) => request,
            Err(error) => return Reply::Ready(Err(error.into())),
        };
        let deadline =
            context.began_at + Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
        context.client_id = None;
        let openings = self.partitions.opening(append::named(&request, context.version));
        if openings.is_empty() || request.acks == 0 {
            return self.process(context, request, deadline);
        }
        let handler = self.clone();
        Reply::ordered(async move {
            all_over(openings, deadline.min(Instant::now() + OPENING_WAIT)).await;
            handler.process(context, request, deadline).answer().await.unwrap_or(Err(Closed::Unanswerable))
        })
    }
}

impl Produce {
    fn process(
        &self,
        context: RequestContext,
        request: ProduceRequest,
        deadline: Instant,
    ) -> Reply<Result<Answer, Closed>> {
        let acks = acks(request.acks);
        let mut answers = Batches { handler: self, version: context.version, acks }.append(request);
        match acks {
            Some(Acks::None) if answers.has_error() => Reply::Ready(Err(Closed::Unanswerable)),
            Some(Acks::None) => Reply::Silent,
            _ if answers.is_complete() => Reply::Ready(finish(&context, answers, &self.view)),
            _ => {
                // The records are in the log: what waits must not keep the frame's memory.
                answers.let_go_of_frame();
                Reply::parked(wait(context, answers, deadline, Arc::clone(&self.view)))
            }
        }
    }
}

fn acks(number: i16) -> Option<Acks> {
    match number {
        0 => Some(Acks::None),
        1 => Some(Acks::Leader),
        -1 => Some(Acks::All),
        _ => None,
    }
}

fn finish(context: &RequestContext, answers: Answers, view: &MetadataView) -> Result<Answer, Closed> {
    let response = answers.into_response(context.version, &view.image(), &context.connection.listener);
    encoded(context.version, context.correlation_id, &response)
}

/// Waits until every partition's batch is committed or has failed, or the time is up.
async fn wait(
    context: RequestContext,
    mut answers: Answers,
    deadline: Instant,
    view: Arc<MetadataView>,
) -> Result<Answer, Closed> {
    let waiter = Arc::new(Notify::new());
    let parked = answers.park(&waiter);
    loop {
        answers.settle();
        if answers.is_complete() {
            break;
        }
        if timeout_at(deadline, waiter.notified()).await.is_err() {
            answers.settle();
            answers.time_out();
            break;
        }
    }
    drop(parked);
    finish(&context, answers, &view)
}
