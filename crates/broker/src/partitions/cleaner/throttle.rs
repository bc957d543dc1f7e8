//! `log.cleaner.io.max.bytes.per.second` over all cleaner threads.

use std::time::Duration;

use ottla_model::MonoMs;

/// No rate at all would wait for ever.
const RATE_MIN: f64 = 1.0;

/// When the bytes taken so far are paid for.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    paid_at_ms: f64,
    bytes_per_second: f64,
}

impl Throttle {
    /// Takes `bytes`; milliseconds to wait before the next.
    pub(super) fn take(&mut self, bytes: u64, bytes_per_second: f64, now: MonoMs) -> u64 {
        let now_ms = now.0 as f64;
        let bytes_per_second = bytes_per_second.max(RATE_MIN);
        // What is owed since the rate was another is paid at the one that holds now.
        let owed_ms = (self.paid_at_ms - now_ms).max(0.0) * (self.bytes_per_second / bytes_per_second);
        self.bytes_per_second = bytes_per_second;
        self.paid_at_ms = now_ms + owed_ms + bytes as f64 * 1000.0 / bytes_per_second;
        let wait_ms = self.paid_at_ms - now_ms;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        let whole = wait_ms as u64;
        whole
    }
}

/// What is left of a wait once the rate is another: never more than it was.
pub(super) fn rescaled(left: Duration, rate: f64, rate_now: f64) -> Duration {
    left.mul_f64((rate.max(RATE_MIN) / rate_now.max(RATE_MIN)).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_shortened_by_a_higher_rate_and_outlives_none_at_all() {
        let second = Duration::from_secs(1);
        assert_eq!(rescaled(second, 1_000.0, 4_000.0), second / 4);
        assert_eq!(rescaled(second, 4_000.0, 1_000.0), second);
        assert_eq!(rescaled(second, 0.0, 0.0), second);
        assert_eq!(rescaled(second, 10.0, f64::MAX), Duration::ZERO);
    }

    #[test]
    fn the_rate_holds_over_all_takers() {
        let mut throttle = Throttle::default();
        assert_eq!(throttle.take(500, 1000.0, MonoMs(100)), 500);
        assert_eq!(throttle.take(500, 1000.0, MonoMs(100)), 1000);
        assert_eq!(throttle.take(100, 1000.0, MonoMs(1100)), 100);
        // What was not used is not saved up.
        assert_eq!(throttle.take(100, 1000.0, MonoMs(9000)), 100);
    }

    #[test]
    fn what_is_owed_is_paid_at_the_new_rate() {
        let mut throttle = Throttle::default();
        assert_eq!(throttle.take(1000, 1.0, MonoMs(0)), 1_000_000);
        assert_eq!(throttle.take(0, 1000.0, MonoMs(0)), 1_000);
    }

    #[test]
    fn the_default_never_waits() {
        let mut throttle = Throttle::default();
        for at in 0..100 {
            assert_eq!(throttle.take(1 << 30, f64::MAX, MonoMs(at)), 0);
        }
    }
}
