//! Producers with acks=all on six connections, two to each broker, of six partitions with three replicas each.

use std::time::Duration;

use indicatif::ProgressBar;

use super::super::Plan;
use super::super::load::{Driven, Load, Part, latencies};
use super::super::sides::Side;
use super::super::table::{Metric, Table, Target, Three};
use super::nodes::{Cluster, NODES, spread};
use crate::Result;
use crate::requests::{Acks, Content, content_batch};

const PARTITIONS: usize = 6;
const IN_FLIGHT: usize = 5;
/// Kafka's compiler needs so many rounds of the same work before its figures count.
const WARM_UP: usize = 3;

#[derive(Clone, Copy, Debug)]
struct Case {
    name: &'static str,
    content: Content,
    /// Requests of all connections in a round.
    count: usize,
    /// Of Kafka's CPU.
    cpu: &'static [Target],
    is_small: bool,
}

const CASES: [Case; 2] = [
    Case {
        name: "RF 3, acks=all, 16 KB batches of 1 KB records",
        content: Content::plain(16 << 10, 1_000),
        count: 24_000,
        cpu: &[Target::at_most(0.333, Side::Kafka)],
        is_small: false,
    },
    Case {
        name: "RF 3, acks=all, one 100 B record a batch",
        content: Content::plain(0, 100),
        count: 24_000,
        cpu: &[],
        is_small: true,
    },
];

pub(super) fn run(plan: &Plan, progress: &ProgressBar, table: &mut Table) -> Result<()> {
    let (kafka, ottla) = (Cluster::start(plan, Side::Kafka)?, Cluster::start(plan, Side::Ottla)?);
    for case in CASES.into_iter().filter(|case| case.name.contains(&plan.case)) {
        let mut found = Found::default();
        progress.inc_length((plan.rounds * 2 + WARM_UP + 1) as u64);
        for round in 0..=plan.rounds {
            for (side, cluster) in [(Side::Kafka, &kafka), (Side::Ottla, &ottla)] {
                let times = if round == 0 && side == Side::Kafka { WARM_UP } else { 1 };
                for _ in 0..times {
                    progress.set_message(format!("{}: {}, round {round}", case.name, side.name()));
                    let done = drive(plan, cluster, case)?;
                    if round > 0 {
                        found.count(side, case, &done);
                    }
                    progress.inc(1);
                }
            }
        }
        table.extend(found.metrics(case));
    }
    Ok(())
}

/// One round.
struct Done {
    cpu: Duration,
    elapsed: Duration,
    requests: f64,
    gigabytes: f64,
    /// Milliseconds.
    p99: f64,
}

fn drive(plan: &Plan, cluster: &Cluster, case: Case) -> Result<Done> {
    let replicas = spread(PARTITIONS)?;
    let topic = cluster.create(&replicas)?;
    let batch = content_batch(case.content)?;
    let load = |node: usize| -> Result<Load> {
        let led = (0..PARTITIONS).filter(|partition| partition % NODES == node);
        let part = |partition| -> Result<Part> {
            let partition = i32::try_from(partition)?;
            let frame = topic.requests.produce_with(partition, batch.bytes.clone(), Acks::All)?;
            Ok(Part { frames: vec![frame], count: plan.scaled(case.count) / PARTITIONS })
        };
        Ok(Load { parts: led.map(part).collect::<Result<_>>()?, in_flight: IN_FLIGHT, last: None })
    };
    let loads: Vec<Load> = (0..NODES).map(load).collect::<Result<_>>()?;
    let before = cluster.usage()?;
    let driven = std::thread::scope(|scope| {
        let threads = loads.iter().zip(&cluster.nodes).map(|(load, node)| {
            scope.spawn(move || load.drive(node.address).map_err(|error| error.to_string()))
        });
        let threads: Vec<_> = threads.collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("a client panicked".into())))
            .collect::<std::result::Result<Vec<Driven>, String>>()
    })?;
    let cpu = cluster.usage()?.since(before).cpu;
    for (partition, brokers) in (0..).zip(&replicas) {
        topic.probe(partition, &cluster.nodes[usize::try_from(brokers[0])? - 1])?;
    }
    let mut all = latencies()?;
    for driven in &driven {
        all.add(&driven.latencies)?;
    }
    let requests = driven.iter().map(|driven| driven.requests).sum::<usize>() as f64;
    Ok(Done {
        cpu,
        elapsed: driven.iter().map(|driven| driven.elapsed).max().unwrap_or_default(),
        requests,
        gigabytes: requests * batch.bytes.len() as f64 / 1e9,
        p99: all.value_at_quantile(0.99) as f64 / 1e3,
    })
}

#[derive(Debug, Default)]
struct Found {
    cpu: Three,
    rate: Three,
    p99: Three,
}

impl Found {
    fn count(&mut self, side: Side, case: Case, done: &Done) {
        let (cpu, seconds) = (done.cpu.as_secs_f64(), done.elapsed.as_secs_f64());
        let (cpu, rate) = if case.is_small {
            (cpu * 1e6 / done.requests, done.requests / 1e3 / seconds)
        } else {
            (cpu / done.gigabytes, done.gigabytes * 1e3 / seconds)
        };
        self.cpu.push(side, cpu);
        self.rate.push(side, rate);
        self.p99.push(side, done.p99);
    }

    fn metrics(self, case: Case) -> Vec<Metric> {
        let (cpu, rate) = if case.is_small { ("us/request", "k requests/s") } else { ("CPU-s/GB", "MB/s") };
        vec![
            Metric::new(format!("{}: CPU of the three brokers", case.name), cpu, self.cpu).with(case.cpu),
            Metric::new(format!("{}: rate", case.name), rate, self.rate),
            Metric::new(format!("{}: p99", case.name), "ms", self.p99),
        ]
    }
}
