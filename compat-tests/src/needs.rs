//! What a test needs beside the broker. Missing: said loudly and skipped at a desk, a failure in CI (`CI=true`).

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::layout::{cache_dir, target_dir};
use crate::target::Target;

/// A program or artefact that `cargo xtask setup` provides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The broker to test: our binary, or the reference's jars and Java.
    Broker,
    /// A real Kafka beside it: the reference's jars and Java.
    Kafka,
    /// The official command-line tools: jars and our `ToolRunner`, and Java.
    Tools,
    Kcat,
    /// franz-go's compiled live tests.
    Kgo,
    /// The rdkafka crate's compiled integration tests.
    RdkafkaSuite,
    /// librdkafka's own tests, compiled.
    Librdkafka,
    /// Python environments with the client libraries.
    Python,
    /// Node packages.
    Node,
    /// Our Go client programs, compiled.
    Go,
    /// File systems of our own: mount namespaces, as root or as a user.
    Mounts,
    /// Networks of our own: network namespaces joined by a bridge, as root.
    Networks,
    /// Prometheus and promtool.
    Prometheus,
    /// buildah, as root: it makes the image's file system.
    Buildah,
    /// What `cargo xtask dist` makes.
    Dist,
    /// strace, and the permission to trace.
    Strace,
}

const MAKE_A_NETWORK: &str = "ip netns add may-we-$$ && ip link add may-we-$$ type bridge && ip link del may-we-$$ \
                              && ip netns del may-we-$$";

impl Need {
    fn missing(self) -> Option<String> {
        let cache = cache_dir();
        match self {
            Need::Broker => Target::current().missing(),
            Need::Tools => {
                missing_program("java").or_else(|| missing_file(cache.join("classes/ToolRunner.class")))
            }
            Need::Kafka => Target::Kafka.missing(),
            Need::Kcat => missing_program("kcat"),
            Need::Kgo => missing_file(cache.join("kgo/kgo.test")),
            Need::RdkafkaSuite => missing_file(cache.join("rdkafka/suite.txt")),
            Need::Librdkafka => missing_file(cache.join("librdkafka/build/tests/test-runner")),
            Need::Python => missing_file(cache.join("clients/python-newest/ready"))
                .or_else(|| missing_file(cache.join("clients/python-oldest/ready"))),
            Need::Node => missing_program("node").or_else(|| missing_file(cache.join("clients/node/ready"))),
            Need::Go => missing_file(cache.join("clients/go/oldest")),
            Need::Mounts => {
                refused("mounts in a namespace", "unshare", &["-rm", "mount", "-t", "tmpfs", "none", "/tmp"])
            }
            Need::Networks => missing_program("ip").or_else(|| {
                refused("network namespaces and bridges, as root", "sh", &["-c", MAKE_A_NETWORK])
            }),
            Need::Prometheus => missing_file(cache.join("prometheus/usr/bin/prometheus")),
            Need::Buildah => missing_program("buildah")
                .or_else(|| refused("building images as root", "sh", &["-c", "test $(id -u) = 0"])),
            Need::Dist => missing_file(target_dir().join("dist/image/usr/bin/ottla")),
            Need::Strace => missing_program("strace")
                .or_else(|| refused("tracing with strace", "strace", &["-f", "-e", "trace=none", "true"])),
        }
    }
}

/// True when all needs are met. Otherwise prints what is missing, and panics in CI.
pub fn met(needs: &[Need]) -> bool {
    let missing: Vec<String> = needs.iter().filter_map(|need| need.missing()).collect();
    if missing.is_empty() {
        return true;
    }
    let text = format!("missing: {} (run `cargo xtask setup`)", missing.join(", "));
    assert!(!in_ci(), "{text}");
    say(&format!("SKIPPED, {text}"));
    false
}

/// Says aloud that a test speaks of one target only; true when the current target is that one.
pub fn only_on(target: Target) -> bool {
    if Target::current() == target {
        return true;
    }
    say(&format!("SKIPPED: speaks of {target:?} only"));
    false
}

/// On stderr itself: the test runner swallows what a passing test prints with the macros.
fn say(text: &str) {
    let thread = std::thread::current();
    let _ = writeln!(std::io::stderr(), "{}: {text}", thread.name().unwrap_or("test"));
}

/// `CI=true`: nothing may be skipped.
pub fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}

/// Names what the machine does not let us do.
fn refused(what: &str, program: &str, args: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    let status = command.args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if status.is_ok_and(|status| status.success()) { None } else { Some(format!("permission: {what}")) }
}

pub(crate) fn missing_program(name: &str) -> Option<String> {
    let found = Command::new("which").arg(name).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if found.is_ok_and(|status| status.success()) { None } else { Some(format!("program {name}")) }
}

pub(crate) fn missing_file(path: PathBuf) -> Option<String> {
    if path.exists() { None } else { Some(path.display().to_string()) }
}

/// Ends a test early when what it needs is missing (`CI=true`: fails it).
#[macro_export]
macro_rules! needs {
    ($($need:ident),+ $(,)?) => {
        if !$crate::needs::met(&[$($crate::needs::Need::$need),+]) {
            return;
        }
    };
}
