//! The official command-line tools, against one shared broker and in one JVM.

mod client_metrics;
mod cluster;
mod configs;
mod console;
mod controller;
mod dump_log;
mod groups;
mod offsets;
mod performance;
mod topics;
mod wrong_use;

use std::sync::LazyLock;

use ottla_compat_tests::Broker;
use ottla_compat_tests::tools::{self, Ran};

static BROKER: LazyLock<Broker> = LazyLock::new(Broker::start);

/// Runs a tool against the shared broker.
#[track_caller]
fn tool(main_class: &str, args: &[&str]) -> Ran {
    tools::run(&BROKER, main_class, args)
}

/// Creates a topic with the tool.
#[track_caller]
fn create_topic(name: &str, partitions: u32) {
    let partitions = partitions.to_string();
    tool(tools::TOPICS, &["--create", "--topic", name, "--partitions", &partitions]).ok();
}

/// Writes lines to a topic with the console producer.
#[track_caller]
fn produce(topic: &str, lines: &str) {
    tools::run_with_stdin(&BROKER, tools::CONSOLE_PRODUCER, &["--topic", topic], lines).ok();
}

/// The id of the only broker.
#[track_caller]
fn node_id() -> String {
    let api_versions = tool(tools::BROKER_API_VERSIONS, &[]).ok();
    let line = api_versions.lines().first().map(|line| (*line).to_owned()).unwrap_or_default();
    let id = line.split("(id: ").nth(1).and_then(|rest| rest.split(' ').next());
    id.unwrap_or_else(|| panic!("no id in {line:?}")).to_owned()
}
