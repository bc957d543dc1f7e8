//! A consumer with a fetch session of many partitions of which one has something new: what an answer costs, beside a
//! session of that partition alone.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use indicatif::ProgressBar;

use super::Plan;
use super::sides::{Side, Sides, Topic};
use super::table::{Metric, Table, Target, Three};
use super::usage::Usage;
use ottla_model::Offset;

use crate::Result;
use crate::broker::Server;
use crate::requests::{Content, SessionStep, content_batch};
use crate::wire::Wire;

const MANY: i32 = 1_000;
const ROUND_TRIPS: usize = 5_000;
/// A session of many shall cost at most so much more than one of one, where one partition changes.
const MANY_TO_ONE_MAX: f64 = 1.5;

pub(super) fn run(plan: &Plan, sides: &Sides, progress: &ProgressBar, table: &mut Table) -> Result<()> {
    let (mut many, mut one) = (Three::default(), Three::default());
    progress.inc_length((plan.rounds as u64 + 1) * 4);
    for round in 0..=plan.rounds {
        for side in [Side::Kafka, Side::Ottla] {
            for (partitions, figures) in [(1, &mut one), (MANY, &mut many)] {
                progress.set_message(format!("session of {partitions}: {}, round {round}", side.name()));
                let cpu = changes(plan, sides.broker(side), partitions)?;
                // The first round warms up.
                if round > 0 {
                    figures.push(side, cpu.as_secs_f64() * 1e6 / plan.scaled(ROUND_TRIPS) as f64);
                }
                progress.inc(1);
            }
        }
    }
    let ratio = many.ottla.over(&one.ottla);
    let name = format!("fetch session of {MANY} partitions, one changed, with the produce that changes it");
    table.extend(vec![
        Metric::new("the same with one partition".to_owned(), "us", one),
        Metric::new(name, "us", many).with(&[Target::at_most(1.0, Side::Kafka)]),
        Metric::new(format!("{MANY} partitions over one, Ottla"), "x", Three::of_ottla(ratio))
            .at_most(MANY_TO_ONE_MAX),
    ]);
    Ok(())
}

/// Produces one record and fetches it, again and again; the broker's CPU.
fn changes(plan: &Plan, server: &Server, partitions: i32) -> Result<Duration> {
    let topic = Topic::create(server, partitions, &[])?;
    let produce = topic.requests.produce_to(0, content_batch(Content::plain(0, 100))?.bytes)?;
    let (mut producer, mut consumer) = (Wire::connect(server.address)?, Wire::connect(server.address)?);
    let mut session = Session::begin(&topic, &mut consumer, partitions)?;
    let before = Usage::of(server.pid())?;
    for _ in 0..plan.scaled(ROUND_TRIPS) {
        topic.requests.check_produce(&producer.call(&produce)?)?;
        session.step(&topic, &mut consumer)?;
    }
    Ok(Usage::of(server.pid())?.since(before).cpu)
}

struct Session {
    id: i32,
    epoch: i32,
    offset: i64,
}

impl Session {
    /// The full fetch, then one of what has changed, so that the answer to come has one partition.
    fn begin(topic: &Topic, wire: &mut Wire, partitions: i32) -> Result<Self> {
        let step = SessionStep {
            id: 0,
            epoch: 0,
            partitions: (0..partitions).map(|p| (p, Offset(0))).collect(),
            wait_ms: 0,
        };
        let answer: BytesMut = wire.call(&topic.requests.session_fetch(&step)?)?;
        let (id, _) = topic.requests.session_fetched(&answer)?;
        if id == 0 {
            return Err("the broker gave no fetch session".into());
        }
        Ok(Self { id, epoch: 1, offset: 0 })
    }

    fn step(&mut self, topic: &Topic, wire: &mut Wire) -> Result<()> {
        let step = SessionStep {
            id: self.id,
            epoch: self.epoch,
            partitions: vec![(0, Offset(self.offset))],
            wait_ms: 5_000,
        };
        let frame: Bytes = topic.requests.session_fetch(&step)?;
        let (_, answered) = topic.requests.session_fetched(&wire.call(&frame)?)?;
        if answered != 1 {
            return Err(format!("{answered} partitions were answered, where one had changed").into());
        }
        self.epoch += 1;
        self.offset += 1;
        Ok(())
    }
}
