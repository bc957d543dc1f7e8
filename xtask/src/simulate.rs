//! Whole clusters in simulated time: `crates/simulation`, built with optimisation and every assertion.

use crate::command::{cargo, run, target_dir};
use crate::error::Result;

/// Builds the simulation in a target directory of its own, and runs it.
pub(crate) fn simulate(args: &[String]) -> Result<()> {
    let target = target_dir().join("simulation");
    let mut build = cargo();
    build.args(["build", "--quiet", "--profile", "simulate", "--package", "ottla-simulation"]);
    run(build.env("CARGO_TARGET_DIR", &target))?;
    run(crate::command::command(target.join("simulate").join("ottla-simulation")).args(args))
}
