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
    pub api: ApiKey,
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
            self.api,
            ApiKey::Fetch | ApiKey::JoinGroup | ApiKey::SyncGroup | ApiKey::ConsumerGroupHeartbeat
        );
        let remote = if waits_for_others { Duration::ZERO } else { self.remote };
        self.queue + self.local + remote + send
    }
}

/// A request in its turn.
pub(super) struct Turn<'a> {
    pub(super) metrics: &'a Arc<ApiMetrics>,
    pub(super) correlation_id: i32,
    pub(super) queue: Duration,
    pub(super) began_at: Instant,
}

impl Turn<'_> {
    /// Counts the request's time once its answer is there: now or later.
    pub(super) fn measure(self, reply: Reply<Result<Answer, Closed>>) -> Reply<Result<Finished, Closed>> {
        let local_ended_at = Instant::now();
        let local = local_ended_at - self.began_at;
        let request = FinishedRequest {
            api: self.metrics.key(),
            correlation_id: self.correlation_id,
            queue: self.queue,
            local,
            remote: Duration::ZERO,
            answered_at: local_ended_at,
        };
        match reply {
            Reply::Ready(answer) => {
                self.metrics.answered(local, answer.as_ref().map_or(0, |answer| answer.len));
                Reply::Ready(answer.map(|answer| Finished { answer, request }))
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
                let (metrics, parked) = (Arc::clone(self.metrics), self.metrics.park());
                waiting.map(move |answer| {
                    drop(parked);
                    let now = Instant::now();
                    let remote = now - local_ended_at;
                    metrics.answered_late(
                        local,
                        local + remote,
                        answer.as_ref().map_or(0, |answer| answer.len),
                    );
                    let request = FinishedRequest { remote, answered_at: now, ..request };
                    answer.map(|answer| Finished { answer, request })
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_asked_to_wait_for_is_not_ours() {
        let ours = |api| {
            let request = FinishedRequest {
                api,
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
