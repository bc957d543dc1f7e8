//! Bytes per second: what was spent must be paid back by time before more is.

use std::time::Instant;

/// All copies together.
#[derive(Debug)]
pub(super) struct Throttle {
    debt_bytes: f64,
    paid_until: Instant,
}

impl Throttle {
    pub(super) fn new(now: Instant) -> Self {
        Self { debt_bytes: 0.0, paid_until: now }
    }

    pub(super) fn spend(&mut self, bytes: u64) {
        self.debt_bytes += bytes as f64;
    }

    /// Whether everything is paid back at this rate.
    pub(super) fn may_go_on(&mut self, bytes_per_second: i64, now: Instant) -> bool {
        let paid = now.duration_since(self.paid_until).as_secs_f64() * bytes_per_second as f64;
        self.debt_bytes = (self.debt_bytes - paid).max(0.0);
        self.paid_until = now;
        self.debt_bytes == 0.0
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
        assert!(throttle.may_go_on(2_000, at(1_600)), "the rest at twice the rate");
        throttle.spend(1 << 40);
        assert!(throttle.may_go_on(i64::MAX, at(1_601)), "no limit");
    }
}
