//! The series of one API, held where requests are answered: no look-up by label on the way of a request.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Gauge};
use ottla_protocol::{ApiKey, ErrorCode};
use parking_lot::Mutex;

use super::catalogue::{PARKED, REQUEST_BYTES, REQUEST_ERRORS, REQUESTS, RESPONSE_BYTES};
use super::histogram::Histogram;
use super::metrics::Registry;

/// One API's series.
pub struct ApiMetrics {
    api: ApiKey,
    pub requests: Counter,
    pub request_bytes: Counter,
    pub response_bytes: Counter,
    pub latency: Histogram,
    parked: Gauge,
    errors: Mutex<BTreeMap<ErrorCode, Counter>>,
    registry: Arc<Registry>,
}

impl ApiMetrics {
    pub(super) fn new(api: ApiKey, registry: &Arc<Registry>) -> Self {
        let labels = [("api", api.spec().name)];
        Self {
            api,
            requests: registry.counter(REQUESTS, &labels),
            request_bytes: registry.counter(REQUEST_BYTES, &labels),
            response_bytes: registry.counter(RESPONSE_BYTES, &labels),
            latency: Histogram::default(),
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

    /// A request of `bytes` has come in.
    pub fn received(&self, bytes: usize) {
        self.request_bytes.increment(wide(bytes));
    }

    /// Its answer of `bytes` is there, `took` after the request was read.
    pub fn answered(&self, took: Duration, bytes: usize) {
        self.requests.increment(1);
        self.response_bytes.increment(wide(bytes));
        self.latency.record(took);
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
