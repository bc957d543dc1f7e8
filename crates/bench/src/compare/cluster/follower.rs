//! What a leader spends on a follower's fetches, beside the same fetches of a consumer. The follower is played: its broker has
//! been killed.

use indicatif::ProgressBar;
use ottla_model::Offset;

use super::super::Plan;
use super::super::fetch::{BATCH, LOG_LEN};
use super::super::load::{Load, Part};
use super::super::sides::Side;
use super::super::table::{Metric, Table, Three};
use super::super::usage::Usage;
use super::nodes::Cluster;
use crate::Result;
use crate::broker::Server;
use crate::requests::content_batch;
use crate::wire::Wire;

const FETCH_LEN: usize = 1 << 20;
/// Fetches of a round.
const COUNT: usize = 4_000;
/// A follower's fetches may cost so many times what a consumer's do.
const RATIO_MAX: f64 = 1.5;
const LEADER: i32 = 1;
const FOLLOWER: i32 = 3;

pub(super) fn run(plan: &Plan, progress: &ProgressBar, table: &mut Table) -> Result<()> {
    let mut cluster = Cluster::start(plan, Side::Ottla)?;
    let topic = cluster.create(&[vec![LEADER, FOLLOWER]])?;
    let (requests, leader) = (topic.requests.clone(), cluster.nodes[0].address);
    let batch = content_batch(BATCH)?;
    let frame = requests.produce_to(0, batch.bytes.clone())?;
    let mut wire = Wire::connect(leader)?;
    for _ in 0..LOG_LEN / batch.bytes.len() {
        requests.check_produce(&wire.call(&frame)?)?;
    }
    // The cluster goes as a whole, and the topic with it.
    std::mem::forget(topic);
    cluster.nodes.last_mut().ok_or("no node")?.kill()?;
    let (batches, step) = (LOG_LEN / batch.bytes.len(), FETCH_LEN / batch.bytes.len());
    let offsets: Vec<Offset> = (0..batches - 2 * step)
        .step_by(step)
        .map(|at| Ok(Offset(i64::try_from(at * batch.records)?)))
        .collect::<Result<_>>()?;
    let limit = i32::try_from(FETCH_LEN)?;
    let frames = |broker: i32| -> Result<Vec<_>> {
        offsets.iter().map(|offset| requests.fetch_as(broker, 0, *offset, limit)).collect()
    };
    let (consumer, follower) = (frames(-1)?, frames(FOLLOWER)?);
    let node: &Server = &cluster.nodes[0];
    let (mut consumed, mut followed) = (Three::default(), Three::default());
    progress.inc_length(plan.rounds as u64 * 2 + 2);
    for round in 0..=plan.rounds {
        for (frames, figures) in [(&consumer, &mut consumed), (&follower, &mut followed)] {
            progress.set_message(format!("follower's fetch, round {round}"));
            let load = Load {
                parts: vec![Part { frames: frames.clone(), count: plan.scaled(COUNT) }],
                in_flight: 1,
                last: None,
            };
            let before = Usage::of(node.pid())?;
            let driven = load.drive(node.address)?;
            let cpu = Usage::of(node.pid())?.since(before).cpu;
            if driven.answer_bytes < driven.requests * FETCH_LEN / 2 {
                return Err(format!("{} bytes for {} fetches", driven.answer_bytes, driven.requests).into());
            }
            if round > 0 {
                figures.push(Side::Ottla, cpu.as_secs_f64() / (driven.answer_bytes as f64 / 1e9));
            }
            progress.inc(1);
        }
    }
    let ratio = followed.ottla.over(&consumed.ottla);
    table.extend(vec![
        Metric::new(
            "fetch, 1 MB of one partition, a consumer's: CPU of the leader".to_owned(),
            "CPU-s/GB",
            consumed,
        ),
        Metric::new("the same, a follower's".to_owned(), "CPU-s/GB", followed),
        Metric::new("a follower's over a consumer's".to_owned(), "x", Three::of_ottla(ratio))
            .at_most(RATIO_MAX),
    ]);
    Ok(())
}
