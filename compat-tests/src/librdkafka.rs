//! librdkafka's own test programs: one process a test number, as its README asks of whoever looks for the cause of a
//! failure; a few of them beside each other, because most of their time is waiting.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::layout::{cache_dir, crate_dir, scratch_dir};
use crate::nodes::Nodes;
use crate::outcomes::{Outcome, Outcomes};
use crate::process::{bound_command, spawn, wait_at_most};

/// After this a test is killed; the longest (0113) takes three minutes.
const LIMIT: Duration = Duration::from_secs(480);

/// Tests at once.
const WORKERS: usize = 8;

/// The numbers that take over a minute: they start first.
const LONG: [&str; 8] = ["0113", "0081", "0089", "0076", "0091", "0045", "0026", "0137"];

/// What librdkafka's scenario `default` sets for its cluster; its tests start several members and expect that they are in
/// the first generation together; and they sleep for five, ten or eleven seconds and count what a heartbeat brought by
/// then (0118, 0091, 0089): one every five seconds falls on the very end of these, one every three does not.
const SETTINGS: [(&str, &str); 4] = [
    ("num.partitions", "4"),
    ("group.initial.rebalance.delay.ms", "1000"),
    ("group.consumer.min.heartbeat.interval.ms", "3000"),
    ("group.consumer.heartbeat.interval.ms", "3000"),
];

/// The tests of its scenario `noautocreate`, where the broker makes no topic on being asked about it.
const NO_AUTO_CREATE: [&str; 4] = [
    "0045_subscribe_update_non_exist_and_partchange",
    "0045_subscribe_update_topic_remove",
    "0107_topic_recreate",
    "0111_delay_create_topics",
];

/// Tests whose own requests race with each other, whatever the broker does: one that fails beside others runs once more,
/// alone, and must pass then.
///
/// - 0086 holds the answers of a connection back as soon as its first Produce is answered, and expects a second Produce to
///   be sent all the same, with one request in flight: a GetTelemetrySubscriptions or Metadata that the client's main thread
///   puts between the two leaves it waiting.
const RACES: [&str; 1] = ["0086_purge_remote"];

/// How the whole suite is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    Classic,
    /// Every producer is idempotent (`-P`).
    Idempotent,
    /// Every consumer group speaks the protocol of KIP-848.
    Consumer,
}

/// Tests that run in one process: the number selects them, and the scenario. Of a test that is a long row of subtests,
/// some of which cannot pass, the list names `TEST/PART`: the subtests with `PART` in their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Program<'a> {
    number: &'a str,
    auto_create: bool,
    part: Option<&'a str>,
}

impl<'a> Program<'a> {
    fn of(name: &'a str) -> Self {
        let (test, part) = name.split_once('/').map_or((name, None), |(test, part)| (test, Some(part)));
        let number = test.split('_').next().unwrap_or(test);
        Self { number, auto_create: !NO_AUTO_CREATE.contains(&test), part }
    }

    /// As part of a file's or a topic's name.
    fn label(self) -> String {
        let scenario = if self.auto_create { "" } else { "-noautocreate" };
        format!("{}{scenario}{}", self.number, self.part.map(|part| format!("-{part}")).unwrap_or_default())
    }
}

/// Runs the tests of these names, and what shares a number with them.
pub fn run(pass: Pass, names: &BTreeSet<&str>) -> Outcomes {
    let mut programs: BTreeMap<Program<'_>, BTreeSet<&str>> = BTreeMap::new();
    for name in names {
        programs.entry(Program::of(name)).or_default().insert(name);
    }
    let suite = Suite::start(pass, programs.keys().any(|program| !program.auto_create));
    let mut programs: Vec<_> = programs.into_iter().collect();
    let rank = |number| LONG.iter().position(|long| *long == number).unwrap_or(LONG.len());
    programs.sort_by_key(|(program, _)| rank(program.number));
    let queue = Mutex::new(programs.into_iter());
    let outcomes = Mutex::new(Outcomes::default());
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    // In a `while let` the queue would stay locked while the test runs.
                    let next = lock(&queue).next();
                    let Some((program, names)) = next else { break };
                    let done = suite.run(program, &names);
                    lock(&outcomes).extend(done);
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    for name in RACES {
        if outcomes.of(name) == Some(&Outcome::Failed) {
            println!("{name}: once more, alone");
            outcomes.extend(suite.run(Program::of(name), &BTreeSet::from([name])));
        }
    }
    outcomes
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where `cargo xtask setup` unpacked and built it.
fn build_dir() -> PathBuf {
    cache_dir().join("librdkafka/build")
}

/// The brokers of one pass.
struct Suite {
    pass: Pass,
    nodes: Nodes,
    without_auto_create: Option<Nodes>,
    dir: PathBuf,
}

impl Suite {
    fn start(pass: Pass, both: bool) -> Self {
        let without_auto_create = both.then(|| {
            let settings = [&SETTINGS[..], &[("auto.create.topics.enable", "false")]].concat();
            Nodes::start(&settings)
        });
        let dir = scratch_dir("librdkafka");
        // Tests read what lies beside their sources as `../src/FILE`.
        fs::create_dir(dir.join("tests")).expect("create the working directory");
        symlink(build_dir().join("src"), dir.join("src")).expect("link the sources");
        Self { pass, nodes: Nodes::start(&SETTINGS), without_auto_create, dir }
    }

    fn run(&self, program: Program<'_>, names: &BTreeSet<&str>) -> Outcomes {
        let from = Instant::now();
        let files = Files::within(&self.dir, program);
        let mut child = spawn(self.command(program, &files)).expect("start librdkafka's test runner");
        let status = wait_at_most(&mut child, LIMIT);
        if status.is_none() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let absent = if status.is_none() { Outcome::TimedOut } else { Outcome::Failed };
        let mut outcomes: Outcomes = names.iter().map(|name| ((*name).to_owned(), absent.clone())).collect();
        outcomes.extend(files.outcomes(program, names));
        for (name, outcome) in outcomes.iter() {
            println!("{name}: {outcome} after {:.1} s ({:?})", from.elapsed().as_secs_f64(), self.pass);
        }
        if outcomes.iter().any(|(_, outcome)| *outcome != Outcome::Passed) {
            println!("{}", files.log_tail());
        }
        outcomes
    }

    fn command(&self, program: Program<'_>, files: &Files) -> Command {
        let nodes = if program.auto_create { Some(&self.nodes) } else { self.without_auto_create.as_ref() };
        let address = nodes.expect("started because a test needs it").bootstrap();
        // The multiplier is for a machine with two cores that compiles something else meanwhile.
        let conf = format!(
            "bootstrap.servers={address}\ntest.topic.prefix=lrk{}\ntest.timeout.multiplier=3\n",
            program.label()
        );
        fs::write(&files.conf, conf).expect("write the test configuration");
        let log = fs::File::create(&files.log).expect("create the log");
        let build = build_dir();
        let mut command = bound_command(build.join("tests/test-runner"));
        command
            .current_dir(self.dir.join("tests"))
            .args(["-p1", "-L"])
            .env("LD_LIBRARY_PATH", format!("{0}/src:{0}/src-cpp", build.display()))
            .env("TESTS", program.number)
            .env("TEST_KAFKA_VERSION", "4.0.0")
            .env("TEST_SCENARIO", if program.auto_create { "default" } else { "noautocreate" })
            .env("RDKAFKA_TEST_CONF", &files.conf)
            .env("TEST_REPORT", &files.report)
            // What it calls `kafka-topics.sh` of, and with.
            .env("KAFKA_PATH", crate_dir().join("librdkafka-suite"))
            .env("KAFKA_LIBS", cache_dir().join("tools/libs"))
            .env("BROKERS", address)
            // It would take its own, longer, time limits in CI.
            .env_remove("CI")
            .stdin(Stdio::null())
            .stderr(log.try_clone().expect("a second handle of the log"))
            .stdout(log);
        if let Some(part) = program.part {
            command.env("SUBTESTS", part);
        }
        match self.pass {
            Pass::Classic => {}
            Pass::Idempotent => drop(command.arg("-P")),
            Pass::Consumer => drop(command.env("TEST_CONSUMER_GROUP_PROTOCOL", "consumer")),
        }
        command
    }
}

/// What one process reads and writes.
struct Files {
    conf: PathBuf,
    report: PathBuf,
    log: PathBuf,
}

impl Files {
    fn within(dir: &Path, program: Program<'_>) -> Self {
        let file = |ending| dir.join(format!("{}.{ending}", program.label()));
        Self { conf: file("conf"), report: file("json"), log: file("log") }
    }

    /// The tests of this number that ran, and those of `names` that did not want to; none if the process did not come
    /// to its end.
    fn outcomes(&self, program: Program<'_>, names: &BTreeSet<&str>) -> Outcomes {
        let report = fs::read_to_string(&self.report).unwrap_or_default();
        let json: serde_json::Value = serde_json::from_str(&report).unwrap_or_default();
        let tests = json["tests"].as_object().into_iter().flatten();
        tests
            .filter(|(name, _)| name.starts_with(program.number))
            .filter_map(|(name, test)| {
                let name = program.part.map_or_else(|| name.clone(), |part| format!("{name}/{part}"));
                let outcome = self.outcome(program, names.contains(&*name), test["state"].as_str()?)?;
                Some((name, outcome))
            })
            .collect()
    }

    fn outcome(&self, program: Program<'_>, is_wanted: bool, state: &str) -> Option<Outcome> {
        match state {
            // A part that no subtest bears would pass by doing nothing.
            "PASSED" if program.part.is_some() && !self.log().contains(": PASS (") => Some(Outcome::Failed),
            "PASSED" => Some(Outcome::Passed),
            "FAILED" | "RUNNING" => Some(Outcome::Failed),
            // It says so too of tests of other scenarios and of those without a broker.
            "SKIPPED" if is_wanted => Some(Outcome::Skipped),
            _ => None,
        }
    }

    /// What it printed.
    fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The end of what it printed, without the colours.
    fn log_tail(&self) -> String {
        let text = self.log().replace('\u{1b}', "");
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(25)..].join("\n")
    }
}
