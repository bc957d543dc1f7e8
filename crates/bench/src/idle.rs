//! What a broker holds and does while nobody asks anything of it.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use crate::broker::Server;
use crate::measure::{process_cpu, status_bytes};
use crate::report::Report;
use crate::requests::{Requests, batch};
use crate::samples::Samples;
use crate::wire::Wire;
use crate::{Options, Result};

const RESIDENT_MIB_MAX: f64 = 20.0;
/// Until what a start leaves behind has settled.
const SETTLE: Duration = Duration::from_secs(2);
/// Long beside a clock tick.
const WATCH: Duration = Duration::from_secs(10);
/// A new `__consumer_offsets` is asked for again until its coordinator is there.
const COORDINATOR_TRIES: usize = 200;
const COORDINATOR_RETRY: Duration = Duration::from_millis(25);
const ROUNDS: usize = 3;

pub(crate) fn run(options: &Options, report: &mut Report) -> Result<()> {
    let mut empty = Resident::default();
    let mut used = Resident::default();
    let mut cpu = Samples::default();
    for round in 0..ROUNDS {
        let server = Server::broker(&options.broker)?;
        drop(server.wait()?);
        sleep(SETTLE);
        empty.take(server.pid())?;
        drop(server);

        let server = with_topics(&options.broker).map_err(|error| format!("a broker in use: {error}"))?;
        sleep(SETTLE);
        used.take(server.pid())?;
        if round == 0 {
            let before = process_cpu(server.pid())?;
            sleep(WATCH);
            let spent = process_cpu(server.pid())? - before;
            cpu.push(spent.as_secs_f64() / WATCH.as_secs_f64() * 100.0);
        }
    }
    empty.report("idle, empty directory", report);
    used.report("idle, a topic and 50 __consumer_offsets", report);
    report.limit("idle CPU, of one core", &cpu, "%", None);
    Ok(())
}

/// A broker that has served a little: a topic with a record, and a coordinator with all its partitions.
fn with_topics(binary: &Path) -> Result<Server> {
    let server = Server::broker_with_topic(binary)?;
    let mut wire = Wire::connect(server.address)?;
    let requests = Requests::default();
    requests.check_produce(&wire.call(&requests.produce(batch(256)?)?)?)?;
    let find = requests.find_coordinator()?;
    for _ in 0..COORDINATOR_TRIES {
        if requests.coordinator_error(&wire.call(&find)?)? == 0 {
            return Ok(server);
        }
        sleep(COORDINATOR_RETRY);
    }
    Err("the group coordinator does not come".into())
}

#[derive(Debug, Default)]
struct Resident {
    all: Samples,
    /// Without the program's own pages, which the page cache holds anyway.
    anonymous: Samples,
}

impl Resident {
    fn take(&mut self, pid: u32) -> Result<()> {
        let mib = |field| -> Result<f64> {
            let kib = u32::try_from(status_bytes(pid, field)? / 1024)?;
            Ok(f64::from(kib) / 1024.0)
        };
        self.all.push(mib("VmRSS")?);
        self.anonymous.push(mib("RssAnon")?);
        Ok(())
    }

    fn report(&self, what: &str, report: &mut Report) {
        report.limit(&format!("resident, {what}"), &self.all, "MiB", Some(RESIDENT_MIB_MAX));
        report.limit(&format!("of it anonymous, {what}"), &self.anonymous, "MiB", None);
    }
}
