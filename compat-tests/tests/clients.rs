//! Small programs over other languages' client libraries: topic, produce, consume in a group, commit, admin.

use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use ottla_compat_tests::layout::{cache_dir, crate_dir};
use ottla_compat_tests::process::{bound_command, run};
use ottla_compat_tests::{Broker, needs};

static BROKER: LazyLock<Broker> = LazyLock::new(Broker::start);

#[track_caller]
fn succeeds(mut command: Command, args: &[&str]) {
    command.args(args).arg(BROKER.address());
    ends_well(command, Duration::from_secs(90));
}

#[track_caller]
fn ends_well(command: Command, limit: Duration) {
    let output = run(command, None, limit);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success() && text(&output.stdout).trim_end().ends_with("ok"),
        "{}\n{}\n{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
}

fn python() -> Command {
    let mut command = bound_command(cache_dir().join("python/venv/bin/python"));
    command.arg(crate_dir().join("python/clients.py"));
    command
}

fn go() -> Command {
    bound_command(cache_dir().join("go/clients"))
}

#[test]
fn confluent_kafka_with_the_classic_protocol() {
    needs!(Broker, Python);
    succeeds(python(), &["confluent-classic"]);
}

#[test]
fn confluent_kafka_with_the_consumer_protocol() {
    needs!(Broker, Python);
    succeeds(python(), &["confluent-consumer"]);
}

/// Heartbeats twice a second, so that a group gets through many steps in little time.
fn rolls(strategy: &str) {
    static BROKER: LazyLock<Broker> = LazyLock::new(|| {
        Broker::start_with(&[
            ("group.consumer.min.heartbeat.interval.ms", "500"),
            ("group.consumer.heartbeat.interval.ms", "500"),
            ("group.initial.rebalance.delay.ms", "0"),
        ])
    });
    let mut command = bound_command(cache_dir().join("python/venv/bin/python"));
    command.arg(crate_dir().join("python/rolling.py")).args([strategy, &BROKER.address()]);
    ends_well(command, Duration::from_secs(300));
}

#[test]
fn eager_members_roll_to_the_consumer_protocol_and_back() {
    needs!(Broker, Python);
    rolls("range");
}

#[test]
fn cooperative_members_roll_to_the_consumer_protocol_and_back() {
    needs!(Broker, Python);
    rolls("cooperative-sticky");
}

#[test]
fn kafka_python() {
    needs!(Broker, Python);
    succeeds(python(), &["kafka-python"]);
}

#[test]
fn aiokafka() {
    needs!(Broker, Python);
    succeeds(python(), &["aiokafka"]);
}

#[test]
fn kafkajs() {
    needs!(Broker, Node);
    let mut node = bound_command("node");
    node.env("NODE_PATH", cache_dir().join("node/node_modules")).arg(crate_dir().join("node/clients.js"));
    succeeds(node, &[]);
}

#[test]
fn sarama() {
    needs!(Broker, Go);
    succeeds(go(), &["sarama"]);
}

#[test]
fn kafka_go() {
    needs!(Broker, Go);
    succeeds(go(), &["kafka-go"]);
}
