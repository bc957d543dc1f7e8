//! The series of one API, held where requests are answered: no look-up by label on the way of a request.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Gauge};
use ottla_protocol::{ApiKey, ErrorCode};
use parking_lot::Mutex;

use super::catalogue::{
    PARKED, REQUEST_BYTES, REQUEST_ERRORS, REQUEST_PHASE_SECONDS, REQUEST_SECONDS, REQUESTS, RESPONSE_BYTES,
};
use super::histogram::{Counts, Histogram};
use super::metrics::Registry;

/// One API's series.
pub struct ApiMetrics {
    api: ApiKey,
    requests: Counter,
    request_bytes: Counter,
    response_bytes: Counter,
    queue: Histogram,
    /// Of requests that were answered where they were processed: all of their time was local. Most requests are such,
    /// and cost one histogram instead of three.
    at_once: Histogram,
    waited: Waited,
    send: Histogram,
    parked: Gauge,
    errors: Mutex<BTreeMap<ErrorCode, Counter>>,
    registry: Arc<Registry>,
}

/// Of requests whose answer waited for others.
#[derive(Debug, Default)]
struct Waited {
    local: Histogram,
    remote: Histogram,
    total: Histogram,
}

/// The names of what [`ApiMetrics::phases`] gives.
const PHASES: [&str; 4] = ["queue", "local", "remote", "send"];

impl ApiMetrics {
    pub(super) fn new(api: ApiKey, registry: &Arc<Registry>) -> Self {
        let labels = [("api", api.spec().name)];
        Self {
            api,
            requests: registry.counter(REQUESTS, &labels),
            request_bytes: registry.counter(REQUEST_BYTES, &labels),
            response_bytes: registry.counter(RESPONSE_BYTES, &labels),
            queue: Histogram::default(),
            at_once: Histogram::default(),
            waited: Waited::default(),
            send: Histogram::default(),
            parked: registry.gauge(PARKED, &labels),
            errors: Mutex::default(),
            registry: Arc::clone(registry),
        }
    }

    /// Which API.
    #[must_use]
    pub const fn key(&self) -> ApiKey {
        self.api
    }

    /// A request of `bytes` has come to its turn, `queued` after it had come in whole.
    pub fn received(&self, bytes: usize, queued: Duration) {
        self.request_bytes.increment(wide(bytes));
        self.queue.record(queued);
    }

    /// Its answer of `bytes` is there, `took` after its turn began.
    pub fn answered(&self, took: Duration, bytes: usize) {
        self.requests.increment(1);
        self.response_bytes.increment(wide(bytes));
        self.at_once.record(took);
    }

    /// The same of an answer that has waited: `local` is how long the request was processed before it did.
    pub fn answered_late(&self, local: Duration, took: Duration, bytes: usize) {
        self.requests.increment(1);
        self.response_bytes.increment(wide(bytes));
        self.waited.local.record(local);
        self.waited.remote.record(took.saturating_sub(local));
        self.waited.total.record(took);
    }

    /// The socket has taken an answer, `took` after it was there.
    pub fn sent(&self, took: Duration) {
        self.send.record(took);
    }

    /// A request waits for its answer until the result is dropped.
    #[must_use]
    pub fn park(&self) -> ParkedRequest {
        self.parked.increment(1.0);
        ParkedRequest(self.parked.clone())
    }

    /// An answer carried this error.
    pub fn error(&self, code: ErrorCode) {
        if code == ErrorCode::None {
            return;
        }
        let mut errors = self.errors.lock();
        let counter = errors.entry(code).or_insert_with(|| {
            let error = code.name();
            self.registry.counter(REQUEST_ERRORS, &[("api", self.api.spec().name), ("error", error)])
        });
        counter.increment(1);
    }

    pub(super) fn render_duration(&self, out: &mut String) {
        let total = self.at_once.counts().and(self.waited.total.counts());
        total.render(out, REQUEST_SECONDS.name, &format!("api=\"{}\"", self.api.spec().name));
    }

    pub(super) fn render_phases(&self, out: &mut String) {
        for (phase, counts) in PHASES.into_iter().zip(self.phases()) {
            let labels = format!("api=\"{}\",phase=\"{phase}\"", self.api.spec().name);
            counts.render(out, REQUEST_PHASE_SECONDS.name, &labels);
        }
    }

    fn phases(&self) -> [Counts; PHASES.len()] {
        let at_once = self.at_once.counts();
        [
            self.queue.counts(),
            at_once.and(self.waited.local.counts()),
            Counts::zeros(at_once.total()).and(self.waited.remote.counts()),
            self.send.counts(),
        ]
    }
}

/// One request that waits; it no longer does when this is dropped.
pub struct ParkedRequest(Gauge);

impl Drop for ParkedRequest {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

impl std::fmt::Debug for ParkedRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParkedRequest").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ApiMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiMetrics").field("api", &self.api).finish_non_exhaustive()
    }
}

pub(super) fn wide(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
