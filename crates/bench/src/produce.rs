//! A producer with acks=all: the broker's CPU against a process that only receives, computes the CRC32C, writes and
//! answers.

use bytes::Bytes;

use crate::broker::{Server, data_dir};
use crate::measure::process_cpu;
use crate::report::Report;
use crate::requests::{Requests, batch};
use crate::samples::Turns;
use crate::wire::Wire;
use crate::{Options, Result};

/// Unanswered requests of the connection: what Kafka's producer allows itself.
const IN_FLIGHT: usize = 5;
/// Written before a round is measured.
const WARM_UP: usize = 16;

#[derive(Clone, Copy, Debug)]
struct Case {
    name: &'static str,
    batch_len: usize,
    /// Requests in a round.
    count: usize,
}

const CASES: [Case; 3] = [
    Case { name: "one record of 100 B", batch_len: 0, count: 40_000 },
    Case { name: "16 KB", batch_len: 16 << 10, count: 24_000 },
    Case { name: "1 MB", batch_len: 1 << 20, count: 512 },
];

pub(crate) fn run(options: &Options, report: &mut Report) -> Result<()> {
    for case in CASES {
        let frame = Requests::default().produce(batch(case.batch_len)?)?;
        let mut turns = Turns::default();
        for round in 0..=options.rounds {
            let (floor, ours) = (floor(&frame, case.count)?, ours(options, &frame, case.count)?);
            // The first round finds memory that nobody has used lately.
            if round > 0 {
                turns.push(floor, ours);
            }
        }
        report.ratio(&format!("produce {}", case.name), &turns, "us/request", None);
    }
    Ok(())
}

/// A fresh process a round: what a round has written is gone, and its pages serve the next one.
fn ours(options: &Options, frame: &Bytes, count: usize) -> Result<f64> {
    let server = Server::broker_with_topic(&options.broker)?;
    let mut wire = Wire::connect(server.address)?;
    Requests::default().check_produce(&wire.call(frame)?)?;
    drive(&mut wire, frame, server.pid(), count)
}

fn floor(frame: &Bytes, count: usize) -> Result<f64> {
    let dir = data_dir()?;
    let path = dir.path().join("floor").display().to_string();
    let server = Server::floor(&["produce", "0", &path])?;
    drive(&mut Wire::connect(server.address)?, frame, server.pid(), count)
}

/// CPU of the process `pid`, in microseconds a request.
fn drive(wire: &mut Wire, frame: &Bytes, pid: u32, count: usize) -> Result<f64> {
    wire.drive(std::iter::repeat_n(frame, WARM_UP), IN_FLIGHT)?;
    let before = process_cpu(pid)?;
    wire.drive(std::iter::repeat_n(frame, count), IN_FLIGHT)?;
    let spent = process_cpu(pid)? - before;
    Ok(spent.as_secs_f64() * 1e6 / f64::from(u32::try_from(count)?))
}
