//! Sixty-four producers that each wait until their record is on the disk (`flush.messages=1`).

use std::net::SocketAddr;

use indicatif::ProgressBar;

use super::Plan;
use super::load::{Driven, Load, Part};
use super::sides::{Side, Sides, Topic};
use super::table::{Metric, Table, Target, Three};

use crate::Result;
use crate::broker::{Server, data_dir};
use crate::requests::{Content, Requests, content_batch};

const PRODUCERS: usize = 64;
const PARTITIONS: i32 = 6;
/// Requests of a producer in a round.
const COUNT: usize = 200;
const BATCH: Content = Content::plain(0, 1_000);

pub(super) fn run(plan: &Plan, sides: &Sides, progress: &ProgressBar, table: &mut Table) -> Result<()> {
    let (mut rate, mut p99) = (Three::default(), Three::default());
    progress.inc_length((plan.rounds as u64 + 1) * 3);
    for round in 0..=plan.rounds {
        for side in Side::ALL {
            progress.set_message(format!("flush.messages=1: {}, round {round}", side.name()));
            let driven = one(plan, sides, side)?;
            progress.inc(1);
            // The first round warms up.
            if round > 0 {
                rate.push(side, driven.requests as f64 / driven.elapsed.as_secs_f64());
                p99.push(side, driven.latencies.value_at_quantile(0.99) as f64 / 1e3);
            }
        }
    }
    let name = "flush.messages=1, 64 producers of 1 KB";
    table.extend(vec![
        Metric::new(format!("{name}: rate"), "acks/s", rate).with(&[Target::at_least(5.0, Side::Kafka)]),
        Metric::new(format!("{name}: p99"), "ms", p99).with(&[Target::at_most(0.2, Side::Kafka)]),
    ]);
    Ok(())
}

fn one(plan: &Plan, sides: &Sides, side: Side) -> Result<Driven> {
    if side == Side::Floor {
        let dir = data_dir()?;
        let path = dir.path().join("floor").display().to_string();
        // An fdatasync behind each write: what a program without a group commit can do.
        let floor = Server::floor(&["flushed", "0", &path])?;
        return drive(plan, floor.address, &Requests::default());
    }
    let server = sides.broker(side);
    let topic = Topic::create(server, PARTITIONS, &[("flush.messages", "1")])?;
    drive(plan, server.address, &topic.requests)
}

fn drive(plan: &Plan, address: SocketAddr, requests: &Requests) -> Result<Driven> {
    let batch = content_batch(BATCH)?.bytes;
    let part = |number: usize| -> Result<Part> {
        let partition = i32::try_from(number)? % PARTITIONS;
        Ok(Part { frames: vec![requests.produce_to(partition, batch.clone())?], count: plan.scaled(COUNT) })
    };
    let parts = (0..PRODUCERS).map(part).collect::<Result<_>>()?;
    Load { parts, in_flight: 1, last: None }.drive(address)
}
