//! Files on disk, both ways with Apache Kafka: its tools read ours, and each serves what the other wrote.

mod both_ways;
mod coordinator;
mod dump;
mod offsets_topic;

use std::process::Command;
use std::time::Duration;

use ottla_compat_tests::Broker;
use ottla_compat_tests::layout::{cache_dir, crate_dir};
use ottla_compat_tests::process::{bound_command, run};
use ottla_compat_tests::tools::{self, CONSOLE_CONSUMER, TOPICS};

/// Settings that make a broker roll, index and compact often.
const OFTEN: [(&str, &str); 4] = [
    ("offsets.topic.num.partitions", "1"),
    ("log.cleaner.backoff.ms", "100"),
    ("log.retention.check.interval.ms", "1000"),
    ("log.initial.task.delay.ms", "500"),
];

const LIMIT: Duration = Duration::from_secs(60);

/// Topics `codecs` and `compacted` of one partition each; the latter's records are compacted after `lag_ms`.
fn create_topics(broker: &Broker, lag_ms: &str) {
    let lag = format!("min.compaction.lag.ms={lag_ms}");
    let often = ["--config", "segment.ms=60000", "--config", "index.interval.bytes=200"];
    let kept = ["--config", "retention.ms=-1"];
    let compact = [
        "--config",
        "cleanup.policy=compact",
        "--config",
        "min.cleanable.dirty.ratio=0.01",
        "--config",
        "delete.retention.ms=86400000",
        "--config",
        &lag,
    ];
    tools::run(broker, TOPICS, &[&["--create", "--topic", "codecs"], &often[..], &kept[..]].concat()).ok();
    tools::run(broker, TOPICS, &[&["--create", "--topic", "compacted"], &often[..], &compact[..]].concat())
        .ok();
}

/// Writes a round of records of every kind (`python/records.py`), from idempotent producers.
fn write_round(broker: &Broker, round: u32) {
    write(broker, round, "idempotent");
}

/// The same from producers without an id: a broker gives ids again that directories it was given already know.
fn write_round_without_ids(broker: &Broker, round: u32) {
    write(broker, round, "plain");
}

fn write(broker: &Broker, round: u32, producer: &str) {
    let mut command = python();
    command
        .arg(crate_dir().join("python/records.py"))
        .arg(broker.address())
        .arg(round.to_string())
        .arg(producer);
    let output = run(command, None, LIMIT);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Python with the newest client libraries.
fn python() -> Command {
    let mut command = bound_command(cache_dir().join("clients/python-newest/venv/bin/python"));
    command.arg("-B");
    command
}

/// A group of this protocol that has read and committed a hundred records of `codecs`.
fn group(broker: &Broker, protocol: &str) {
    let property = format!("group.protocol={protocol}");
    let name = format!("group-{protocol}");
    let args = ["--topic", "codecs", "--group", &name, "--from-beginning", "--max-messages", "100"];
    let more = ["--timeout-ms", "20000", "--command-property", &property];
    tools::run(broker, CONSOLE_CONSUMER, &[&args[..], &more].concat()).ok();
}

/// How far the cleaner has come in a topic, by the checkpoint that Kafka and Ottla write alike; 0 before it began.
fn cleaned_to(broker: &Broker, topic: &str) -> i64 {
    let path = broker.data_dir().join("cleaner-offset-checkpoint");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{topic} 0 ")));
    line.and_then(|offset| offset.parse().ok()).unwrap_or(0)
}
