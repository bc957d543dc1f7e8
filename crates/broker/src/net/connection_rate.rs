//! How fast connections come, as Kafka measures it (`ConnectionQuotas`): over samples of a second, of which the last eleven count.

use std::collections::VecDeque;

const SAMPLE_MS: u64 = 1_000;
/// `quota.window.num` at its default.
const SAMPLES: u64 = 11;
/// The longest pause for one connection: `quota.window.size.seconds` at its default.
const PAUSE_MS_MAX: u64 = 1_000;

/// The connections of the last seconds.
#[derive(Debug, Default)]
pub(super) struct ConnectionRate {
    /// When each sample began, and how many connections came in it; the oldest first.
    samples: VecDeque<(u64, u32)>,
}

impl ConnectionRate {
    /// Counts a connection at `now_ms`; gives how many milliseconds it has to wait so that no more than `rate_max` a
    /// second come.
    pub(super) fn record(&mut self, now_ms: u64, rate_max: i32) -> u64 {
        self.samples.retain(|(start, _)| now_ms.saturating_sub(*start) < SAMPLES * SAMPLE_MS);
        match self.samples.back_mut() {
            Some((start, count)) if now_ms.saturating_sub(*start) < SAMPLE_MS => *count += 1,
            _ => self.samples.push_back((now_ms, 1)),
        }
        let connections: u64 = self.samples.iter().map(|(_, count)| u64::from(*count)).sum();
        let since_oldest = self.samples.front().map_or(0, |(start, _)| now_ms.saturating_sub(*start));
        // As if the time before the first sample had been quiet: a burst is not a rate.
        let missing = (SAMPLES - 1).saturating_sub(since_oldest / SAMPLE_MS);
        let elapsed_ms = since_oldest + missing * SAMPLE_MS;
        let Ok(rate_max) = u64::try_from(rate_max) else { return 0 };
        if rate_max == 0 {
            return PAUSE_MS_MAX;
        }
        // Until the connections, spread over more time, are not too many any more.
        (connections * 1_000 / rate_max).saturating_sub(elapsed_ms).min(PAUSE_MS_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_what_follows_waits() {
        let mut rate = ConnectionRate::default();
        let waits: Vec<u64> = (0..25).map(|_| rate.record(0, 2)).collect();
        assert_eq!(waits[..20], [0; 20], "two a second over ten seconds");
        assert_eq!(waits[20..], [500, 1_000, 1_000, 1_000, 1_000]);
    }

    #[test]
    fn whoever_comes_at_the_rate_waits_for_the_time_of_one_at_most() {
        let (mut at_the_rate, mut below) = (ConnectionRate::default(), ConnectionRate::default());
        for i in 0..1_000 {
            assert!(at_the_rate.record(i * 100, 10) <= 100, "{i}");
            assert_eq!(below.record(i * 100, 11), 0, "{i}");
        }
    }

    #[test]
    fn what_is_long_ago_is_forgotten() {
        let mut rate = ConnectionRate::default();
        for _ in 0..100 {
            rate.record(0, 1);
        }
        assert_eq!(rate.record(10_999, 1), PAUSE_MS_MAX);
        assert_eq!(rate.record(30_000, 1), 0);
    }

    #[test]
    fn no_rate_at_all_is_one_connection_a_pause() {
        assert_eq!(ConnectionRate::default().record(0, 0), PAUSE_MS_MAX);
        assert_eq!(ConnectionRate::default().record(0, i32::MAX), 0);
    }
}
