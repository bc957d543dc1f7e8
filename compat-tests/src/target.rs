//! The broker under test: ours, or a real Apache Kafka for the same tests.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

use crate::layout::{cache_dir, ottla_binary};
use crate::needs::{missing_file, missing_program};
use crate::process::bound_command;

/// Which broker the tests run against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Ottla,
    Kafka,
}

/// Where a broker listens and keeps its data, and what its configuration adds to the harness's own.
#[derive(Debug, Clone)]
pub struct Settings {
    pub host: Ipv4Addr,
    pub port: u16,
    /// Kafka: the controller listener; Ottla: `/metrics` and `/health`.
    pub second_port: u16,
    pub dir: std::path::PathBuf,
    pub overrides: Vec<(String, String)>,
    /// Options of Ottla's command line beside those.
    pub options: Vec<String>,
}

/// Settings that make tests quick and single-node; Kafka and Ottla read the same keys.
const COMMON: [(&str, &str); 5] = [
    ("group.initial.rebalance.delay.ms", "0"),
    ("offsets.topic.num.partitions", "5"),
    ("offsets.topic.replication.factor", "1"),
    ("transaction.state.log.replication.factor", "1"),
    ("transaction.state.log.min.isr", "1"),
];

impl Target {
    /// `OTTLA_COMPAT_TARGET`: `ottla` (default) or `kafka`.
    pub fn current() -> Self {
        match std::env::var("OTTLA_COMPAT_TARGET").as_deref() {
            Err(_) | Ok("ottla") => Target::Ottla,
            Ok("kafka") => Target::Kafka,
            Ok(other) => panic!("OTTLA_COMPAT_TARGET={other}: ottla or kafka"),
        }
    }

    pub(crate) fn missing(self) -> Option<String> {
        match self {
            Target::Ottla => missing_file(ottla_binary()),
            Target::Kafka => {
                missing_program("java").or_else(|| missing_file(cache_dir().join("reference/libs")))
            }
        }
    }

    /// The command that starts a broker; formats Kafka's directory first when it is new.
    pub(crate) fn command(self, settings: &Settings) -> Command {
        match self {
            Target::Ottla => ottla_command(settings),
            Target::Kafka => kafka_command(settings),
        }
    }
}

fn ottla_command(settings: &Settings) -> Command {
    let mut command = bound_command(ottla_binary());
    // `--data-dir` goes before `log.dirs`.
    if !settings.overrides.iter().any(|(key, _)| key == "log.dirs") {
        command.arg("--data-dir").arg(settings.dir.join("data"));
    }
    // Where the overrides give the second port to the controller listener, as Kafka's file does, there is none for metrics.
    let is_taken = settings.overrides.iter().any(|(_, value)| value.contains("<second port>"));
    let metrics =
        if is_taken { "off".to_owned() } else { format!("{}:{}", settings.host, settings.second_port) };
    command
        .arg("--listen")
        .arg(format!("{}:{}", settings.host, settings.port))
        .arg("--metrics-listen")
        .arg(metrics);
    for (key, value) in COMMON {
        command.arg("--override").arg(format!("{key}={value}"));
    }
    for (key, value) in &settings.overrides {
        command.arg("--override").arg(format!("{key}={}", settings.placed(value)));
    }
    command.args(&settings.options);
    command
}

impl Settings {
    /// A value with this broker's ports in it.
    fn placed(&self, value: &str) -> String {
        value
            .replace("<port>", &self.port.to_string())
            .replace("<second port>", &self.second_port.to_string())
    }
}

fn kafka_command(settings: &Settings) -> Command {
    let properties = settings.dir.join("server.properties");
    fs::write(&properties, kafka_properties(settings)).expect("write server.properties");
    if !settings.dir.join("data/meta.properties").exists() {
        format_kafka(&properties);
    }
    let mut command = kafka_java();
    command.arg("kafka.Kafka").arg(properties);
    command
}

fn kafka_properties(settings: &Settings) -> String {
    let Settings { host, port, second_port, dir, overrides, options: _ } = settings;
    let data = dir.join("data");
    let node_id = overrides.iter().find(|(key, _)| key == "node.id").map_or("1", |(_, id)| id);
    let mut text = format!(
        "process.roles=broker,controller\nnode.id={node_id}\n\
         listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{second_port}\n\
         advertised.listeners=PLAINTEXT://{host}:{port}\n\
         controller.listener.names=CONTROLLER\ncontroller.quorum.voters={node_id}@{host}:{second_port}\n\
         log.dirs={}\n",
        data.display()
    );
    for (key, value) in COMMON {
        text.push_str(&format!("{key}={value}\n"));
    }
    for (key, value) in overrides.iter().filter(|(key, _)| key != "node.id") {
        text.push_str(&format!("{key}={value}\n"));
    }
    text
}

fn format_kafka(properties: &Path) {
    let mut command = kafka_java();
    command.args(["kafka.tools.StorageTool", "format", "-t", "Zm9ybWF0dGVkLWJ5LXVzLg", "-c"]).arg(properties);
    let output = command.output().expect("run the storage tool");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn kafka_java() -> Command {
    let mut command = bound_command("java");
    command
        .args([
            "-Xms256M",
            "-Xmx512M",
            "-XX:+UseSerialGC",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-cp",
        ])
        .arg(format!("{}/*", cache_dir().join("reference/libs").display()));
    command
}
