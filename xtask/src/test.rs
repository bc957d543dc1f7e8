//! `cargo xtask test`: every check and every test, in the order in which failures are cheapest to see.

use std::process::Command;

use crate::command::{cargo, run};
use crate::error::{Error, Result};
use crate::summary::{Beside, Summary};
use crate::{dist, release, setup, structure};

/// Tests of one compat binary share its brokers and its JVM; more at once than cores only makes them slow.
const COMPAT_THREADS: &str = "--test-threads=2";

/// How much of other people's suites runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// What their lists mark as quick.
    Quick,
    Whole,
}

impl Scope {
    /// Whole when the arguments begin with `--all`; the other arguments.
    pub(crate) fn of(args: &[String]) -> (Self, &[String]) {
        match args.split_first() {
            Some((first, rest)) if first == "--all" => (Scope::Whole, rest),
            _ => (Scope::Quick, args),
        }
    }
}

/// Sets up, checks, builds, tests; prints a table of the steps and the sums.
pub(crate) fn all(scope: Scope) -> Result<()> {
    let mut summary = Summary::default();
    // Setting up waits for the network, and the linker at the end of a release build for one core.
    let release = Beside::start("release build", dist::dist);
    summary.step("setup", || setup::run(true));
    summary.step("format", || run(cargo().args(["fmt", "--all", "--check"])));
    summary.step("structure", structure::check);
    summary.step("clippy", || run(cargo().args(CLIPPY)));
    summary.step("doc", || run(cargo().args(DOC).env("RUSTDOCFLAGS", "-D warnings")));
    let built = summary.join(release);
    summary.tests("unit tests", cargo().args(UNIT_TESTS));
    if built {
        compat_tests(&mut summary, scope, &[])?;
    }
    summary.finish()
}

/// The compat tests, and after a whole run the page that is made of it.
fn compat_tests(summary: &mut Summary, scope: Scope, args: &[String]) -> Result<()> {
    let mut command = compat_command(args);
    command.env("OTTLA_BIN", release::broker()?);
    if scope == Scope::Quick {
        summary.tests("compat tests", &mut command);
        return Ok(());
    }
    summary.tests("compat tests, whole", command.env("OTTLA_COMPAT_WHOLE", "1"));
    if args.is_empty() {
        let mut page = compat_command(&["--test".to_owned(), "scoreboard".to_owned()]);
        summary.step("docs/COMPATIBILITY.md", || run(page.env("OTTLA_UPDATE", "1")));
    }
    Ok(())
}

const CLIPPY: [&str; 6] = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
const UNIT_TESTS: [&str; 5] = ["test", "--workspace", "--exclude", "ottla-compat-tests", "--no-fail-fast"];
const DOC: [&str; 3] = ["doc", "--workspace", "--no-deps"];

/// The compat tests alone, against a fresh release build.
pub(crate) fn compat(args: &[String]) -> Result<()> {
    setup::run(false)?;
    dist::dist()?;
    let mut summary = Summary::default();
    let (scope, args) = Scope::of(args);
    compat_tests(&mut summary, scope, args)?;
    summary.finish()
}

/// franz-go's and librdkafka's own tests (or what `args` select) against three release brokers.
pub(crate) fn compat_of_three(args: &[String]) -> Result<()> {
    setup::run(false)?;
    release::build()?;
    let (scope, args) = Scope::of(args);
    let all = ["--test", "kgo", "--test", "librdkafka"].map(str::to_owned);
    let mut command = compat_command(if args.is_empty() { &all } else { args });
    command.env("OTTLA_BIN", release::broker()?).env("OTTLA_SUITE_NODES", "3");
    if scope == Scope::Whole {
        command.env("OTTLA_COMPAT_WHOLE", "1");
    }
    let mut summary = Summary::default();
    summary.tests("client suites, three brokers", &mut command);
    summary.finish()
}

/// kill -9 with everything running, so often, or 500 times.
pub(crate) fn crash(args: &[String]) -> Result<()> {
    let kills = args.first().map_or("500", String::as_str);
    setup::run(false)?;
    release::build()?;
    let args = ["--test", "crash", "--", "--nocapture", "what_was_answered"].map(str::to_owned);
    let mut command = compat_command(&args);
    command.env("OTTLA_BIN", release::broker()?).env("OTTLA_CRASH_KILLS", kills);
    let mut summary = Summary::default();
    summary.tests("kill -9 with everything running", &mut command);
    summary.finish()
}

/// So many blows (60) to three brokers in each of two ways: processes that die and stand still, and a network that fails.
pub(crate) fn survive(args: &[String]) -> Result<()> {
    let blows = args.first().map_or("60", String::as_str);
    if blows.parse::<u64>().is_err() {
        return Err(Error::Usage(blows.to_owned()));
    }
    setup::run(false)?;
    release::build()?;
    let args = ["--test", "survival", "--", "--nocapture", "nothing_is_lost"].map(str::to_owned);
    let mut command = compat_command(&args);
    command.env("OTTLA_BIN", release::broker()?).env("OTTLA_SURVIVE_BLOWS", blows);
    let mut summary = Summary::default();
    summary.tests("three brokers under blows", &mut command);
    summary.finish()
}

/// How long clients wait when a node of three goes, beside a real Kafka.
pub(crate) fn failover(args: &[String]) -> Result<()> {
    setup::run(true)?;
    release::build()?;
    let mut program = cargo();
    program.args(["run", "--quiet", "--package", "ottla-compat-tests", "--bin", "failover", "--"]);
    run(program.args(args).env("OTTLA_BIN", release::broker()?))
}

/// Power cuts by so many seeds, or 10,000. In a debug build: its assertions are part of the test, and it is quick enough.
pub(crate) fn power(args: &[String]) -> Result<()> {
    let seeds = args.first().map_or("10000", String::as_str);
    if seeds.parse::<u64>().is_err() {
        return Err(Error::Usage(seeds.to_owned()));
    }
    let mut summary = Summary::default();
    let mut cut = |what, package: &str, tests: &[&str]| {
        let mut command = cargo();
        command.args(["test", "--package", package]).args(tests).args(["--", "--nocapture"]);
        summary.tests(what, command.env("OTTLA_POWER_SEEDS", seeds));
    };
    cut("power cuts: log dirs", "ottla-storage", &["--test", "power"]);
    cut("power cuts: the metadata log, votes and pointers", "ottla-controller", &["--lib", "power"]);
    cut("power cuts: groups", "ottla-group-coordinator", &["--lib", "power"]);
    summary.finish()
}

/// The compat tests alone, against a real Apache Kafka: proof that a test asks for what Kafka does.
pub(crate) fn compat_against_kafka(args: &[String]) -> Result<()> {
    setup::run(true)?;
    let mut summary = Summary::default();
    summary.tests("compat tests against Kafka", compat_command(args).env("OTTLA_COMPAT_TARGET", "kafka"));
    summary.finish()
}

/// The official tools' output beside that on a real Apache Kafka: `record` writes Kafka's down, `verify` runs Kafka against
/// its recording, `compare` Ottla.
pub(crate) fn tool_differential(args: &[String]) -> Result<()> {
    let (on_kafka, what) = match args.first().map_or("compare", String::as_str) {
        "record" => (true, "tools on Kafka, recorded"),
        "verify" => (true, "tools on Kafka"),
        "compare" => (false, "tools on Ottla"),
        other => return Err(Error::Usage(format!("tool-differential {other}"))),
    };
    setup::run(on_kafka)?;
    let mut command_args = vec!["--test".to_owned(), "tool_differential".to_owned(), "--".to_owned()];
    command_args.extend(args.iter().skip(1).cloned());
    let mut command = compat_command(&command_args);
    if on_kafka {
        command.env("OTTLA_COMPAT_TARGET", "kafka");
    } else {
        release::build()?;
        command.env("OTTLA_BIN", release::broker()?);
    }
    if args.first().is_some_and(|mode| mode == "record") {
        command.env("OTTLA_DIFFERENTIAL", "record");
    }
    let mut summary = Summary::default();
    summary.tests(what, &mut command);
    summary.finish()
}

/// The differential conversations by hand: what is asked of a real Kafka needs its jars, what of Ottla a build.
pub(crate) fn differential(args: &[String]) -> Result<()> {
    let command = args.first().map_or("", String::as_str);
    if matches!(command, "record" | "verify" | "compare" | "kafka") {
        setup::run(true)?;
    }
    if matches!(command, "replay" | "compare" | "show") {
        release::build()?;
    }
    let mut program = cargo();
    program.args(["run", "--quiet", "--package", "ottla-compat-tests", "--bin", "differential", "--"]);
    run(program.args(args).env("OTTLA_BIN", release::broker()?))
}

/// One of the tests of `compat-tests/tests/bounds` for longer than the test command has time, with what it measured; its
/// clients share the machine, and so are optimized, too.
pub(crate) fn bounds(test: &str, variable: &str, seconds: &str) -> Result<()> {
    if seconds.parse::<u64>().is_err() {
        return Err(Error::Usage(seconds.to_owned()));
    }
    release::build()?;
    let mut args = release::flags()?.to_vec();
    args.extend(["--test", "bounds", test, "--", "--nocapture"].map(str::to_owned));
    let mut command = compat_command(&args);
    command.env("RUSTFLAGS", release::RUSTFLAGS).env("OTTLA_BIN", release::broker()?).env(variable, seconds);
    run(&mut command)
}

fn compat_command(args: &[String]) -> Command {
    let mut command = cargo();
    command.args(["test", "--package", "ottla-compat-tests", "--no-fail-fast"]);
    let split = args.iter().position(|arg| arg == "--").unwrap_or(args.len());
    let (to_cargo, to_tests) = args.split_at(split);
    command.args(to_cargo).args(["--", COMPAT_THREADS]).args(to_tests.get(1..).unwrap_or_default());
    command
}
