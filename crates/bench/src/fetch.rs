//! A consumer that reads a log in order from the page cache: the broker's CPU against a process that only receives,
//! reads and sends the same ranges of the same file.

use bytes::Bytes;
use ottla_model::Offset;

use crate::broker::Server;
use crate::measure::process_cpu;
use crate::report::Report;
use crate::requests::{Requests, batch, next_offset};
use crate::samples::Turns;
use crate::wire::Wire;
use crate::{Options, Result};

const RATIO_MAX: f64 = 1.3;
/// What the log holds: more than the processor's caches that are ours.
const LOG_LEN: usize = 128 << 20;
const BATCH_LEN_MAX: usize = 16 << 10;

/// The only segment of a partition of the topic, in the data directory.
pub(crate) fn segment(partition: i32) -> String {
    format!("bench-{partition}/00000000000000000000.log")
}

/// A size of answers, and how often the log is read in a round, so that a round takes long beside a clock tick.
#[derive(Clone, Copy, Debug)]
struct Case {
    name: &'static str,
    len: usize,
    passes: usize,
    /// The floor's; the broker's is its setting.
    sendfile_min: usize,
    target: Option<f64>,
}

const CASES: [Case; 4] = [
    Case { name: "4 KB", len: 4 << 10, passes: 3, sendfile_min: usize::MAX, target: Some(RATIO_MAX) },
    Case { name: "64 KB", len: 64 << 10, passes: 24, sendfile_min: usize::MAX, target: Some(RATIO_MAX) },
    Case {
        name: "1 MB, against sendfile",
        len: 1 << 20,
        passes: 32,
        sendfile_min: 1,
        target: Some(RATIO_MAX),
    },
    Case { name: "1 MB, against write", len: 1 << 20, passes: 32, sendfile_min: usize::MAX, target: None },
];

pub(crate) fn run(options: &Options, report: &mut Report) -> Result<()> {
    for case in CASES {
        let turns = compare(options, case)?;
        report.ratio(&format!("fetch {}", case.name), &turns, "us/request", case.target);
    }
    Ok(())
}

fn compare(options: &Options, case: Case) -> Result<Turns> {
    let server = Server::broker_with_topic(&options.broker)?;
    let mut broker = Wire::connect(server.address)?;
    let plan = Plan::make(&mut broker, case.len)?;
    let segment = server.data_dir().join(segment(0));
    let path = segment.to_str().ok_or("the directory's name is not UTF-8")?;
    let bare = Server::floor(&["fetch", &case.sendfile_min.to_string(), path])?;
    let mut floor = Wire::connect(bare.address)?;
    let mut turns = Turns::default();
    // The first round warms both sides up.
    for round in 0..=options.rounds {
        let floor_us = plan.drive(&mut floor, &plan.floor, bare.pid(), case.passes)?;
        let ours_us = plan.drive(&mut broker, &plan.ours, server.pid(), case.passes)?;
        if round > 0 {
            turns.push(floor_us, ours_us);
        }
    }
    Ok(turns)
}

/// The frames that read the whole log once, and those that read the same bytes from a floor.
struct Plan {
    ours: Vec<Bytes>,
    floor: Vec<Bytes>,
    log_len: u64,
}

impl Plan {
    /// Fills the log and finds out where each fetch of `max_len` bytes begins.
    fn make(broker: &mut Wire, max_len: usize) -> Result<Self> {
        let requests = Requests::default();
        let produce = requests.produce(batch(max_len.min(BATCH_LEN_MAX))?)?;
        for _ in 0..LOG_LEN / produce.len() {
            requests.check_produce(&broker.call(&produce)?)?;
        }
        let mut plan = Self { ours: Vec::new(), floor: Vec::new(), log_len: 0 };
        let mut offset = Offset(0);
        loop {
            let frame = requests.fetch(offset, i32::try_from(max_len)?)?;
            // Nothing more: the answer comes once the time is up.
            let records = requests.fetched(&broker.call(&frame)?)?;
            let Some(next) = next_offset(&records) else { return Ok(plan) };
            plan.floor.push(floor_frame(plan.log_len, records.len(), frame.len())?);
            plan.ours.push(frame);
            plan.log_len += u64::try_from(records.len())?;
            offset = next;
        }
    }

    /// CPU of the process `pid`, in microseconds a request.
    fn drive(&self, wire: &mut Wire, frames: &[Bytes], pid: u32, passes: usize) -> Result<f64> {
        let count = frames.len() * passes;
        let before = process_cpu(pid)?;
        let received = wire.drive(frames.iter().cycle().take(count), 1)?;
        let spent = process_cpu(pid)? - before;
        let expected = usize::try_from(self.log_len)? * passes;
        if received < expected {
            return Err(format!("{received} bytes came, of {expected}").into());
        }
        Ok(spent.as_secs_f64() * 1e6 / f64::from(u32::try_from(count)?))
    }
}

/// As long as the broker's request, so that receiving costs the same.
fn floor_frame(position: u64, len: usize, frame_len: usize) -> Result<Bytes> {
    let mut frame = Vec::with_capacity(frame_len);
    frame.extend_from_slice(&u32::try_from(frame_len - 4)?.to_be_bytes());
    frame.extend_from_slice(&position.to_be_bytes());
    frame.extend_from_slice(&u32::try_from(len)?.to_be_bytes());
    frame.extend_from_slice(&1_u32.to_be_bytes());
    frame.resize(frame_len, 0);
    Ok(frame.into())
}
