//! All series of one broker: handles held in structs, read by one [`Metrics::render`].
//!
//! Nothing here is global: a test may run several brokers in one process.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use metrics::{Counter, Gauge, Key, KeyName, Label, Level, Metadata, Recorder, SharedString};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use ottla_protocol::ApiKey;
use parking_lot::Mutex;

use super::api_metrics::ApiMetrics;
use super::broker_metrics::BrokerMetrics;
use super::catalogue::{
    self as names, ALL, Kind, LOG_FLUSH_SECONDS, REQUEST_PHASE_SECONDS, REQUEST_SECONDS, Series,
};
use super::cleaner_metrics::CleanerMetrics;
use super::client_metrics_counters::ClientMetricsCounters;
use super::rows::{self, Row};
use super::slow::SlowLog;
use super::{aliases, process};

/// Brings gauges up to date; called before each scrape.
pub type Refresh = Box<dyn Fn(&Metrics) + Send + Sync>;

/// Series that are made when they are asked for.
pub type Append = Box<dyn Fn(&mut PerObject) + Send + Sync>;

/// Whose names the series have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// Side by side.
    #[default]
    Both,
    Ottla,
    /// Those that the JMX exporter gives Kafka's.
    Jmx,
}

/// The series of one broker.
pub struct Metrics {
    /// The counters and gauges of the broker as a whole.
    pub broker: BrokerMetrics,
    /// The series of log compaction.
    pub cleaner: CleanerMetrics,
    /// The series about clients' own metrics.
    pub clients: ClientMetricsCounters,
    /// Requests that took too long.
    pub slow: SlowLog,
    apis: Vec<OnceLock<Arc<ApiMetrics>>>,
    registry: Arc<Registry>,
    refreshes: Mutex<Vec<Refresh>>,
    appends: Mutex<Vec<Append>>,
    started: Instant,
    /// Length of the last rendering: the next one's buffer is made for it.
    rendered_len: AtomicUsize,
}

impl Metrics {
    /// An empty set; `started` is the process's start on the monotone clock.
    #[must_use]
    pub fn new(started: Instant) -> Self {
        let registry = Arc::new(Registry::new());
        let mut apis = Vec::new();
        apis.resize_with(API_SLOTS, OnceLock::new);
        Self {
            broker: BrokerMetrics::new(&registry),
            cleaner: CleanerMetrics::new(&registry),
            clients: ClientMetricsCounters::new(&registry),
            slow: SlowLog::new(&registry, started),
            apis,
            registry,
            refreshes: Mutex::default(),
            appends: Mutex::default(),
            started,
            rendered_len: AtomicUsize::new(0),
        }
    }

    /// The series of an API, made when it is first asked for.
    pub fn api(&self, api: ApiKey) -> &Arc<ApiMetrics> {
        let slot = usize::try_from(api.code()).unwrap_or(0).min(API_SLOTS - 1);
        self.apis[slot].get_or_init(|| Arc::new(ApiMetrics::new(api, &self.registry)))
    }

    /// A client connection was accepted and is served.
    pub fn connection_opened(&self) {
        self.broker.connection_opened();
    }

    /// A served client connection has ended.
    pub fn connection_closed(&self) {
        self.broker.connection_closed();
    }

    /// Registers what brings gauges up to date before each scrape.
    pub fn on_scrape(&self, refresh: Refresh) {
        self.refreshes.lock().push(refresh);
    }

    /// Registers what has series for each topic, partition or group.
    pub fn on_render(&self, append: Append) {
        self.appends.lock().push(append);
    }

    /// All series in Prometheus's text format, under our names and Kafka's.
    #[must_use]
    pub fn render(&self) -> String {
        self.render_as(Names::Both)
    }

    /// All series in Prometheus's text format.
    #[must_use]
    pub fn render_as(&self, names: Names) -> String {
        for refresh in self.refreshes.lock().iter() {
            refresh(self);
        }
        self.broker.uptime.set(self.started.elapsed().as_secs_f64());
        let mut text = self.registry.render(self.rendered_len.load(Ordering::Relaxed));
        self.render_histograms(&mut text);
        let mut rows = PerObject(text);
        for append in self.appends.lock().iter() {
            append(&mut rows);
        }
        let mut text = rows.0;
        match names {
            Names::Ottla => {}
            Names::Both => text.push_str(&aliases::of(&text)),
            Names::Jmx => text = aliases::of(&text),
        }
        process::append(&mut text);
        self.rendered_len.store(text.len(), Ordering::Relaxed);
        text
    }

    fn render_histograms(&self, out: &mut String) {
        let apis = || self.apis.iter().filter_map(OnceLock::get);
        head(out, REQUEST_SECONDS);
        apis().for_each(|api| api.render_duration(out));
        head(out, REQUEST_PHASE_SECONDS);
        apis().for_each(|api| api.render_phases(out));
        head(out, LOG_FLUSH_SECONDS);
        self.broker.log_flush.counts().render(out, LOG_FLUSH_SECONDS.name, "");
    }
}

/// Where series with a row for each topic, partition or group are written.
#[derive(Debug)]
pub struct PerObject(String);

impl PerObject {
    /// Of topics: bytes and records produced, bytes fetched, bytes of the logs.
    pub fn topics(&mut self, rows: &[Row<4>]) {
        let series = [
            names::TOPIC_PRODUCE_BYTES,
            names::TOPIC_PRODUCE_RECORDS,
            names::TOPIC_FETCH_BYTES,
            names::TOPIC_LOG_BYTES,
        ];
        rows::append(&mut self.0, series, rows);
    }

    /// Of partitions: log start, log end, high watermark, bytes, segments.
    pub fn partitions(&mut self, rows: &[Row<5>]) {
        let series = [
            names::PARTITION_LOG_START,
            names::PARTITION_LOG_END,
            names::PARTITION_HIGH_WATERMARK,
            names::PARTITION_LOG_BYTES,
            names::PARTITION_LOG_SEGMENTS,
        ];
        rows::append(&mut self.0, series, rows);
    }

    /// Of partitions that groups read: committed offset, records and seconds behind.
    pub fn group_lags(&mut self, rows: &[Row<3>]) {
        rows::append(&mut self.0, [names::GROUP_COMMITTED, names::GROUP_LAG, names::GROUP_LAG_SECONDS], rows);
    }

    /// Of clients' own metrics, labels and values: what is known of each client, gauges, counters.
    pub fn client_metrics<'a>(
        &mut self,
        clients: impl Iterator<Item = &'a str>,
        gauges: impl Iterator<Item = (&'a str, f64)>,
        sums: impl Iterator<Item = (&'a str, f64)>,
    ) {
        rows::append_labelled(&mut self.0, names::CLIENT_INFO, clients.map(|labels| (labels, 1.0)));
        rows::append_labelled(&mut self.0, names::CLIENT_GAUGE, gauges);
        rows::append_labelled(&mut self.0, names::CLIENT_SUM, sums);
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").field("started", &self.started).finish_non_exhaustive()
    }
}

/// Above the highest API key of 4.4.0.
const API_SLOTS: usize = 100;

/// Where counters and gauges are registered and read.
pub(super) struct Registry {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

const METADATA: Metadata<'static> = Metadata::new("ottla", Level::INFO, None);

impl Registry {
    pub(super) fn new() -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        for series in ALL {
            let (name, help) = (KeyName::from_const_str(series.name), SharedString::const_str(series.help));
            match series.kind {
                Kind::Counter => recorder.describe_counter(name, Some(series.unit), help),
                Kind::Gauge => recorder.describe_gauge(name, Some(series.unit), help),
                Kind::Histogram => {}
            }
        }
        let handle = recorder.handle();
        Self { recorder, handle }
    }

    /// All counters and gauges as text, in a buffer for `expected_len` bytes and the rest.
    fn render(&self, expected_len: usize) -> String {
        let mut out = Vec::with_capacity(expected_len + expected_len / 8);
        // Writing to memory cannot fail, and the text is ours.
        let _ = self.handle.render_to_write(&mut out);
        String::from_utf8(out).unwrap_or_default()
    }

    pub(super) fn counter(&self, series: Series, labels: &[(&'static str, &'static str)]) -> Counter {
        self.recorder.register_counter(&key(series, labels), &METADATA)
    }

    pub(super) fn gauge(&self, series: Series, labels: &[(&'static str, &'static str)]) -> Gauge {
        self.recorder.register_gauge(&key(series, labels), &METADATA)
    }
}

fn key(series: Series, labels: &[(&'static str, &'static str)]) -> Key {
    let labels: Vec<Label> =
        labels.iter().map(|(name, value)| Label::from_static_parts(name, value)).collect();
    Key::from_parts(series.name, labels)
}

/// The two comment lines that go before a series.
pub(super) fn head(out: &mut String, series: Series) {
    use std::fmt::Write as _;
    let kind = match series.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    let _ = writeln!(out, "# HELP {} {}\n# TYPE {} {kind}", series.name, series.help, series.name);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ottla_protocol::ErrorCode;

    use super::*;

    #[test]
    fn a_request_shows_under_both_spellings() {
        let metrics = Metrics::new(Instant::now());
        let produce = metrics.api(ApiKey::Produce);
        produce.received(100, Duration::ZERO);
        produce.answered(Duration::from_millis(3), 40);
        produce.error(ErrorCode::NotLeaderOrFollower);
        produce.error(ErrorCode::None);
        metrics.broker.produced(2, 1_000);
        let text = metrics.render();
        for line in [
            "ottla_requests_total{api=\"Produce\"} 1",
            "kafka_network_requestmetrics_requests_total{request=\"Produce\"} 1",
            "ottla_request_errors_total{api=\"Produce\",error=\"NOT_LEADER_OR_FOLLOWER\"} 1",
            "ottla_request_duration_seconds_bucket{api=\"Produce\",le=\"0.005\"} 1",
            "ottla_request_bytes_total{api=\"Produce\"} 100",
            "ottla_produce_records_total 2",
            "kafka_server_brokertopicmetrics_messagesin_total 2",
            "kafka_server_brokertopicmetrics_bytesin_total 1000",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
        let errors = text.lines().filter(|line| line.starts_with("ottla_request_errors_total"));
        assert!(!errors.into_iter().any(|line| line.contains("NONE")));
    }

    #[test]
    fn apis_that_nobody_calls_have_no_series() {
        let metrics = Metrics::new(Instant::now());
        metrics.api(ApiKey::Fetch);
        let text = metrics.render();
        assert!(text.contains("ottla_requests_total{api=\"Fetch\"}"));
        assert!(!text.contains("ottla_requests_total{api=\"Produce\"}"));
    }

    #[test]
    fn gauges_are_refreshed_before_a_scrape() {
        let metrics = Metrics::new(Instant::now());
        metrics.on_scrape(Box::new(|metrics| metrics.broker.partitions.set(7.0)));
        let text = metrics.render();
        assert!(text.contains("ottla_partitions 7\n"), "{text}");
        assert!(text.contains("kafka_server_replicamanager_partitioncount 7\n"), "{text}");
    }

    #[test]
    fn every_line_is_a_comment_or_a_sample_and_heads_are_unique() {
        let metrics = Metrics::new(Instant::now());
        metrics.api(ApiKey::Fetch).answered(Duration::ZERO, 1);
        let text = metrics.render();
        let mut heads = std::collections::BTreeSet::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                assert!(heads.insert(rest.to_owned()), "twice: {line}");
                continue;
            }
            if line.starts_with('#') {
                continue;
            }
            let (_, value) = line.rsplit_once(' ').expect(line);
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
}
