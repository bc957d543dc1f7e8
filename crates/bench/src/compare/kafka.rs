//! A real Apache Kafka, combined nodes with the settings of its own scripts.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::node::Node;
use crate::Result;
use crate::broker::{Server, data_dir};

/// As `kafka-server-start.sh` and `kafka-run-class.sh` start it.
const JVM: [&str; 7] = [
    "-Xms1G",
    "-Xmx1G",
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
];
const CLUSTER_ID: &str = "b3R0bGEtYmVuY2gtMDEyMw";

/// One node by itself.
pub(super) fn start(libs: &Path, settings: &[(&str, &str)]) -> Result<Server> {
    let alone = Node::cluster(1)?.pop().ok_or("no node")?;
    start_node(libs, &alone, settings)
}

/// Formats an empty directory and starts; its time of start is that of the broker, not of the formatting.
pub(super) fn start_node(libs: &Path, node: &Node, settings: &[(&str, &str)]) -> Result<Server> {
    let dir = data_dir()?;
    let properties = dir.path().join("server.properties");
    let text = node.properties(dir.path(), settings);
    fs::write(&properties, text)?;
    let mut format = java(libs);
    format.args(["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c"]).arg(&properties);
    let formatted = format.stdout(Stdio::null()).stderr(Stdio::piped()).output()?;
    if !formatted.status.success() {
        return Err(format!("Kafka's format: {}", String::from_utf8_lossy(&formatted.stderr)).into());
    }
    let mut command = java(libs);
    command.args(JVM).arg("kafka.Kafka").arg(&properties);
    Server::spawn(command, node.address, dir)
}

fn java(libs: &Path) -> Command {
    let mut command = Command::new("java");
    command.arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=off");
    command.arg("-cp").arg(libs.join("*"));
    command
}
