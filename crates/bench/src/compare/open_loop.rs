//! A load that does not wait: each request has its moment, and its latency counts from there, whenever it left.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use indicatif::ProgressBar;

use super::Plan;
use super::load::{Latencies, latencies, micros};
use super::sides::{Side, Sides, Topic};
use super::table::{Metric, Table, Target, Three};

use crate::Result;
use crate::broker::{Server, data_dir};
use crate::requests::{Content, Requests, content_batch};
use crate::wire::Wire;

const CONNECTIONS: usize = 4;
const PARTITIONS: i32 = 6;
const BYTES_PER_SECOND: usize = 50_000_000;
const MILLIS: usize = 10_000;
const BATCH: Content = Content::plain(16 << 10, 1_000);

pub(super) fn run(plan: &Plan, sides: &Sides, progress: &ProgressBar, table: &mut Table) -> Result<()> {
    let quantiles = [(0.5, "p50"), (0.99, "p99"), (0.999, "p99.9"), (0.9999, "p99.99")];
    let mut found = quantiles.map(|_| Three::default());
    let mut sums = [latencies()?, latencies()?, latencies()?];
    progress.inc_length((plan.rounds as u64 + 1) * 3);
    for round in 0..=plan.rounds {
        for (side, sum) in Side::ALL.into_iter().zip(&mut sums) {
            progress.set_message(format!("open loop: {}, round {round}", side.name()));
            let measured = one(plan, sides, side)?;
            progress.inc(1);
            // The first round warms up.
            if round == 0 {
                continue;
            }
            for ((quantile, _), three) in quantiles.iter().zip(&mut found) {
                three.push(side, measured.value_at_quantile(*quantile) as f64 / 1e3);
            }
            sum.add(measured)?;
        }
    }
    for ((_, name), three) in quantiles.iter().zip(found) {
        let targets: &[Target] =
            if matches!(*name, "p99" | "p99.9") { &[Target::at_most(2.0, Side::Floor)] } else { &[] };
        let name = format!("open loop, 50 MB/s in 16 KB batches: {name}");
        table.extend(vec![Metric::new(name, "ms", three).with(targets)]);
    }
    table.curves("open loop, 50 MB/s in 16 KB batches", sums);
    Ok(())
}

fn one(plan: &Plan, sides: &Sides, side: Side) -> Result<Latencies> {
    let batch = content_batch(BATCH)?.bytes;
    if side == Side::Floor {
        let dir = data_dir()?;
        let path = dir.path().join("floor").display().to_string();
        let floor = Server::floor(&["produce", "0", &path])?;
        let frame = Requests::default().produce_to(0, batch)?;
        return drive(plan, floor.address, &[frame]);
    }
    let server = sides.broker(side);
    let topic = Topic::create(server, PARTITIONS, &[])?;
    let frames: Vec<Bytes> = (0..PARTITIONS)
        .map(|partition| topic.requests.produce_to(partition, batch.clone()))
        .collect::<Result<_>>()?;
    drive(plan, server.address, &frames)
}

fn drive(plan: &Plan, address: SocketAddr, frames: &[Bytes]) -> Result<Latencies> {
    let len = frames.first().map_or(1, Bytes::len);
    let between = Duration::from_secs_f64((CONNECTIONS * len) as f64 / BYTES_PER_SECOND as f64);
    let count = plan.scaled(MILLIS) * BYTES_PER_SECOND / 1_000 / (CONNECTIONS * len);
    let mut all = latencies()?;
    let parts = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS)
            .map(|number| {
                // Not all at once.
                let first = between.mul_f64(number as f64 / CONNECTIONS as f64);
                scope.spawn(move || {
                    connection(address, frames, number, first, between, count)
                        .map_err(|error| error.to_string())
                })
            })
            .collect();
        let joined = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("a client panicked".into())));
        joined.collect::<std::result::Result<Vec<_>, String>>()
    })?;
    for part in parts {
        all.add(part)?;
    }
    Ok(all)
}

/// One thread sends when it is time, another receives.
fn connection(
    address: SocketAddr,
    frames: &[Bytes],
    number: usize,
    first: Duration,
    between: Duration,
    count: usize,
) -> Result<Latencies> {
    let mut wire = Wire::connect(address)?;
    let receiver = wire.receiver()?;
    let from = Instant::now() + first;
    std::thread::scope(|scope| {
        let receiving =
            scope.spawn(move || receive(receiver, from, between, count).map_err(|error| error.to_string()));
        for (at, frame) in frames.iter().cycle().skip(number).take(count).enumerate() {
            let intended = from + between.mul_f64(at as f64);
            std::thread::sleep(intended.saturating_duration_since(Instant::now()));
            wire.send(frame)?;
        }
        Ok(receiving.join().unwrap_or_else(|_| Err("a client panicked".into()))?)
    })
}

fn receive(mut receiver: Wire, from: Instant, between: Duration, count: usize) -> Result<Latencies> {
    let mut found = latencies()?;
    for at in 0..count {
        receiver.discard()?;
        let intended = from + between.mul_f64(at as f64);
        found.saturating_record(micros(Instant::now().saturating_duration_since(intended)));
    }
    Ok(found)
}
