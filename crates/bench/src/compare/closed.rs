//! A load that goes as fast as it is answered, on the floor, Kafka and Ottla in turns.

use std::path::PathBuf;

use indicatif::ProgressBar;

use super::Plan;
use super::load::{Driven, Load};
use super::sides::Side;
use super::table::{Metric, Target, Three};
use super::usage::{Calls, Usage, page_cache};
use crate::Result;

/// Kafka's compiler needs so many rounds of the same work, at least, before its figures count.
const WARM_UP: usize = 3;

/// One round of one side.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) pid: u32,
    /// Where its files are; empty where it reads another one's.
    pub(super) data: PathBuf,
    pub(super) load: Load,
    pub(super) address: std::net::SocketAddr,
    /// Bytes of records that a request moves.
    pub(super) bytes_per_request: f64,
    /// 0 where nobody counts them.
    pub(super) records_per_request: f64,
}

/// What a round needs until it is over: a topic, a floor.
pub(super) type Held = Box<dyn std::any::Any>;

/// How often a load is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effort {
    Usual,
    /// What takes Kafka minutes a round, on a Kafka that has done the like before: two rounds.
    Short,
}

/// What is said of a load beside what it costs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Targets {
    pub(super) cpu: &'static [Target],
    pub(super) rate: &'static [Target],
    /// Millions of records a second, at least.
    pub(super) records: Option<f64>,
    /// CPU by the request, and not by the gigabyte.
    pub(super) is_small: bool,
}

/// The figures of a load.
#[derive(Debug, Default)]
struct Found {
    cpu: Three,
    rate: Three,
    client: Three,
    switches: Three,
    calls: Three,
    p99: Three,
    cached: Three,
    records: Three,
    record_cpu: Three,
}

/// Runs the rounds; `prepare` makes one ready.
pub(super) fn run(
    plan: &Plan,
    progress: &ProgressBar,
    name: &str,
    targets: Targets,
    effort: Effort,
    mut prepare: impl FnMut(Side) -> Result<(Round, Held)>,
) -> Result<Vec<Metric>> {
    let (rounds, kafka_warms_up) = match effort {
        Effort::Usual => (plan.rounds, WARM_UP),
        Effort::Short => (plan.rounds.min(2), 1),
    };
    progress.inc_length(((rounds + 1) * Side::ALL.len() + kafka_warms_up - 1) as u64);
    let mut found = Found::default();
    for round in 0..=rounds {
        for side in Side::ALL {
            let warm_up = if round > 0 {
                0
            } else if side == Side::Kafka {
                kafka_warms_up
            } else {
                1
            };
            for _ in 0..warm_up {
                progress.set_message(format!("{name}: {} warms up", side.name()));
                let (prepared, _held) = prepare(side)?;
                let calls = Calls::count(prepared.pid);
                let driven = prepared.load.drive(prepared.address)?;
                if let Some(calls) = calls.stop() {
                    found.calls.set(side, calls / driven.requests as f64);
                }
                progress.inc(1);
            }
            if round > 0 {
                progress.set_message(format!("{name}: {}, round {round}", side.name()));
                let (prepared, _held) = prepare(side)?;
                found.measure(side, targets, &prepared)?;
                progress.inc(1);
            }
        }
    }
    Ok(found.metrics(name, targets))
}

impl Found {
    fn measure(&mut self, side: Side, targets: Targets, round: &Round) -> Result<()> {
        let before = Usage::of(round.pid)?;
        let driven: Driven = round.load.drive(round.address)?;
        let used = Usage::of(round.pid)?.since(before);
        let requests = driven.requests as f64;
        let gigabytes = requests * round.bytes_per_request / 1e9;
        let seconds = driven.elapsed.as_secs_f64();
        let per = |cpu: f64| if targets.is_small { cpu * 1e6 / requests } else { cpu / gigabytes };
        self.cpu.push(side, per(used.cpu.as_secs_f64()));
        self.client.push(side, per(driven.client_cpu.as_secs_f64()));
        if let Some(bytes) = page_cache(&round.data) {
            self.cached.push(side, bytes / f64::from(1 << 20));
        }
        let rate = if targets.is_small { requests / 1e3 } else { gigabytes * 1e3 };
        self.rate.push(side, rate / seconds);
        self.switches.push(side, used.switches as f64 / requests);
        if round.records_per_request > 0.0 {
            let millions = requests * round.records_per_request / 1e6;
            self.records.push(side, millions / seconds);
            self.record_cpu.push(side, used.cpu.as_secs_f64() / millions);
        }
        if !driven.latencies.is_empty() {
            self.p99.push(side, driven.latencies.value_at_quantile(0.99) as f64 / 1e3);
        }
        Ok(())
    }

    fn metrics(self, name: &str, targets: Targets) -> Vec<Metric> {
        let (cpu_unit, rate_unit) =
            if targets.is_small { ("us/request", "k requests/s") } else { ("CPU-s/GB", "MB/s") };
        let mut metrics = vec![
            Metric::new(format!("{name}: CPU"), cpu_unit, self.cpu).with(targets.cpu),
            Metric::new(format!("{name}: rate"), rate_unit, self.rate).with(targets.rate),
            Metric::new(format!("{name}: p99"), "ms", self.p99),
            Metric::new(format!("{name}: system calls"), "a request", self.calls),
            Metric::new(format!("{name}: context switches"), "a request", self.switches),
            Metric::new(format!("{name}: the client's CPU"), cpu_unit, self.client),
            Metric::new(format!("{name}: page cache"), "MiB", self.cached),
        ];
        if !self.records.is_empty() {
            let records = Metric::new(format!("{name}: records"), "M/s", self.records);
            let records =
                targets.records.map_or_else(|| records.clone(), |least| records.clone().at_least(least));
            let cpu = Metric::new(format!("{name}: CPU of records"), "CPU-s/M", self.record_cpu);
            metrics.splice(2..2, [records, cpu]);
        }
        metrics
    }
}
