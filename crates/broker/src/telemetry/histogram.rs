//! A histogram of fixed buckets in plain atomics.
//!
//! The exporter's own histograms keep every sample until the next scrape; these keep 18 words however much traffic
//! there is, and recording costs one short search and two additions.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets: microseconds, and the text of the same bound in seconds.
const BOUNDS: [(u64, &str); 16] = [
    (100, "0.0001"),
    (250, "0.00025"),
    (500, "0.0005"),
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (500_000, "0.5"),
    (1_000_000, "1"),
    (2_500_000, "2.5"),
    (5_000_000, "5"),
    (10_000_000, "10"),
];

/// Durations, counted by bucket; the last bucket has no bound.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    sum_ns: AtomicU64,
}

/// A histogram at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    buckets: [u64; BOUNDS.len() + 1],
    sum_ns: u64,
}

impl Histogram {
    /// Counts one duration.
    pub fn record(&self, duration: Duration) {
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        // Prometheus's `le` includes the bound.
        let at = BOUNDS.partition_point(|(bound_us, _)| bound_us * 1_000 < ns);
        self.buckets[at].fetch_add(1, Ordering::Relaxed);
        self.sum_ns.fetch_add(ns, Ordering::Relaxed);
    }

    /// How many durations were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts().total()
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            buckets: std::array::from_fn(|at| self.buckets[at].load(Ordering::Relaxed)),
            sum_ns: self.sum_ns.load(Ordering::Relaxed),
        }
    }
}

impl Counts {
    /// So many durations of nothing.
    pub(super) fn zeros(count: u64) -> Self {
        let mut zeros = Self::default();
        zeros.buckets[0] = count;
        zeros
    }

    pub(super) fn total(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Both together.
    pub(super) fn and(mut self, other: Self) -> Self {
        for (bucket, more) in self.buckets.iter_mut().zip(other.buckets) {
            *bucket += more;
        }
        self.sum_ns += other.sum_ns;
        self
    }

    /// What has been counted since `earlier`.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        Self {
            buckets: std::array::from_fn(|at| self.buckets[at].saturating_sub(earlier.buckets[at])),
            sum_ns: self.sum_ns.saturating_sub(earlier.sum_ns),
        }
    }

    /// The duration, in milliseconds, that this share of them does not exceed: interpolated within its bucket, and at
    /// most the last bound; 0 where nothing was counted.
    pub(super) fn quantile_ms(&self, share: f64) -> f64 {
        let rank = share * self.total() as f64;
        let (mut below, mut from_us) = (0.0, 0.0);
        for (count, (bound_us, _)) in self.buckets.iter().zip(BOUNDS) {
            let (count, to_us) = (*count as f64, bound_us as f64);
            if count > 0.0 && below + count >= rank {
                return (from_us + (to_us - from_us) * ((rank - below) / count)) / 1_000.0;
            }
            (below, from_us) = (below + count, to_us);
        }
        if below < rank { from_us / 1_000.0 } else { 0.0 }
    }

    /// Writes the series in Prometheus's text format; `labels` is `""` or `key="value"` pairs.
    pub(super) fn render(&self, out: &mut String, name: &str, labels: &str) {
        let comma = if labels.is_empty() { "" } else { "," };
        let mut count = 0;
        let bounds = BOUNDS.iter().map(|(_, text)| *text).chain(["+Inf"]);
        for (bucket, bound) in self.buckets.iter().zip(bounds) {
            count += bucket;
            let _ = writeln!(out, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {count}");
        }
        let sum = Duration::from_nanos(self.sum_ns).as_secs_f64();
        let braces = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let _ = writeln!(out, "{name}_sum{braces} {sum}\n{name}_count{braces} {count}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative_and_include_their_bound() {
        let histogram = Histogram::default();
        for us in [100, 101, 250, 30_000_000] {
            histogram.record(Duration::from_micros(us));
        }
        let mut out = String::new();
        histogram.counts().render(&mut out, "x_seconds", "api=\"Fetch\"");
        assert!(out.contains("x_seconds_bucket{api=\"Fetch\",le=\"0.0001\"} 1\n"), "{out}");
        assert!(out.contains("x_seconds_bucket{api=\"Fetch\",le=\"0.00025\"} 3\n"), "{out}");
        assert!(out.contains("x_seconds_bucket{api=\"Fetch\",le=\"10\"} 3\n"), "{out}");
        assert!(out.contains("x_seconds_bucket{api=\"Fetch\",le=\"+Inf\"} 4\n"), "{out}");
        assert!(out.contains("x_seconds_count{api=\"Fetch\"} 4\n"), "{out}");
        assert_eq!(histogram.count(), 4);
    }

    #[test]
    fn quantiles_are_within_their_bucket() {
        assert_eq!(Counts::default().quantile_ms(0.99).to_bits(), 0.0_f64.to_bits());
        let histogram = Histogram::default();
        for us in [50, 50, 50, 200] {
            histogram.record(Duration::from_micros(us));
        }
        let counts = histogram.counts();
        assert!((counts.quantile_ms(0.75) - 0.1).abs() < 1e-9, "the last of the first bucket");
        assert!((counts.quantile_ms(0.875) - 0.175).abs() < 1e-9, "the middle of the second");
        histogram.record(Duration::from_secs(99));
        let earlier = counts;
        let counts = histogram.counts().since(&earlier);
        assert!((counts.quantile_ms(0.5) - 10_000.0).abs() < 1e-9, "more than the last bound");
    }

    #[test]
    fn labels_may_be_absent() {
        let mut out = String::new();
        Counts::default().render(&mut out, "x", "");
        assert!(out.starts_with("x_bucket{le=\"0.0001\"} 0\n"));
        assert!(out.ends_with("x_sum 0\nx_count 0\n"));
    }

    #[test]
    fn counts_are_added() {
        let histogram = Histogram::default();
        histogram.record(Duration::from_millis(1));
        let both = Counts::zeros(2).and(histogram.counts());
        assert_eq!((both.total(), both.buckets[0], both.sum_ns), (3, 2, 1_000_000));
    }
}
