//! `log.cleaner.io.max.bytes.per.second` over all cleaner threads.

use ottla_model::MonoMs;

/// When the bytes taken so far are paid for.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    paid_at_ms: f64,
}

impl Throttle {
    /// Takes `bytes`; milliseconds to wait before the next.
    pub(super) fn take(&mut self, bytes: u64, bytes_per_second: f64, now: MonoMs) -> u64 {
        let now_ms = now.0 as f64;
        // No rate at all would wait for ever.
        let cost_ms = bytes as f64 * 1000.0 / bytes_per_second.max(1.0);
        self.paid_at_ms = self.paid_at_ms.max(now_ms) + cost_ms;
        let wait_ms = self.paid_at_ms - now_ms;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        let whole = wait_ms as u64;
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn the_default_never_waits() {
        let mut throttle = Throttle::default();
        for at in 0..100 {
            assert_eq!(throttle.take(1 << 30, f64::MAX, MonoMs(at)), 0);
        }
    }
}
