//! `cargo xtask bench`: the release broker, and the figures of `ottla-bench` about it.

use crate::command::{command, run};
use crate::error::Result;
use crate::release;

/// ARGS go to `ottla-bench`: names of benches, `--rounds N`, and `--check` to fail where a target is missed.
pub(crate) fn bench(args: &[String]) -> Result<()> {
    release::build_packages(&["ottla-broker", "ottla-bench"])?;
    run(command(release::program("ottla-bench")?).args(args))
}
