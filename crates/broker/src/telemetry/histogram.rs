//! A histogram of fixed buckets in plain atomics.
//!
//! The exporter's own histograms keep every sample until the next scrape; these keep 20 words however much traffic
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

/// Durations, counted by bucket.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BOUNDS.len()],
    beyond: AtomicU64,
    sum_ns: AtomicU64,
}

impl Histogram {
    /// Counts one duration.
    pub fn record(&self, duration: Duration) {
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        // Prometheus's `le` includes the bound.
        let at = BOUNDS.partition_point(|(bound_us, _)| bound_us * 1_000 < ns);
        self.buckets.get(at).unwrap_or(&self.beyond).fetch_add(1, Ordering::Relaxed);
        self.sum_ns.fetch_add(ns, Ordering::Relaxed);
    }

    /// How many durations were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        let counted: u64 = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).sum();
        counted + self.beyond.load(Ordering::Relaxed)
    }

    /// Writes the series in Prometheus's text format; `labels` is `""` or `key="value"` pairs.
    pub(super) fn render(&self, out: &mut String, name: &str, labels: &str) {
        let comma = if labels.is_empty() { "" } else { "," };
        let mut count = 0;
        for (bucket, (_, bound)) in self.buckets.iter().zip(BOUNDS) {
            count += bucket.load(Ordering::Relaxed);
            let _ = writeln!(out, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {count}");
        }
        count += self.beyond.load(Ordering::Relaxed);
        let _ = writeln!(out, "{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {count}");
        let sum = Duration::from_nanos(self.sum_ns.load(Ordering::Relaxed)).as_secs_f64();
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
        histogram.render(&mut out, "x_seconds", "api=\"Fetch\"");
        assert!(out.contains("x_seconds_bucket{api=\"Fetch\",le=\"0.0001\"} 1\n"), "{out}");
        assert!(out.contains("x_seconds_bucket{api=\"Fetch\",le=\"0.00025\"} 3\n"), "{out}");
        assert!(out.contains("x_seconds_bucket{api=\"Fetch\",le=\"10\"} 3\n"), "{out}");
        assert!(out.contains("x_seconds_bucket{api=\"Fetch\",le=\"+Inf\"} 4\n"), "{out}");
        assert!(out.contains("x_seconds_count{api=\"Fetch\"} 4\n"), "{out}");
        assert_eq!(histogram.count(), 4);
    }

    #[test]
    fn labels_may_be_absent() {
        let mut out = String::new();
        Histogram::default().render(&mut out, "x", "");
        assert!(out.starts_with("x_bucket{le=\"0.0001\"} 0\n"));
        assert!(out.ends_with("x_sum 0\nx_count 0\n"));
    }
}
