//! What a broker of each kind takes to be there: time to the first acknowledged record, and memory.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use super::Plan;
use super::sides::{self, Side, Sides, Topic};
use super::table::{Metric, Table, Target, Three};
use crate::Result;
use crate::broker::Server;
use crate::measure::status_bytes;
use crate::requests::{Requests, batch};
use crate::wire::Wire;

const SETTLE: Duration = Duration::from_secs(3);
const MANY: i32 = 10_000;
const FIRST_ACK_WAIT: Duration = Duration::from_secs(60);

pub(super) fn run(plan: &Plan, sides: &Sides, progress: &ProgressBar, table: &mut Table) -> Result<()> {
    // Those of the whole run until here, under its load.
    let mut loaded = Three::default();
    for side in [Side::Kafka, Side::Ottla] {
        loaded.push(side, resident(sides.broker(side))?);
    }
    let (mut first, mut idle, mut many) = (Three::default(), Three::default(), Three::default());
    progress.inc_length(plan.rounds as u64 * 2 + 2);
    for round in 0..plan.rounds {
        for side in [Side::Kafka, Side::Ottla] {
            progress.set_message(format!("start: {}, round {round}", side.name()));
            let server = fresh(plan, side)?;
            first.push(side, first_ack(&server)?.as_secs_f64() * 1e3);
            sleep(SETTLE);
            idle.push(side, resident(&server)?);
            progress.inc(1);
        }
    }
    for side in [Side::Kafka, Side::Ottla] {
        progress.set_message(format!("{MANY} partitions: {}", side.name()));
        many.push(side, with_many(plan, side)?);
        progress.inc(1);
    }
    table.extend(vec![
        Metric::new("exec to the first acks=all answer".to_owned(), "ms", first).at_most(50.0),
        Metric::new("resident, idle".to_owned(), "MiB", idle).at_most(20.0),
        Metric::new("resident, after this run's load".to_owned(), "MiB", loaded).at_most(64.0),
        Metric::new(format!("resident, {MANY} partitions"), "MiB", many)
            .with(&[Target::at_most(0.1, Side::Kafka)]),
    ]);
    Ok(())
}

fn fresh(plan: &Plan, side: Side) -> Result<Server> {
    let kafka: &Path = &plan.kafka;
    if side == Side::Kafka { sides::real_kafka(kafka) } else { sides::ottla(&plan.broker) }
}

/// From exec: a topic, and a record of it.
fn first_ack(server: &Server) -> Result<Duration> {
    drop(server.wait()?);
    let mut wire = Wire::connect(server.address)?;
    let requests = Requests::default();
    let (create, produce) = (requests.create_topic(1)?, requests.produce(batch(256)?)?);
    let until = Instant::now() + FIRST_ACK_WAIT;
    requests.check_create_topic(&wire.call(&create)?)?;
    loop {
        match requests.check_produce(&wire.call(&produce)?) {
            Ok(()) => return Ok(server.started.elapsed()),
            Err(error) if Instant::now() > until => return Err(error),
            // Kafka answers the creation before its leader is there.
            Err(_) => sleep(Duration::from_millis(1)),
        }
    }
}

fn with_many(plan: &Plan, side: Side) -> Result<f64> {
    let server = fresh(plan, side)?;
    drop(server.wait()?);
    let topic = Topic::create(&server, MANY, &[])?;
    sleep(SETTLE);
    let found = resident(&server)?;
    // Its directory goes with it; 10,000 topics need not be deleted one by one.
    std::mem::forget(topic);
    Ok(found)
}

/// In MiB.
fn resident(server: &Server) -> Result<f64> {
    Ok(status_bytes(server.pid(), "VmRSS")? as f64 / f64::from(1 << 20))
}
