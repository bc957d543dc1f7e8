//! `cargo xtask test`: every check and every test, in the order in which failures are cheapest to see.

use std::path::PathBuf;
use std::process::Command;

use crate::command::{cargo, run, target_dir};
use crate::error::Result;
use crate::summary::Summary;
use crate::{setup, structure};

/// Tests of one compat binary share its brokers and its JVM; more at once than cores only makes them slow.
const COMPAT_THREADS: &str = "--test-threads=2";

/// Sets up, checks, builds, tests; prints a table of the steps and the sums.
pub(crate) fn all() -> Result<()> {
    let mut summary = Summary::default();
    summary.step("setup", || setup::run(false));
    summary.step("format", || run(cargo().args(["fmt", "--all", "--check"])));
    summary.step("structure", structure::check);
    summary.step("clippy", || run(cargo().args(CLIPPY)));
    summary.step("doc", || run(cargo().args(DOC).env("RUSTDOCFLAGS", "-D warnings")));
    let built = summary.step("release build", build_release);
    summary.tests("unit tests", cargo().args(["test", "--workspace", "--exclude", "ottla-compat-tests"]));
    if built {
        summary.tests("compat tests", compat_command(&[]).env("OTTLA_BIN", release_binary()));
    }
    summary.finish()
}

const CLIPPY: [&str; 6] = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
const DOC: [&str; 3] = ["doc", "--workspace", "--no-deps"];

/// The compat tests alone, against a fresh release build.
pub(crate) fn compat(args: &[String]) -> Result<()> {
    setup::run(false)?;
    build_release()?;
    let mut summary = Summary::default();
    summary.tests("compat tests", compat_command(args).env("OTTLA_BIN", release_binary()));
    summary.finish()
}

/// The compat tests alone, against a real Apache Kafka: proof that a test asks for what Kafka does.
pub(crate) fn compat_against_kafka(args: &[String]) -> Result<()> {
    setup::run(true)?;
    let mut summary = Summary::default();
    summary.tests("compat tests against Kafka", compat_command(args).env("OTTLA_COMPAT_TARGET", "kafka"));
    summary.finish()
}

fn build_release() -> Result<()> {
    run(cargo().args(["build", "--release", "--package", "ottla-broker"]))
}

fn release_binary() -> PathBuf {
    target_dir().join("release/ottla")
}

fn compat_command(args: &[String]) -> Command {
    let mut command = cargo();
    command.args(["test", "--package", "ottla-compat-tests", "--no-fail-fast"]);
    let split = args.iter().position(|arg| arg == "--").unwrap_or(args.len());
    let (to_cargo, to_tests) = args.split_at(split);
    command.args(to_cargo).args(["--", COMPAT_THREADS]).args(to_tests.get(1..).unwrap_or_default());
    command
}
