//! Requests that took too long, in the log with where their time went.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use metrics::Counter;
use ottla_protocol::ApiKey;
use parking_lot::Mutex;

use super::catalogue::REQUESTS_SLOW;
use super::metrics::Registry;

/// Where everything is slow, the log must not make it slower.
const LINES_PER_SECOND: u32 = 10;

/// A request that took too long.
#[derive(Clone, Copy, Debug)]
pub struct SlowRequest {
    pub api: ApiKey,
    pub correlation_id: i32,
    pub peer: SocketAddr,
    pub queue: Duration,
    pub local: Duration,
    pub remote: Duration,
    pub send: Duration,
}

/// Counts all of them and logs some of each second.
pub struct SlowLog {
    counter: Counter,
    second: Mutex<(Instant, u32)>,
}

impl SlowLog {
    pub(super) fn new(registry: &Registry, now: Instant) -> Self {
        Self { counter: registry.counter(REQUESTS_SLOW, &[]), second: Mutex::new((now, 0)) }
    }

    /// A request was slow.
    pub fn report(&self, request: &SlowRequest) {
        self.counter.increment(1);
        if !self.may_log(Instant::now()) {
            return;
        }
        let ms = |phase: Duration| u64::try_from(phase.as_millis()).unwrap_or(u64::MAX);
        tracing::warn!(
            api = request.api.spec().name,
            correlation_id = request.correlation_id,
            peer = %request.peer,
            queue_ms = ms(request.queue),
            local_ms = ms(request.local),
            remote_ms = ms(request.remote),
            send_ms = ms(request.send),
            "slow request"
        );
    }

    fn may_log(&self, now: Instant) -> bool {
        let mut second = self.second.lock();
        if now.saturating_duration_since(second.0) >= Duration::from_secs(1) {
            *second = (now, 0);
        }
        second.1 += 1;
        second.1 <= LINES_PER_SECOND
    }
}

impl std::fmt::Debug for SlowLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SlowLog").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_lines_of_a_second_are_logged() {
        let now = Instant::now();
        let log = SlowLog::new(&Registry::new(), now);
        let logged = |at: Duration| (0..25).filter(|_| log.may_log(now + at)).count();
        assert_eq!(logged(Duration::from_millis(5)), 10);
        assert_eq!(logged(Duration::from_millis(999)), 0);
        assert_eq!(logged(Duration::from_millis(1_005)), 10);
    }
}
