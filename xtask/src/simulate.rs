//! Whole clusters in simulated time: `crates/simulation`, built with optimisation and every assertion of ours.

use crate::command::{cargo, run, target_dir};
use crate::error::Result;

/// Builds the simulation in a target directory of its own, and runs it.
pub(crate) fn simulate(args: &[String]) -> Result<()> {
    let target = target_dir().join("simulation");
    let mut build = cargo();
    build.args(["build", "--quiet", "--profile", "simulate", "--package", "ottla-simulation"]);
    // Bugs are planted in it, and none acts unless it is chosen (`--mutations`, or `OTTLA_PLANTED`). tokio's random numbers can
    // come from the seed in such a build only.
    let build =
        build.env("CARGO_TARGET_DIR", &target).env("RUSTFLAGS", "--cfg ottla_planted --cfg tokio_unstable");
    run(build)?;
    run(crate::command::command(target.join("simulate").join("ottla-simulation")).args(args))
}
