//! `cargo xtask bench`: the release broker, and the figures of `ottla-bench` about it, `compare` beside a real Kafka.

use crate::command::{command, run, target_dir};
use crate::error::Result;
use crate::{release, setup};

/// ARGS go to `ottla-bench`: names of benches, `--rounds N`, and `--check` to fail where a target is missed.
pub(crate) fn bench(args: &[String]) -> Result<()> {
    release::build_packages(&["ottla-broker", "ottla-bench"])?;
    let mut bench = command(release::program("ottla-bench")?);
    bench.args(args);
    if args.first().is_some_and(|arg| arg == "compare") {
        setup::run(true)?;
        bench.arg("--tools").arg(setup::tools_libs());
        bench.arg("--kafka").arg(setup::reference_libs()).arg("--out").arg(target_dir().join("bench"));
    }
    run(&mut bench)
}
