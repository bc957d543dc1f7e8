//! Consumers on two connections, of what the page cache holds.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use indicatif::ProgressBar;
use ottla_model::Offset;

use super::Plan;
use super::closed::{self, Effort, Held, Round, Targets};
use super::load::{Load, Part};
use super::sides::{Side, Sides, Topic};
use super::table::{Table, Target};
use crate::Result;
use crate::broker::Server;
use crate::fetch::segment;
use crate::requests::{Content, content_batch};
use crate::wire::Wire;

const CONNECTIONS: usize = 2;
const IN_FLIGHT: usize = 1;
pub(super) const PARTITIONS: i32 = 6;
/// Bytes of a partition's log.
pub(super) const LOG_LEN: usize = 64 << 20;

/// A size of answers.
#[derive(Clone, Copy, Debug)]
struct Case {
    name: &'static str,
    /// Partitions of a fetch, and bytes of each.
    partitions: i32,
    len: usize,
    /// Requests of all connections in a round.
    count: usize,
    targets: Targets,
}

const CASES: [Case; 3] = [
    Case {
        name: "fetch, 1 MB of one partition",
        partitions: 1,
        len: 1 << 20,
        count: 6_000,
        targets: Targets {
            cpu: &[Target::at_most(1.2, Side::Floor)],
            rate: &[],
            records: None,
            is_small: false,
        },
    },
    Case {
        name: "fetch, 64 KB of one partition",
        partitions: 1,
        len: 64 << 10,
        count: 60_000,
        targets: Targets {
            cpu: &[Target::at_most(1.3, Side::Floor), Target::at_most(0.333, Side::Kafka)],
            rate: &[],
            records: None,
            is_small: false,
        },
    },
    Case {
        name: "fetch, 6 x 16 KB",
        partitions: PARTITIONS,
        len: 16 << 10,
        count: 30_000,
        targets: Targets {
            cpu: &[Target::at_most(1.3, Side::Floor), Target::at_most(0.5, Side::Kafka)],
            rate: &[],
            records: None,
            is_small: false,
        },
    },
];

pub(super) fn run(plan: &Plan, sides: &Sides, progress: &ProgressBar, table: &mut Table) -> Result<()> {
    let mut filled = Vec::new();
    for side in [Side::Kafka, Side::Ottla] {
        filled.push((side, fill(sides.broker(side), LOG_LEN)?));
    }
    for case in CASES.into_iter().filter(|case| case.name.contains(&plan.case)) {
        let prepare = |side| {
            let topic = filled.iter().find(|(filled, _)| *filled == side).map(|(_, topic)| topic);
            match topic {
                Some(topic) => of_broker(plan, sides.broker(side), topic, case),
                None => of_floor(plan, sides.ottla.data_dir(), case),
            }
        };
        table.extend(closed::run(plan, progress, case.name, case.targets, Effort::Usual, prepare)?);
    }
    Ok(())
}

/// Each partition with `log_len` bytes in batches of 16 KB.
pub(super) fn fill(server: &Server, log_len: usize) -> Result<Topic> {
    let mut topic = Topic::create(server, PARTITIONS, &[])?;
    let batch = content_batch(BATCH)?;
    for partition in 0..PARTITIONS {
        let frame = topic.requests.produce_to(partition, batch.bytes.clone())?;
        for _ in 0..log_len / batch.bytes.len() {
            let answer = topic.call(&frame)?;
            topic.requests.check_produce(&answer)?;
        }
    }
    Ok(topic)
}

pub(super) const BATCH: Content = Content::plain(16 << 10, 1_000);

fn of_broker(plan: &Plan, server: &Server, topic: &Topic, case: Case) -> Result<(Round, Held)> {
    let batch = content_batch(BATCH)?;
    let batches = LOG_LEN / batch.bytes.len();
    let step = batches_of(case, batch.bytes.len());
    let limit = i32::try_from(case.len)?;
    let frame = |at: usize| -> Result<Bytes> {
        let offset = Offset(i64::try_from(at * batch.records)?);
        let asked: Vec<_> = (0..case.partitions).map(|partition| (partition, offset)).collect();
        topic.requests.fetch_all(&asked, limit)
    };
    let frames: Vec<Bytes> = (0..batches - step).step_by(step).map(frame).collect::<Result<_>>()?;
    let mut probe = Wire::connect(server.address)?;
    let answer = probe.call(frames.first().ok_or("no fetch")?)?.len();
    let parts = parts(plan, case, &frames);
    let load = Load { parts, in_flight: IN_FLIGHT, last: None };
    let round = Round {
        pid: server.pid(),
        data: server.data_dir().to_owned(),
        load,
        address: server.address,
        bytes_per_request: answer as f64,
        records_per_request: 0.0,
    };
    Ok((round, Box::new(())))
}

/// The same ranges of Ottla's own logs, with a call for each partition: in files that were written in larger pieces, the
/// kernel would have less to do; one log would be less memory to read from than six; and batches do not begin with a page.
fn of_floor(plan: &Plan, data: &Path, case: Case) -> Result<(Round, Held)> {
    let logs: Vec<String> =
        (0..case.partitions).map(|partition| data.join(segment(partition)).display().to_string()).collect();
    // As a program would that does nothing else: sendfile for what is large.
    let mut args = vec!["fetch", "262144"];
    args.extend(logs.iter().map(String::as_str));
    let floor = Server::floor(&args)?;
    let (batch, pieces) = (content_batch(BATCH)?.bytes.len(), usize::try_from(case.partitions)?);
    let len = batch * batches_of(case, batch);
    let frames: Vec<Bytes> =
        (0..LOG_LEN - 2 * len).step_by(len).map(|at| floor_frame(at, len, pieces)).collect();
    let load = Load { parts: parts(plan, case, &frames), in_flight: IN_FLIGHT, last: None };
    let round = Round {
        pid: floor.pid(),
        data: PathBuf::new(),
        load,
        address: floor.address,
        bytes_per_request: (len * pieces) as f64,
        records_per_request: 0.0,
    };
    Ok((round, Box::new(floor)))
}

/// Whole batches of a partition in an answer.
fn batches_of(case: Case, batch_len: usize) -> usize {
    (case.len / batch_len).max(1)
}

/// Asks a floor for `pieces` of `len` bytes from `at` on.
pub(super) fn floor_frame(at: usize, len: usize, pieces: usize) -> Bytes {
    let mut frame = Vec::new();
    // About as long as the brokers' request.
    let frame_len = 80 + pieces * 28;
    frame.extend_from_slice(&u32::try_from(frame_len).unwrap_or(0).to_be_bytes());
    frame.extend_from_slice(&(at as u64).to_be_bytes());
    for number in [len, pieces] {
        frame.extend_from_slice(&u32::try_from(number).unwrap_or(0).to_be_bytes());
    }
    frame.resize(4 + frame_len, 0);
    frame.into()
}

fn parts(plan: &Plan, case: Case, frames: &[Bytes]) -> Vec<Part> {
    let count = plan.scaled(case.count) / CONNECTIONS;
    (0..CONNECTIONS).map(|_| Part { frames: frames.to_vec(), count }).collect()
}
