//! Two thousand consumers whose partition has nothing new: what it costs to have them wait.

use std::thread::sleep;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use ottla_model::Offset;

use super::Plan;
use super::sides::{Side, Sides, Topic};
use super::table::{Metric, Table, Three};
use super::usage::Usage;
use crate::Result;
use crate::broker::Server;
use crate::measure::status_bytes;
use crate::wire::Wire;

const CONSUMERS: usize = 2_000;
const THREADS: usize = 4;
/// As long as consumers wait by default.
const WAIT_MS: i32 = 500;
const WATCH_MILLIS: usize = 10_000;
/// Until all have connected and wait.
const SETTLE: Duration = Duration::from_secs(2);
const PARTITIONS: i32 = 6;

pub(super) fn run(plan: &Plan, sides: &Sides, progress: &ProgressBar, table: &mut Table) -> Result<()> {
    let (mut cpu, mut memory) = (Three::default(), Three::default());
    progress.inc_length(plan.rounds as u64 * 2);
    for round in 0..plan.rounds {
        for side in [Side::Kafka, Side::Ottla] {
            progress.set_message(format!("idle long polls: {}, round {round}", side.name()));
            let (spent, grown) = watch(plan, sides.broker(side))?;
            cpu.push(side, spent);
            memory.push(side, grown);
            progress.inc(1);
        }
    }
    let name = "2,000 idle long polls of 500 ms";
    table.extend(vec![
        Metric::new(format!("{name}: CPU"), "ms/s", cpu),
        Metric::new(format!("{name}: memory beyond the idle broker's"), "MiB", memory),
    ]);
    Ok(())
}

/// Milliseconds of CPU a second, and MiB that the broker has grown by.
fn watch(plan: &Plan, server: &Server) -> Result<(f64, f64)> {
    let topic = Topic::create(server, PARTITIONS, &[])?;
    let resident = status_bytes(server.pid(), "VmRSS")?;
    let length = Duration::from_millis(u64::try_from(plan.scaled(WATCH_MILLIS))?);
    let until = Instant::now() + SETTLE + length + Duration::from_millis(500);
    std::thread::scope(|scope| {
        let polling: Vec<_> = (0..THREADS)
            .map(|_| {
                let topic = &topic;
                scope.spawn(move || poll(server, topic, until).map_err(|error| error.to_string()))
            })
            .collect();
        sleep(SETTLE);
        let before = Usage::of(server.pid())?;
        let from = Instant::now();
        sleep(length);
        let spent = Usage::of(server.pid())?.since(before).cpu;
        let per_second = spent.as_secs_f64() * 1e3 / from.elapsed().as_secs_f64();
        let grown = status_bytes(server.pid(), "VmRSS")?.saturating_sub(resident);
        for thread in polling {
            thread.join().unwrap_or_else(|_| Err("a client panicked".into()))?;
        }
        Ok((per_second, grown as f64 / f64::from(1 << 20)))
    })
}

/// One thread's share of the consumers, each with a fetch that waits.
fn poll(server: &Server, topic: &Topic, until: Instant) -> Result<()> {
    let mut wires: Vec<Wire> =
        (0..CONSUMERS / THREADS).map(|_| Wire::connect(server.address)).collect::<Result<_>>()?;
    let frames = (0..PARTITIONS).map(|partition| topic.requests.fetch_waiting(partition, Offset(0), WAIT_MS));
    let frames: Vec<_> = frames.collect::<Result<_>>()?;
    while Instant::now() < until {
        for (wire, frame) in wires.iter_mut().zip(frames.iter().cycle()) {
            wire.send(frame)?;
        }
        for wire in &mut wires {
            wire.discard()?;
        }
    }
    Ok(())
}
