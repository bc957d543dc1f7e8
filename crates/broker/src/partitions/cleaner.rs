//! The threads that compact logs: each takes the dirtiest one, and the next, and rests for `log.cleaner.backoff.ms` when
//! none is due. A log that cannot be compacted waits longer and longer and is tried again; no thread ends of it.

mod board;
mod clean;
mod crew;
mod throttle;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use ottla_config::{BrokerConfig, CleanerConfig};
use ottla_storage::CleanError;
use parking_lot::{Condvar, Mutex};

use super::{LogHome, Partitions};
use crate::clock::Clock;
use crate::telemetry::Metrics;

use board::{Board, Job, LastCleaning};
use crew::Crew;
use throttle::Throttle;

/// Compaction of all logs on this broker.
#[derive(Debug)]
pub(crate) struct Cleaner {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    partitions: Arc<Partitions>,
    logs: Arc<LogHome>,
    config: Arc<ArcSwap<BrokerConfig>>,
    clock: Clock,
    metrics: Arc<Metrics>,
    crew: Crew,
    board: Mutex<Board>,
    throttle: Mutex<Throttle>,
    /// By thread.
    last: Mutex<Vec<LastCleaning>>,
    closed: Mutex<bool>,
    /// Waited on by threads that rest: settings have changed, or it is over.
    news: Condvar,
}

impl Cleaner {
    /// Without threads: [`Cleaner::configure`] starts them.
    pub(crate) fn new(
        partitions: Arc<Partitions>,
        logs: Arc<LogHome>,
        config: Arc<ArcSwap<BrokerConfig>>,
        clock: Clock,
        metrics: Arc<Metrics>,
    ) -> Self {
        let shared = Shared {
            partitions,
            logs,
            config,
            clock,
            metrics,
            crew: Crew::default(),
            board: Mutex::default(),
            throttle: Mutex::default(),
            last: Mutex::default(),
            closed: Mutex::new(false),
            news: Condvar::new(),
        };
        Self { shared: Arc::new(shared), threads: Mutex::default() }
    }

    /// Brings the number of threads to what the settings say, and has the resting ones look at the new settings.
    pub(crate) fn configure(&self) {
        let wanted = thread_count(&self.shared.config.load().cleaner);
        self.shared.last.lock().resize(wanted, LastCleaning::default());
        self.shared.news.notify_all();
        let mut threads = self.threads.lock();
        // Those of higher numbers end by themselves.
        threads.retain(|thread| !thread.is_finished());
        for number in self.shared.crew.take_missing(wanted) {
            threads.extend(self.shared.start_thread(number));
        }
    }

    /// Ends the threads; a cleaning under way is given up.
    pub(crate) fn close(&self) {
        *self.shared.closed.lock() = true;
        self.shared.news.notify_all();
        for thread in self.threads.lock().drain(..) {
            if thread.join().is_err() {
                tracing::error!("a cleaner thread panicked");
            }
        }
    }

    /// Brings the gauges up to date.
    pub(crate) fn measure(&self) {
        let gauges = &self.shared.metrics.cleaner;
        let wanted = thread_count(&self.shared.config.load().cleaner);
        let alive = self.shared.crew.count(wanted);
        gauges.threads.set(count(alive));
        gauges.dead_threads.set(count(wanted - alive));
        let figures = self.shared.board.lock().figures();
        gauges.dirty_ratio_max.set(figures.dirty_ratio_max);
        gauges.compaction_delay_max.set(figures.compaction_delay_ms_max as f64 / 1000.0);
        let idle_ms = self.shared.clock.now().mono.since_ms(figures.last_run);
        gauges.since_last_run.set(idle_ms as f64 / 1000.0);
        gauges.uncleanable_partitions.set(count(figures.uncleanable_partitions));
        gauges.uncleanable_bytes.set(figures.uncleanable_bytes as f64);
        let last = self.shared.last.lock();
        let sum = |bytes: fn(&LastCleaning) -> u64| last.iter().map(bytes).sum::<u64>() as f64;
        let max = |value: fn(&LastCleaning) -> f64| last.iter().map(value).fold(0.0, f64::max);
        let recopied = sum(|last| last.stats.written_bytes) / sum(|last| last.stats.read_bytes).max(1.0);
        gauges.recopy_ratio.set(recopied);
        gauges.clean_seconds_max.set(max(|last| last.seconds));
        gauges.map_utilization_max.set(max(|last| last.stats.map_utilization));
    }
}

impl Shared {
    fn start_thread(self: &Arc<Self>, number: usize) -> Option<JoinHandle<()>> {
        let shared = Arc::clone(self);
        let started =
            std::thread::Builder::new().name(format!("cleaner-{number}")).spawn(move || shared.work(number));
        started
            .inspect_err(|error| {
                tracing::error!(%error, "a cleaner thread could not be started");
                self.crew.goes_on(number, || false);
            })
            .ok()
    }

    fn work(&self, number: usize) {
        let _place = Place { crew: &self.crew, number };
        while self.crew.goes_on(number, || self.is_wanted(number)) {
            let job = self.board.lock().take_dirtiest(&self.partitions, self.clock.now());
            match &job {
                Some(job) => self.run(job, number),
                None => self.rest(number),
            }
            self.retain();
        }
    }

    fn is_wanted(&self, number: usize) -> bool {
        !*self.closed.lock() && number < thread_count(&self.config.load().cleaner)
    }

    /// Compacts one log; whatever happens the thread goes on.
    fn run(&self, job: &Job, number: usize) {
        let started = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| self.clean(job, number)));
        let now = self.clock.now().mono;
        match outcome {
            Ok(outcome) => {
                let outcome = outcome.map(|stats| self.cleaned(job, number, stats, started.elapsed()));
                self.count_failure(&outcome);
                self.board.lock().done(job, &outcome, now);
            }
            Err(_) => {
                self.metrics.cleaner.failed(board::Reason::Panic.name());
                self.board.lock().panicked(job, now);
            }
        }
    }

    fn count_failure(&self, outcome: &Result<(), CleanError>) {
        if let Err(CleanError::Storage(error)) = outcome {
            self.metrics.cleaner.failed(board::Reason::of(error).name());
        }
    }

    fn cleaned(&self, job: &Job, number: usize, stats: ottla_storage::CleaningStats, took: Duration) {
        let partition = &job.partition.name;
        self.metrics.cleaner.cleaned(&stats);
        if let Some(slot) = self.last.lock().get_mut(number) {
            *slot = LastCleaning { stats, seconds: took.as_secs_f64() };
        }
        if let Some(offset) = stats.first_bad_offset {
            tracing::warn!(
                %partition, %offset, batches = stats.bad_batches,
                "batches that cannot be read were left as they are"
            );
        }
        tracing::debug!(
            %partition,
            dirty_from = %job.cleanable.first_dirty_offset,
            read_bytes = stats.read_bytes,
            written_bytes = stats.written_bytes,
            segments = stats.segments_replaced,
            "compacted"
        );
    }

    /// Waits for the backoff, news or the end.
    fn rest(&self, number: usize) {
        let backoff_ms = u64::try_from(self.config.load().cleaner.backoff_ms).unwrap_or(0);
        self.wait(Duration::from_millis(backoff_ms.max(1)), number);
    }

    /// Waits; gives whether the thread is to go on.
    fn wait(&self, time: Duration, number: usize) -> bool {
        let mut closed = self.closed.lock();
        if !*closed {
            self.news.wait_for(&mut closed, time);
        }
        drop(closed);
        self.is_wanted(number)
    }

    /// Kafka's cleaner threads also delete what a compacted log may delete: below the log start, and past retention under
    /// `compact,delete`.
    fn retain(&self) {
        for partition in self.partitions.all() {
            if !partition.is_compacted() {
                continue;
            }
            if let Err(error) = partition.apply_retention(self.clock.now()) {
                tracing::error!(partition = %partition.name, %error, "retention failed");
            }
        }
    }
}

/// A thread's place among the others, which is free again if the thread panics.
struct Place<'a> {
    crew: &'a Crew,
    number: usize,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.crew.goes_on(self.number, || false);
        }
    }
}

fn thread_count(config: &CleanerConfig) -> usize {
    if config.enable { usize::try_from(config.threads).unwrap_or(0) } else { 0 }
}

fn count(count: usize) -> f64 {
    u64::try_from(count).unwrap_or(u64::MAX) as f64
}
