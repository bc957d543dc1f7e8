//! When the socket has taken which answer.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use crate::dispatch::FinishedRequest;
use crate::telemetry::{Metrics, SlowRequest};

/// The requests whose answers are on their way out, in order.
#[derive(Debug, Default)]
pub(super) struct Sends {
    /// With the number of bytes that have been sent when the answer has.
    requests: VecDeque<(u64, FinishedRequest)>,
    pushed_len: u64,
    sent_len: u64,
}

impl Sends {
    /// An answer of `len` bytes was put behind the others.
    pub(super) fn push(&mut self, request: FinishedRequest, len: usize) {
        self.pushed_len += wide(len);
        self.requests.push_back((self.pushed_len, request));
    }

    /// The socket has taken `len` more bytes. A request that took longer than `slow_after` in all is logged.
    pub(super) fn sent(
        &mut self,
        len: usize,
        slow_after: Option<Duration>,
        metrics: &Metrics,
        peer: SocketAddr,
    ) {
        if len == 0 {
            return;
        }
        self.sent_len += wide(len);
        let now = Instant::now();
        while let Some((_, request)) = self.requests.pop_front_if(|(end, _)| *end <= self.sent_len) {
            let send = now - request.answered_at;
            metrics.api(request.api).sent(send);
            if slow_after.is_some_and(|limit| request.ours(send) >= limit) {
                metrics.slow.report(&SlowRequest {
                    api: request.api,
                    correlation_id: request.correlation_id,
                    peer,
                    queue: request.queue,
                    local: request.local,
                    remote: request.remote,
                    send,
                });
            }
        }
    }
}

fn wide(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use ottla_protocol::ApiKey;

    use super::*;

    fn request(answered_at: Instant) -> FinishedRequest {
        FinishedRequest {
            api: ApiKey::Metadata,
            correlation_id: 7,
            queue: Duration::from_secs(1),
            local: Duration::from_secs(2),
            remote: Duration::ZERO,
            answered_at,
        }
    }

    fn value(metrics: &Metrics, series: &str) -> String {
        let text = metrics.render();
        text.lines().find_map(|line| line.strip_prefix(series)).unwrap_or("none").trim().to_owned()
    }

    #[test]
    fn an_answer_is_sent_with_its_last_byte() {
        let metrics = Metrics::new(std::time::Instant::now());
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let mut sends = Sends::default();
        for len in [10, 20, 30] {
            sends.push(request(Instant::now()), len);
        }
        // So that there is one to look at before.
        metrics.api(ApiKey::Metadata);
        let sent = "ottla_request_phase_seconds_count{api=\"Metadata\",phase=\"send\"}";
        for (len, expected) in [(9, "0"), (1, "1"), (49, "2"), (0, "2"), (1, "3")] {
            sends.sent(len, None, &metrics, peer);
            assert_eq!(value(&metrics, sent), expected, "after {len} more");
        }
        assert_eq!(value(&metrics, "ottla_requests_slow_total"), "0");
    }

    #[test]
    fn a_slow_request_is_counted_once() {
        let metrics = Metrics::new(std::time::Instant::now());
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let mut sends = Sends::default();
        for (limit_s, expected) in [(4, "0"), (3, "1")] {
            sends.push(request(Instant::now()), 5);
            sends.sent(5, Some(Duration::from_secs(limit_s)), &metrics, peer);
            assert_eq!(value(&metrics, "ottla_requests_slow_total"), expected, "{limit_s} s");
        }
    }
}
