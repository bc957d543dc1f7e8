//! `cargo xtask bench`: the release broker, and the figures of `ottla-bench` about it, `compare` and `cluster`
//! beside a real Kafka.

use crate::command::{command, run, target_dir};
use crate::error::Result;
use crate::{release, setup};

/// ARGS go to `ottla-bench`: names of benches, `--rounds N`, and `--check` to fail where a target is missed.
pub(crate) fn bench(args: &[String]) -> Result<()> {
    release::build_packages(&["ottla-broker", "ottla-bench"])?;
    let mut bench = command(release::program("ottla-bench")?);
    bench.args(args);
    let work = args.first().map_or("", String::as_str);
    if ["compare", "cluster"].contains(&work) {
        setup::run(true)?;
        bench.arg("--kafka").arg(setup::reference_libs()).arg("--out").arg(target_dir().join("bench"));
    }
    if work == "compare" {
        bench.arg("--tools").arg(setup::tools_libs()).arg("--rdkafka").arg(setup::rdkafka_performance()?);
    }
    run(&mut bench)
}
