//! `cargo xtask bench`: the release broker, and the figures of `ottla-bench` about it.

use crate::command::{cargo, command, run, target_dir};
use crate::error::Result;

/// ARGS go to `ottla-bench`: names of benches, `--rounds N`, and `--check` to fail where a target is missed.
pub(crate) fn bench(args: &[String]) -> Result<()> {
    run(cargo().args(["build", "--release", "--package", "ottla-broker", "--package", "ottla-bench"]))?;
    run(command(target_dir().join("release/ottla-bench")).args(args))
}
