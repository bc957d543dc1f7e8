//! From exec to served partitions, after a kill -9 with much on the disk and after a clean stop of many partitions.
//!
//! Each start is measured warm (what the page cache still holds) and, where this process may drop the page cache, cold.

use std::fs;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::broker::Server;
use crate::measure::status_bytes;
use crate::report::Report;
use crate::requests::{Requests, batch, batch_at, wall_clock};
use crate::samples::Samples;
use crate::wire::Wire;
use crate::{Options, Result};

const PARTITIONS: i32 = 1_000;
/// 10 GB in all.
const BATCHES_PER_PARTITION: usize = 100;
const BATCH_LEN: usize = 100_000;
const SEGMENTS_PER_PARTITION: i64 = 100;
/// Until what was written is flushed and the checkpoint says so.
const FLUSHED_AFTER: Duration = Duration::from_secs(8);
/// What is not flushed when the process is killed.
const UNFLUSHED_FOR: Duration = Duration::from_secs(1);
const MANY_PARTITIONS: i32 = 10_000;
/// CreateTopics takes so many at a time.
const CREATED_AT_ONCE: i32 = 5_000;
const IN_FLIGHT: usize = 5;
const FIRST_MS_MAX: f64 = 1_000.0;
const ALL_MS_MAX: f64 = 3_000.0;
const CLEAN_MS_MAX: f64 = 2_000.0;
const SETTLE: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_millis(1);

pub(crate) fn run(options: &Options, report: &mut Report) -> Result<()> {
    large(options, report)?;
    segments(options, report)?;
    many(options, report)
}

/// 10 GB in 1,000 partitions.
fn large(options: &Options, report: &mut Report) -> Result<()> {
    let server = Server::broker_with_partitions(&options.broker, PARTITIONS)?;
    let requests = Requests::default();
    let bytes = batch(BATCH_LEN)?;
    let frames = frames(&requests, |_| Ok(bytes.clone()))?;
    let mut wire = Wire::connect(server.address)?;
    for _ in 0..BATCHES_PER_PARTITION {
        wire.drive(&frames, IN_FLIGHT)?;
    }
    let small = batch(4_096)?;
    let last = self::frames(&requests, |_| Ok(small.clone()))?;
    unclean("10 GB in 1,000 partitions", server, options, report, &last)
}

/// 100,000 small segments in 1,000 partitions.
fn segments(options: &Options, report: &mut Report) -> Result<()> {
    let server = Server::broker_with_partitions(&options.broker, 0)?;
    let requests = Requests::default();
    let mut wire = Wire::connect(server.address)?;
    requests.check_create_topic(&wire.call(&requests.create_topic_with(
        PARTITIONS,
        "segment.ms",
        "1",
    )?)?)?;
    let from = wall_clock().get() - 10 * SEGMENTS_PER_PARTITION;
    for number in 0..SEGMENTS_PER_PARTITION {
        let bytes = batch_at(from + 10 * number, 1_000)?;
        wire.drive(&frames(&requests, |_| Ok(bytes.clone()))?, IN_FLIGHT)?;
    }
    let small = batch_at(from + 10 * SEGMENTS_PER_PARTITION, 1_000)?;
    let last = frames(&requests, |_| Ok(small.clone()))?;
    unclean("100,000 segments in 1,000 partitions", server, options, report, &last)
}

/// A clean stop and start of 10,000 partitions.
fn many(options: &Options, report: &mut Report) -> Result<()> {
    let mut server = Server::broker_with_partitions(&options.broker, 0)?;
    let requests = Requests::default();
    let mut wire = Wire::connect(server.address)?;
    let from = Instant::now();
    requests.check_create_topic(&wire.call(&requests.create_topic(CREATED_AT_ONCE)?)?)?;
    requests.check_create_partitions(&wire.call(&requests.create_partitions(MANY_PARTITIONS)?)?)?;
    row(report, "10,000 partitions are created", millis(from), None);
    sleep(SETTLE);
    let resident = u32::try_from(status_bytes(server.pid(), "VmRSS")? / 1024)?;
    let mut samples = Samples::default();
    samples.push(f64::from(resident) / 1024.0);
    report.limit("resident, 10,000 partitions, idle", &samples, "MiB", None);
    drop(wire);
    let from = Instant::now();
    server.stop()?;
    row(report, "10,000 partitions are closed", millis(from), None);
    for cold in [false, true] {
        if cold && !drop_page_cache() {
            return Ok(());
        }
        server.start_again(&options.broker)?;
        let (first, all) = serving(&server, MANY_PARTITIONS)?;
        let what = format!("clean restart, 10,000 partitions, {}", temperature(cold));
        let target = (!cold).then_some(CLEAN_MS_MAX);
        row(report, &format!("{what}: first serves"), first, None);
        row(report, &format!("{what}: all serve"), all, target);
        server.stop()?;
    }
    Ok(())
}

fn unclean(
    what: &str,
    mut server: Server,
    options: &Options,
    report: &mut Report,
    last: &[Bytes],
) -> Result<()> {
    for cold in [false, true] {
        sleep(FLUSHED_AFTER);
        let mut wire = Wire::connect(server.address)?;
        let until = Instant::now() + UNFLUSHED_FOR;
        while Instant::now() < until {
            wire.drive(last, IN_FLIGHT)?;
        }
        server.kill()?;
        if cold && !drop_page_cache() {
            eprintln!("the page cache cannot be dropped: no cold start");
            return Ok(());
        }
        server.start_again(&options.broker)?;
        let (first, all) = serving(&server, PARTITIONS)?;
        let what = format!("unclean restart, {what}, {}", temperature(cold));
        row(report, &format!("{what}: first serves"), first, Some(FIRST_MS_MAX));
        row(report, &format!("{what}: all serve"), all, Some(ALL_MS_MAX));
    }
    Ok(())
}

/// Milliseconds from exec until the first partition, and until each, answers where its log ends.
fn serving(server: &Server, partitions: i32) -> Result<(f64, f64)> {
    drop(server.wait()?);
    let mut wire = Wire::connect(server.address)?;
    let requests = Requests::default();
    let mut waiting: Vec<i32> = (0..partitions).collect();
    let mut first = None;
    while !waiting.is_empty() {
        let answer = wire.call(&requests.log_ends(&waiting)?)?;
        let served = requests.served(&answer)?;
        if !served.is_empty() {
            first.get_or_insert_with(|| millis(server.started));
        }
        let before = waiting.len();
        waiting.retain(|partition| !served.contains(partition));
        if waiting.len() == before {
            sleep(AGAIN);
        }
    }
    Ok((first.unwrap_or(f64::NAN), millis(server.started)))
}

fn frames(requests: &Requests, bytes: impl Fn(i32) -> Result<Vec<u8>>) -> Result<Vec<Bytes>> {
    (0..PARTITIONS).map(|partition| requests.produce_to(partition, bytes(partition)?)).collect()
}

fn row(report: &mut Report, what: &str, ms: f64, target: Option<f64>) {
    let mut samples = Samples::default();
    samples.push(ms);
    report.limit(what, &samples, "ms", target);
}

fn temperature(cold: bool) -> &'static str {
    if cold { "cold" } else { "warm" }
}

fn millis(from: Instant) -> f64 {
    from.elapsed().as_secs_f64() * 1e3
}

/// Whether the kernel let us: it takes root. What is dirty is written first, for it cannot be dropped.
fn drop_page_cache() -> bool {
    let synced = Command::new("sync").status().is_ok_and(|status| status.success());
    synced && fs::write("/proc/sys/vm/drop_caches", "3").is_ok()
}
