//! From exec to served partitions, after a kill -9 with much on the disk and after a clean stop of many partitions.
//!
//! Each start is measured warm (what the page cache still holds) and, where this process may drop the page cache, cold.

use std::collections::HashMap;
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
/// 10 GB in all, or a part of it: see [`Options::part`].
const BATCHES_PER_PARTITION: u32 = 100;
const BATCH_LEN: usize = 100_000;
const SEGMENTS_PER_PARTITION: u32 = 100;
/// Until what was written is flushed and the checkpoint says so.
const FLUSHED_AFTER: Duration = Duration::from_secs(8);
/// What is not flushed when the process is killed.
const UNFLUSHED_FOR: Duration = Duration::from_secs(1);
/// Fewer than any system's limit, with what one turn adds.
const DESCRIPTORS_MAX: usize = 5_000;
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
    let frames = frames(&requests, &bytes)?;
    let mut wire = Wire::connect(server.address)?;
    let batches = BATCHES_PER_PARTITION / options.part;
    for _ in 0..batches {
        wire.drive(&frames, IN_FLIGHT)?;
    }
    let last = self::frames(&requests, &batch(4_096)?)?;
    let megabytes = u64::from(batches) * bytes.len() as u64 * frames.len() as u64 / 1_000_000;
    unclean(&format!("{megabytes} MB in 1,000 partitions"), server, options, report, &last)
}

/// 100,000 small segments in 1,000 partitions.
fn segments(options: &Options, report: &mut Report) -> Result<()> {
    let server = Server::broker_with_partitions(&options.broker, 0)?;
    let requests = Requests::default();
    let mut wire = Wire::connect(server.address)?;
    requests
        .check_create_topic(&wire.call(&requests.create_topic_with(PARTITIONS, &[("segment.ms", "1")])?)?)?;
    let count = SEGMENTS_PER_PARTITION / options.part;
    let from = wall_clock().get() - 10 * i64::from(count);
    for number in 0..count {
        let bytes = batch_at(from + 10 * i64::from(number), 1_000)?;
        wire.drive(&frames(&requests, &bytes)?, IN_FLIGHT)?;
        // A segment that is not flushed holds a descriptor.
        while fs::read_dir(format!("/proc/{}/fd", server.pid()))?.count() > DESCRIPTORS_MAX {
            sleep(Duration::from_millis(20));
        }
    }
    // Of one time, so that they do not make a segment each.
    let last = frames(&requests, &batch_at(from + 10 * i64::from(count), 1_000)?)?;
    let what = format!("{} segments in 1,000 partitions", i64::from(count) * i64::from(PARTITIONS));
    unclean(&what, server, options, report, &last)
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
        let served = serving(&server, MANY_PARTITIONS)?;
        let what = format!("clean restart, 10,000 partitions, {}", temperature(cold));
        let target = (!cold).then_some(CLEAN_MS_MAX);
        row(report, &format!("{what}: first serves"), served.first_ms, None);
        row(report, &format!("{what}: all serve"), served.all_ms, target);
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
        let ends = serving(&server, PARTITIONS)?.ends;
        server.kill()?;
        let behind = behind_recovery_points(&server, &ends)?;
        if cold && !drop_page_cache() {
            eprintln!("the page cache cannot be dropped: no cold start");
            return Ok(());
        }
        server.start_again(&options.broker)?;
        let served = serving(&server, PARTITIONS)?;
        if served.ends != ends {
            return Err(format!("{what}: logs do not end where they did before the kill").into());
        }
        let what = format!("unclean restart, {what}, {}", temperature(cold));
        let mut samples = Samples::default();
        samples.push(behind);
        report.limit(&format!("{what}: behind the recovery points"), &samples, "records", None);
        row(report, &format!("{what}: first serves"), served.first_ms, Some(FIRST_MS_MAX));
        row(report, &format!("{what}: all serve"), served.all_ms, Some(ALL_MS_MAX));
    }
    Ok(())
}

/// What a client sees of a start.
#[derive(Debug)]
struct Served {
    /// From exec until the partition that it asks for answers.
    first_ms: f64,
    /// Until every partition has.
    all_ms: f64,
    /// Where the logs end.
    ends: HashMap<i32, i64>,
}

/// Asks each partition where its log ends until it says so: a broker that accepts connections may still be opening logs.
fn serving(server: &Server, partitions: i32) -> Result<Served> {
    drop(server.wait()?);
    let mut wire = Wire::connect(server.address)?;
    // One whose turn has not come unless it is asked for.
    let mut ends = log_ends(&mut wire, &[partitions - 1])?;
    let first_ms = millis(server.started);
    let others: Vec<i32> = (0..partitions - 1).collect();
    ends.extend(log_ends(&mut wire, &others)?);
    Ok(Served { first_ms, all_ms: millis(server.started), ends })
}

/// What a killed broker's next start has to check: how much the logs hold behind their checkpointed recovery points.
fn behind_recovery_points(server: &Server, ends: &HashMap<i32, i64>) -> Result<f64> {
    let text = fs::read_to_string(server.data_dir().join("recovery-point-offset-checkpoint"))?;
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<i64>().ok());
    // Only the bench's topic has records. Behind a version and a count there are lines of topic, partition and offset.
    let points = text.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let partition = i32::try_from(number(fields.next())?).ok()?;
        Some((partition, number(fields.next())?))
    });
    let points: HashMap<i32, i64> = points.collect();
    let behind = |(partition, end): (&i32, &i64)| end - points.get(partition).copied().unwrap_or(0);
    Ok(ends.iter().map(behind).sum::<i64>() as f64)
}

/// Waits for all of these.
fn log_ends(wire: &mut Wire, partitions: &[i32]) -> Result<HashMap<i32, i64>> {
    let requests = Requests::default();
    let (mut waiting, mut ends) = (partitions.to_vec(), HashMap::new());
    while !waiting.is_empty() {
        let answer = wire.call(&requests.log_ends(&waiting)?)?;
        let served = requests.served(&answer)?;
        if served.is_empty() {
            sleep(AGAIN);
        }
        waiting.retain(|partition| !served.contains_key(partition));
        ends.extend(served);
    }
    Ok(ends)
}

fn frames(requests: &Requests, bytes: &[u8]) -> Result<Vec<Bytes>> {
    (0..PARTITIONS).map(|partition| requests.produce_to(partition, bytes.to_vec())).collect()
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
