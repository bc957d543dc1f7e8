//! Bytes per second: what was spent must be paid back by time before more is.

use std::time::{Duration, Instant};

/// A rate may change meanwhile.
const LOOK_AGAIN_SECS: f64 = 60.0;
/// Who comes later than he might, by so much at most, has the rest to spend: else every wait would be longer than it must
/// be, and the rate lower than was set.
const CREDIT_SECS: f64 = 0.1;

/// All that is copied together.
#[derive(Debug)]
pub(crate) struct Throttle {
    /// Less than nothing is a credit.
    debt_bytes: f64,
    paid_until: Instant,
}

impl Throttle {
    pub(crate) fn new(now: Instant) -> Self {
        Self { debt_bytes: 0.0, paid_until: now }
    }

    pub(crate) fn spend(&mut self, bytes: u64) {
        self.debt_bytes += bytes as f64;
    }

    /// Whether everything is paid back at this rate.
    pub(crate) fn may_go_on(&mut self, bytes_per_second: i64, now: Instant) -> bool {
        let rate = bytes_per_second as f64;
        let paid = now.duration_since(self.paid_until).as_secs_f64() * rate;
        self.debt_bytes = (self.debt_bytes - paid).max(-CREDIT_SECS * rate);
        self.paid_until = now;
        self.debt_bytes <= 0.0
    }

    /// How long it takes until everything is paid back at this rate.
    pub(crate) fn due_in(&mut self, bytes_per_second: i64, now: Instant) -> Duration {
        if self.may_go_on(bytes_per_second, now) {
            return Duration::ZERO;
        }
        let seconds = self.debt_bytes / (bytes_per_second as f64).max(1.0);
        Duration::from_secs_f64(seconds.min(LOOK_AGAIN_SECS))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn bytes_are_paid_back_by_time_at_the_rate_of_the_moment() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut throttle = Throttle::new(start);
        assert!(throttle.may_go_on(1_000, at(0)));
        throttle.spend(2_000);
        assert!(!throttle.may_go_on(1_000, at(0)));
        assert!(!throttle.may_go_on(1_000, at(1_000)));
        assert_eq!(throttle.due_in(1_000, at(1_000)), Duration::from_secs(1));
        assert!(throttle.may_go_on(2_000, at(1_600)), "the rest at twice the rate");
        throttle.spend(1 << 40);
        assert!(throttle.may_go_on(i64::MAX, at(1_601)), "no limit");
        assert!(throttle.may_go_on(1_000, at(1_601)));
        throttle.spend(2_000);
        assert!(!throttle.may_go_on(1_000, at(1_601)), "what no limit gave is no credit afterwards");
    }

    #[test]
    fn the_rate_is_what_was_set_though_everybody_comes_a_little_late() {
        let start = Instant::now();
        let (mut throttle, mut now, mut spent) = (Throttle::new(start), start, 0);
        while now < start + Duration::from_secs(20) {
            now += throttle.due_in(1_000_000, now) + Duration::from_millis(40);
            if throttle.may_go_on(1_000_000, now) {
                throttle.spend(100_000);
                spent += 100_000;
            }
        }
        assert!((19_800_000..=20_200_000).contains(&spent), "{spent}");
        now += Duration::from_secs(1_000);
        let mut burst = 0;
        while throttle.may_go_on(1_000_000, now) {
            throttle.spend(100_000);
            burst += 100_000;
        }
        assert!(burst <= 200_000, "{burst} at once after a pause");
    }
}
