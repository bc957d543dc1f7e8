//! Ten thousand partitions with three replicas each: what they cost while nothing happens, and what it costs to move the
//! leaders away from a broker that is killed.

use std::thread::sleep;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use super::super::Plan;
use super::super::sides::Side;
use super::super::table::{Metric, Table, Three};
use super::nodes::{Cluster, spread};
use crate::Result;
use crate::measure::status_bytes;
use crate::requests::Requests;

const PARTITIONS: usize = 10_000;
const SETTLE: Duration = Duration::from_secs(5);
const WATCH_MILLIS: usize = 20_000;
/// Of one core, all three brokers together.
const IDLE_PERCENT_MAX: f64 = 3.0;
const MOVED_WAIT: Duration = Duration::from_secs(60);
const MOVED_MS_MAX: f64 = 1_000.0;
/// Looks at the metadata, whose own cost is not counted.
const LOOKS: u32 = 20;
const KILLED: i32 = 3;

pub(super) fn run(plan: &Plan, progress: &ProgressBar, table: &mut Table) -> Result<()> {
    progress.inc_length(3);
    progress.set_message(format!("{PARTITIONS} partitions are created"));
    let mut cluster = Cluster::start(plan, Side::Ottla)?;
    let replicas = spread(plan.scaled(PARTITIONS))?;
    let from = Instant::now();
    let topic = cluster.create(&replicas)?;
    let created = from.elapsed();
    let requests = topic.requests.clone();
    // The topic goes with the cluster.
    std::mem::forget(topic);
    sleep(SETTLE);
    progress.inc(1);

    progress.set_message(format!("{PARTITIONS} partitions, nothing happens"));
    let length = Duration::from_millis(u64::try_from(plan.scaled(WATCH_MILLIS))?);
    let (before, from) = (cluster.usage()?, Instant::now());
    sleep(length);
    let idle = cluster.usage()?.since(before).cpu.as_secs_f64() / from.elapsed().as_secs_f64();
    let resident = cluster.nodes.iter().try_fold(0, |sum, node| {
        Ok::<_, Box<dyn std::error::Error>>(sum + status_bytes(node.pid(), "VmRSS")?)
    })?;
    progress.inc(1);

    progress.set_message("their leaders move");
    let moved = moves(&mut cluster, &requests, idle)?;
    progress.inc(1);
    let name = format!("{PARTITIONS} partitions, RF 3");
    table.extend(vec![
        Metric::new(
            format!("{name}: until all are created and in sync"),
            "s",
            Three::one(created.as_secs_f64()),
        ),
        Metric::new(format!("{name}: idle CPU of the three, of one core"), "%", Three::one(idle * 1e2))
            .at_most(IDLE_PERCENT_MAX),
        Metric::new(
            format!("{name}: resident, the three"),
            "MiB",
            Three::one(resident as f64 / f64::from(1 << 20)),
        ),
        Metric::new(
            format!("{name}: kill -9 of one, until its leaders are elsewhere"),
            "ms",
            Three::one(moved.elapsed_ms),
        )
        .at_most(MOVED_MS_MAX),
        Metric::new(format!("{name}: CPU of a leader that moves"), "us", Three::one(moved.cpu_us)),
    ]);
    Ok(())
}

fn leaders(cluster: &Cluster, requests: &Requests) -> Result<Vec<i32>> {
    Ok(cluster.standing(requests)?.0)
}

struct Moved {
    elapsed_ms: f64,
    /// Of the brokers that are left, for each leader.
    cpu_us: f64,
}

/// `idle` is CPU seconds a second.
fn moves(cluster: &mut Cluster, requests: &Requests, idle: f64) -> Result<Moved> {
    let before = cluster.usage()?;
    let from = Instant::now();
    for _ in 0..LOOKS {
        leaders(cluster, requests)?;
    }
    let spent = cluster.usage()?.since(before).cpu.as_secs_f64() - idle * from.elapsed().as_secs_f64();
    let per_look = spent / f64::from(LOOKS);
    let led = leaders(cluster, requests)?.iter().filter(|leader| **leader == KILLED).count();
    let mut killed = cluster.nodes.pop().ok_or("no node")?;
    let (before, from) = (cluster.usage()?, Instant::now());
    killed.kill()?;
    let mut looks = 0.0;
    let moved = loop {
        looks += 1.0;
        if !leaders(cluster, requests)?.contains(&KILLED) {
            break from.elapsed();
        }
        if from.elapsed() > MOVED_WAIT {
            return Err("the leaders stay".into());
        }
        sleep(Duration::from_millis(10));
    };
    // What followers do about it comes after.
    sleep(Duration::from_secs(2));
    let spent = cluster.usage()?.since(before).cpu.as_secs_f64();
    let own = spent - looks * per_look - idle * from.elapsed().as_secs_f64();
    Ok(Moved { elapsed_ms: moved.as_secs_f64() * 1e3, cpu_us: own.max(0.0) * 1e6 / led.max(1) as f64 })
}
