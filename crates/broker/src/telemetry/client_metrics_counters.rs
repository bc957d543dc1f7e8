//! The series about clients' own metrics (KIP-714): who asks and pushes, and what became of it.

use metrics::{Counter, Gauge};
use ottla_protocol::ErrorCode;

use super::catalogue as names;
use super::metrics::Registry;

/// Why a data point that a client pushed is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PointDropped {
    /// There are as many series as there may be.
    Series,
    /// Its labels are too long.
    Labels,
    /// It is no number: a histogram, a summary.
    Kind,
}

impl PointDropped {
    /// All there are, in the order of their places.
    pub const ALL: [Self; 3] = [Self::Series, Self::Labels, Self::Kind];

    /// Its place in [`Self::ALL`].
    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Series => "series_max",
            Self::Labels => "labels_length",
            Self::Kind => "kind",
        }
    }
}

/// What a push is answered with.
const ANSWERS: [ErrorCode; 7] = [
    ErrorCode::None,
    ErrorCode::InvalidRequest,
    ErrorCode::ThrottlingQuotaExceeded,
    ErrorCode::UnknownSubscriptionId,
    ErrorCode::UnsupportedCompressionType,
    ErrorCode::TelemetryTooLarge,
    ErrorCode::InvalidRecord,
];

/// Handles, which a clone shares.
#[derive(Clone)]
pub struct ClientMetricsCounters {
    pub instances: Gauge,
    pub series: Gauge,
    /// Clients that asked before their interval had passed.
    pub throttled: Counter,
    pushes: [Counter; ANSWERS.len()],
    dropped: [Counter; PointDropped::ALL.len()],
}

impl ClientMetricsCounters {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            instances: registry.gauge(names::CLIENT_INSTANCES, &[]),
            series: registry.gauge(names::CLIENT_SERIES, &[]),
            throttled: registry.counter(names::CLIENT_THROTTLED, &[]),
            pushes: ANSWERS.map(|answer| registry.counter(names::CLIENT_PUSHES, &[("error", answer.name())])),
            dropped: PointDropped::ALL
                .map(|why| registry.counter(names::CLIENT_POINTS_DROPPED, &[("reason", why.name())])),
        }
    }

    /// A push was answered.
    pub fn pushed(&self, answer: ErrorCode) {
        if let Some(at) = ANSWERS.iter().position(|known| *known == answer) {
            self.pushes[at].increment(1);
        }
    }

    /// So many data points of a push are not shown.
    pub fn dropped(&self, why: PointDropped, points: u64) {
        self.dropped[why.index()].increment(points);
    }
}

impl std::fmt::Debug for ClientMetricsCounters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientMetricsCounters").finish_non_exhaustive()
    }
}
