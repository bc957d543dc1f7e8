//! Producers and consumers at once: two connections write 16 KB batches while two read what is there.

use std::time::Duration;

use bytes::Bytes;
use indicatif::ProgressBar;
use ottla_model::Offset;

use super::Plan;
use super::fetch::{BATCH, PARTITIONS, fill};
use super::load::{Driven, Load, Part};
use super::sides::{Side, Sides, Topic};
use super::table::{Metric, Table, Three};
use super::usage::Usage;
use crate::Result;
use crate::broker::Server;
use crate::requests::content_batch;

const CONNECTIONS: usize = 2;
const PRODUCED: usize = 30_000;
const FETCHED: usize = 15_000;
const FETCH_LEN: usize = 64 << 10;
/// Bytes of a partition's log that are there before.
const LOG_LEN: usize = 16 << 20;

/// The figures of all rounds.
#[derive(Debug, Default)]
struct Found {
    cpu: Three,
    produced: Three,
    fetched: Three,
    p99: Three,
}

pub(super) fn run(plan: &Plan, sides: &Sides, progress: &ProgressBar, table: &mut Table) -> Result<()> {
    let mut found = Found::default();
    progress.inc_length((plan.rounds as u64 + 1) * 2);
    for round in 0..=plan.rounds {
        for side in [Side::Kafka, Side::Ottla] {
            progress.set_message(format!("mixed: {}, round {round}", side.name()));
            // The first round warms up.
            found.measure(plan, sides.broker(side), side, round > 0)?;
            progress.inc(1);
        }
    }
    let name = "two producers of 16 KB batches, two consumers of 64 KB";
    table.extend(vec![
        Metric::new(format!("{name}: CPU of all bytes"), "CPU-s/GB", found.cpu),
        Metric::new(format!("{name}: produced"), "MB/s", found.produced),
        Metric::new(format!("{name}: p99 of a produce"), "ms", found.p99),
        Metric::new(format!("{name}: fetched"), "MB/s", found.fetched),
    ]);
    Ok(())
}

impl Found {
    fn measure(&mut self, plan: &Plan, server: &Server, side: Side, counts: bool) -> Result<()> {
        let topic = fill(server, LOG_LEN)?;
        let batch_len = content_batch(BATCH)?.bytes.len();
        let (producing, consuming) = (producers(plan, &topic)?, consumers(plan, &topic)?);
        let before = Usage::of(server.pid())?;
        let (produced, consumed) = both(server, &producing, &consuming)?;
        let cpu = Usage::of(server.pid())?.since(before).cpu;
        if counts {
            let (written, read) = (produced.requests * batch_len, consumed.answer_bytes);
            self.cpu.push(side, cpu.as_secs_f64() / ((written + read) as f64 / 1e9));
            self.produced.push(side, megabytes(written, produced.elapsed));
            self.fetched.push(side, megabytes(read, consumed.elapsed));
            self.p99.push(side, produced.latencies.value_at_quantile(0.99) as f64 / 1e3);
        }
        Ok(())
    }
}

fn both(server: &Server, producing: &Load, consuming: &Load) -> Result<(Driven, Driven)> {
    let address = server.address;
    std::thread::scope(|scope| {
        let consumed = scope.spawn(move || consuming.drive(address).map_err(|error| error.to_string()));
        let produced = producing.drive(address)?;
        let consumed = consumed.join().unwrap_or_else(|_| Err("a client panicked".into()))?;
        Ok((produced, consumed))
    })
}

fn producers(plan: &Plan, topic: &Topic) -> Result<Load> {
    let batch = content_batch(BATCH)?;
    let frames = (0..PARTITIONS).map(|partition| topic.requests.produce_to(partition, batch.bytes.clone()));
    let frames: Vec<Bytes> = frames.collect::<Result<_>>()?;
    Ok(Load { parts: parts(frames, plan.scaled(PRODUCED)), in_flight: 5, last: None })
}

fn consumers(plan: &Plan, topic: &Topic) -> Result<Load> {
    let batch = content_batch(BATCH)?;
    let step = FETCH_LEN / batch.bytes.len();
    let limit = i32::try_from(FETCH_LEN)?;
    let frames = (0..LOG_LEN / batch.bytes.len() - step).step_by(step).map(|at| {
        let offset = Offset(i64::try_from(at * batch.records)?);
        topic.requests.fetch_all(&[(i32::try_from(at / step)? % PARTITIONS, offset)], limit)
    });
    let frames: Vec<Bytes> = frames.collect::<Result<_>>()?;
    Ok(Load { parts: parts(frames, plan.scaled(FETCHED)), in_flight: 1, last: None })
}

fn parts(frames: Vec<Bytes>, count: usize) -> Vec<Part> {
    vec![Part { frames, count: count / CONNECTIONS }; CONNECTIONS]
}

fn megabytes(bytes: usize, elapsed: Duration) -> f64 {
    bytes as f64 / 1e6 / elapsed.as_secs_f64()
}
