//! Kafka's percentiles of request times, under the names that the JMX exporter's usual rules give them.
//!
//! Kafka's are of a sample that favours the last minutes. Ours are read off the histograms, of the last one to two minutes,
//! or of what there is when scrapes are rarer: the shares are exact, the times are interpolated within a bucket.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::histogram::Counts;

/// What of a request's time each name is of.
pub(super) const NAMES: [&str; 6] = [
    "kafka_network_requestmetrics_totaltimems",
    "kafka_network_requestmetrics_requestqueuetimems",
    "kafka_network_requestmetrics_localtimems",
    "kafka_network_requestmetrics_remotetimems",
    "kafka_network_requestmetrics_throttletimems",
    "kafka_network_requestmetrics_responsesendtimems",
];

/// Times of an API's requests, in the order of [`NAMES`].
pub(super) type Times = [Counts; NAMES.len()];

/// As the exporter writes `50thPercentile` and its like.
const QUANTILES: [(f64, &str); 6] =
    [(0.5, "0.50"), (0.75, "0.75"), (0.95, "0.95"), (0.98, "0.98"), (0.99, "0.99"), (0.999, "0.999")];

/// At least so much time is looked at.
const WINDOW: Duration = Duration::from_secs(60);

/// What was counted when a window began: the one before the last that is at least [`WINDOW`] long.
#[derive(Debug)]
pub(super) struct Recent {
    before: Times,
    last: Times,
    last_at: Instant,
}

impl Recent {
    pub(super) fn new(now: Instant) -> Self {
        Self { before: Times::default(), last: Times::default(), last_at: now }
    }

    /// The times of the last one to two windows.
    pub(super) fn of(&mut self, all: &Times, now: Instant) -> Times {
        if now.saturating_duration_since(self.last_at) >= WINDOW {
            (self.before, self.last, self.last_at) = (self.last, *all, now);
        }
        std::array::from_fn(|at| all[at].since(&self.before[at]))
    }
}

/// Writes the percentiles of all `apis`, by the API's name.
pub(super) fn render(out: &mut String, apis: &[(&str, Times, Times)]) {
    if apis.is_empty() {
        return;
    }
    for (at, name) in NAMES.iter().enumerate() {
        let _ = writeln!(out, "# TYPE {name} gauge");
        for (api, _, recent) in apis {
            for (quantile, text) in QUANTILES {
                let ms = recent[at].quantile_ms(quantile);
                let _ = writeln!(out, "{name}{{request=\"{api}\",quantile=\"{text}\"}} {ms}");
            }
        }
        let _ = writeln!(out, "# TYPE {name}_count counter");
        for (api, all, _) in apis {
            let _ = writeln!(out, "{name}_count{{request=\"{api}\"}} {}", all[at].total());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::histogram::Histogram;
    use super::*;

    fn times(of: &Histogram) -> Times {
        [of.counts(); NAMES.len()]
    }

    #[test]
    fn what_is_old_is_forgotten() {
        let (start, histogram) = (Instant::now(), Histogram::default());
        let mut recent = Recent::new(start);
        let mut p99 = |after_s: u64, histogram: &Histogram| {
            recent.of(&times(histogram), start + Duration::from_secs(after_s))[0].quantile_ms(0.99)
        };
        histogram.record(Duration::from_millis(900));
        assert!((500.0..=1_000.0).contains(&p99(1, &histogram)));
        assert!((500.0..=1_000.0).contains(&p99(60, &histogram)), "of the window that has ended");
        histogram.record(Duration::from_micros(50));
        assert!((500.0..=1_000.0).contains(&p99(119, &histogram)));
        assert!(p99(120, &histogram) <= 0.1, "the slow one is two windows old");
        assert!(p99(240, &histogram) <= 0.1);
    }

    #[test]
    fn they_are_spelled_as_the_exporter_does() {
        let histogram = Histogram::default();
        histogram.record(Duration::from_millis(3));
        let mut out = String::new();
        render(&mut out, &[("Produce", times(&histogram), times(&histogram))]);
        let ms = |quantile: &str| -> f64 {
            let name = format!(
                "kafka_network_requestmetrics_totaltimems{{request=\"Produce\",quantile=\"{quantile}\"}} "
            );
            let value = out.lines().find_map(|line| line.strip_prefix(&name));
            value.unwrap_or_else(|| panic!("no {quantile} in\n{out}")).parse().unwrap()
        };
        for quantile in ["0.50", "0.75", "0.95", "0.98", "0.99", "0.999"] {
            assert!((2.5..=5.0).contains(&ms(quantile)), "{quantile}");
        }
        assert!(out.contains("\nkafka_network_requestmetrics_totaltimems_count{request=\"Produce\"} 1\n"));
    }
}
