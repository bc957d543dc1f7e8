//! An answer with what its request took until it was there.

use std::sync::Arc;
use std::time::Duration;

use ottla_protocol::ApiKey;
use tokio::time::Instant;

use super::{Answer, Closed, Reply};
use crate::telemetry::ApiMetrics;

/// An answer on its way to the socket.
#[derive(Debug)]
pub(crate) struct Finished {
    pub answer: Answer,
    pub request: FinishedRequest,
}

/// Where the time of an answered request went.
#[derive(Debug)]
pub(crate) struct FinishedRequest {
    pub metrics: Arc<ApiMetrics>,
    pub correlation_id: i32,
    /// From the last byte of the request to its turn.
    pub queue: Duration,
    /// From its turn until it was answered or began to wait.
    pub local: Duration,
    /// From then until it was answered.
    pub remote: Duration,
    pub answered_at: Instant,
}

impl FinishedRequest {
    /// The time that is ours, with `send` for the socket: what a client asked to wait for is not.
    pub(crate) fn ours(&self, send: Duration) -> Duration {
        let waits_for_others = matches!(
            self.metrics.key(),
            ApiKey::Fetch | ApiKey::JoinGroup | ApiKey::SyncGroup | ApiKey::ConsumerGroupHeartbeat
        );
        let remote = if waits_for_others { Duration::ZERO } else { self.remote };
        self.queue + self.local + remote + send
    }
}

/// A request in its turn.
pub(super) struct Turn {
    pub(super) metrics: Arc<ApiMetrics>,
    pub(super) correlation_id: i32,
    pub(super) queue: Duration,
    pub(super) began_at: Instant,
}

impl Turn {
    /// Counts the request's time once its answer is there: now or later.
    pub(super) fn measure(self, reply: Reply<Result<Answer, Closed>>) -> Reply<Result<Finished, Closed>> {
        let local_ended_at = Instant::now();
        let local = local_ended_at - self.began_at;
        match reply {
            Reply::Ready(answer) => {
                self.metrics.answered(local, answer.as_ref().map_or(0, |answer| answer.len));
                Reply::Ready(answer.map(|answer| self.finished(answer, local, local_ended_at)))
            }
            Reply::Silent => {
                self.metrics.answered(local, 0);
                Reply::Silent
            }
            Reply::Close => {
                self.metrics.answered(local, 0);
                Reply::Close
            }
            waiting => {
                let parked = self.metrics.park();
                waiting.map(move |answer| {
                    drop(parked);
                    let now = Instant::now();
                    let len = answer.as_ref().map_or(0, |answer| answer.len);
                    self.metrics.answered_late(local, now - self.began_at, len);
                    answer.map(|answer| self.finished(answer, local, now))
                })
            }
        }
    }

    fn finished(self, answer: Answer, local: Duration, answered_at: Instant) -> Finished {
        let request = FinishedRequest {
            remote: (answered_at - self.began_at).saturating_sub(local),
            metrics: self.metrics,
            correlation_id: self.correlation_id,
            queue: self.queue,
            local,
            answered_at,
        };
        Finished { answer, request }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Metrics;

    #[test]
    fn what_a_client_asked_to_wait_for_is_not_ours() {
        let metrics = Metrics::new(std::time::Instant::now());
        let ours = |api| {
            let request = FinishedRequest {
                metrics: Arc::clone(metrics.api(api)),
                correlation_id: 1,
                queue: Duration::from_millis(1),
                local: Duration::from_millis(20),
                remote: Duration::from_millis(300),
                answered_at: Instant::now(),
            };
            request.ours(Duration::from_millis(4_000)).as_millis()
        };
        assert_eq!(
            [ours(ApiKey::Produce), ours(ApiKey::Fetch), ours(ApiKey::JoinGroup)],
            [4_321, 4_021, 4_021]
        );
    }
}
