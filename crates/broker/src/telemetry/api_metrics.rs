//! The series of one API, held where requests are answered: no look-up by label on the way of a request.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use metrics::{Counter, Gauge};
use ottla_protocol::{ApiKey, ErrorCode};
use parking_lot::Mutex;

use super::catalogue::{
    PARKED, REQUEST_BYTES, REQUEST_ERRORS, REQUEST_PHASE_SECONDS, REQUEST_SECONDS, REQUESTS, RESPONSE_BYTES,
};
use super::histogram::{Counts, Histogram};
use super::metrics::Registry;
use super::quantiles::{Recent, Times};
use super::sharded::Sharded;

/// One API's series.
pub struct ApiMetrics {
    api: ApiKey,
    /// Brought up to date by a scrape.
    requests: Counter,
    request_bytes: Counter,
    response_bytes: Counter,
    counted: Sharded<Counted>,
    recent: Mutex<Recent>,
    parked: Gauge,
    errors: Mutex<BTreeMap<ErrorCode, Counter>>,
    registry: Arc<Registry>,
}

/// What each request adds to.
#[derive(Debug, Default)]
struct Counted {
    request_bytes: AtomicU64,
    response_bytes: AtomicU64,
    queue: Histogram,
    /// Of requests that were answered where they were processed: all of their time was local. Most requests are such,
    /// and cost one histogram instead of three.
    at_once: Histogram,
    waited: Waited,
    /// Of those whose clients were asked to wait.
    throttle: Histogram,
    send: Histogram,
}

/// Of requests whose answer waited for others.
#[derive(Debug, Default)]
struct Waited {
    local: Histogram,
    remote: Histogram,
    total: Histogram,
}

/// The names of what [`ApiMetrics::phases`] gives.
const PHASES: [&str; 5] = ["queue", "local", "remote", "throttle", "send"];

impl ApiMetrics {
    pub(super) fn new(api: ApiKey, registry: &Arc<Registry>) -> Self {
        let labels = [("api", api.spec().name)];
        Self {
            api,
            requests: registry.counter(REQUESTS, &labels),
            request_bytes: registry.counter(REQUEST_BYTES, &labels),
            response_bytes: registry.counter(RESPONSE_BYTES, &labels),
            counted: Sharded::default(),
            recent: Mutex::new(Recent::new(Instant::now())),
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
        let counted = self.counted.mine();
        counted.request_bytes.fetch_add(wide(bytes), Ordering::Relaxed);
        counted.queue.record(queued);
    }

    /// Its answer of `bytes` is there, `took` after its turn began.
    pub fn answered(&self, took: Duration, bytes: usize) {
        let counted = self.counted.mine();
        counted.response_bytes.fetch_add(wide(bytes), Ordering::Relaxed);
        counted.at_once.record(took);
    }

    /// The same of an answer that has waited: `local` is how long the request was processed before it did.
    pub fn answered_late(&self, local: Duration, took: Duration, bytes: usize) {
        let counted = self.counted.mine();
        counted.response_bytes.fetch_add(wide(bytes), Ordering::Relaxed);
        counted.waited.local.record(local);
        counted.waited.remote.record(took.saturating_sub(local));
        counted.waited.total.record(took);
    }

    /// Its answer asks the client to wait for so long.
    pub fn throttled(&self, wait: Duration) {
        self.counted.mine().throttle.record(wait);
    }

    /// The socket has taken an answer, `took` after it was there.
    pub fn sent(&self, took: Duration) {
        self.counted.mine().send.record(took);
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

    /// Brings the counters up to date.
    pub(super) fn settle(&self) {
        let sum = |of: fn(&Counted) -> &AtomicU64| {
            self.counted.all().map(|counted| of(counted).load(Ordering::Relaxed)).sum()
        };
        self.request_bytes.absolute(sum(|counted| &counted.request_bytes));
        self.response_bytes.absolute(sum(|counted| &counted.response_bytes));
        self.requests.absolute(self.durations().total());
    }

    fn durations(&self) -> Counts {
        self.sum(|counted| &counted.at_once).and(self.sum(|counted| &counted.waited.total))
    }

    fn sum(&self, of: fn(&Counted) -> &Histogram) -> Counts {
        let shards = self.counted.all().map(|counted| of(counted).counts());
        shards.fold(Counts::default(), Counts::and)
    }

    pub(super) fn render_duration(&self, out: &mut String) {
        self.durations().render(out, REQUEST_SECONDS.name, &format!("api=\"{}\"", self.api.spec().name));
    }

    pub(super) fn render_phases(&self, out: &mut String) {
        for (phase, counts) in PHASES.into_iter().zip(self.phases()) {
            let labels = format!("api=\"{}\",phase=\"{phase}\"", self.api.spec().name);
            counts.render(out, REQUEST_PHASE_SECONDS.name, &labels);
        }
    }

    /// The API's name, and its times: all, and those of late.
    pub(super) fn times(&self, now: Instant) -> (&'static str, Times, Times) {
        let [queue, local, remote, throttle, send] = self.phases();
        let all = [self.durations(), queue, local, remote, throttle, send];
        (self.api.spec().name, all, self.recent.lock().of(&all, now))
    }

    fn phases(&self) -> [Counts; PHASES.len()] {
        let at_once = self.sum(|counted| &counted.at_once);
        let throttled = self.sum(|counted| &counted.throttle);
        let unthrottled = self.durations().total().saturating_sub(throttled.total());
        [
            self.sum(|counted| &counted.queue),
            at_once.and(self.sum(|counted| &counted.waited.local)),
            Counts::zeros(at_once.total()).and(self.sum(|counted| &counted.waited.remote)),
            Counts::zeros(unthrottled).and(throttled),
            self.sum(|counted| &counted.send),
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
