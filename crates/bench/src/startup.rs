//! From exec to the first acks=all answer, on an empty directory.

use std::time::Instant;

use crate::broker::Server;
use crate::report::Report;
use crate::requests::{Requests, batch};
use crate::samples::Samples;
use crate::wire::Wire;
use crate::{Options, Result};

const FIRST_ANSWER_MS_MAX: f64 = 50.0;
/// A start is short, and disks differ from moment to moment.
const STARTS_PER_ROUND: usize = 3;

pub(crate) fn run(options: &Options, report: &mut Report) -> Result<()> {
    let (mut accepted, mut acked) = (Samples::default(), Samples::default());
    let requests = Requests::default();
    let frames = [requests.api_versions()?, requests.create_topic(1)?, requests.produce(batch(256)?)?];
    for _ in 0..options.rounds * STARTS_PER_ROUND {
        let server = Server::broker(&options.broker)?;
        drop(server.wait()?);
        accepted.push(millis_since(server.started));
        let mut wire = Wire::connect(server.address)?;
        wire.call(&frames[0])?;
        requests.check_create_topic(&wire.call(&frames[1])?)?;
        requests.check_produce(&wire.call(&frames[2])?)?;
        acked.push(millis_since(server.started));
    }
    report.limit("exec to a connection", &accepted, "ms", None);
    report.limit("exec to the first acks=all answer", &acked, "ms", Some(FIRST_ANSWER_MS_MAX));
    Ok(())
}

fn millis_since(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}
