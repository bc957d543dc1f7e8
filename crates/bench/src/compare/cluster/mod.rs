//! `ottla-bench cluster`: three brokers that replicate, Apache Kafka's and Ottla's, at the same work in turns. What is counted
//! is the sum of the three.

mod follower;
mod image;
mod many;
mod nodes;
mod produce;
mod stand_in;

use indicatif::ProgressBar;

use super::table::Table;
use super::{Plan, ballast, conclude, progress_bar};
use crate::Result;

/// Three JVMs and their page cache.
const FREE_GIB: u64 = 10;

type Work = fn(&Plan, &ProgressBar, &mut Table) -> Result<()>;

const WORKS: [(&str, Work); 4] = [
    ("produce", produce::run),
    ("follower-fetch", follower::run),
    ("many-partitions", many::run),
    ("metadata", image::run),
];

/// Runs what was asked for and prints the table; whether each target was met.
pub(crate) fn run(args: &[String]) -> Result<bool> {
    let plan = Plan::parse(args, FREE_GIB, &WORKS.map(|(name, _)| name))?;
    let progress = progress_bar()?;
    let _ballast = ballast::fill(plan.free)?;
    let mut table = Table::new(&plan.broker, plan.rounds);
    let mut outcome = Ok(());
    for (name, work) in WORKS {
        if outcome.is_ok() && plan.wants(name) {
            outcome = work(&plan, &progress, &mut table).map_err(|error| format!("{name}: {error}"));
        }
    }
    progress.finish_and_clear();
    conclude(&plan, "cluster", &table, outcome)
}
