//! A real Apache Kafka, one combined node with the settings of its own scripts.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Result;
use crate::broker::{Server, data_dir, free_address};

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

/// Formats an empty directory and starts; its time of start is that of the broker, not of the formatting.
pub(super) fn start(libs: &Path, settings: &[(&str, &str)]) -> Result<Server> {
    let dir = data_dir()?;
    let (address, controller) = (free_address()?, free_address()?);
    let properties = dir.path().join("server.properties");
    let mut text = format!(
        "process.roles=broker,controller\nnode.id=1\nlisteners=PLAINTEXT://{address},CONTROLLER://{controller}\n\
         advertised.listeners=PLAINTEXT://{address}\ncontroller.listener.names=CONTROLLER\n\
         controller.quorum.voters=1@{controller}\nlog.dirs={}\n",
        dir.path().join("logs").display()
    );
    for (name, value) in settings {
        text.push_str(&format!("{name}={value}\n"));
    }
    fs::write(&properties, text)?;
    let mut format = java(libs);
    format.args(["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c"]).arg(&properties);
    let formatted = format.stdout(Stdio::null()).stderr(Stdio::piped()).output()?;
    if !formatted.status.success() {
        return Err(format!("Kafka's format: {}", String::from_utf8_lossy(&formatted.stderr)).into());
    }
    let mut command = java(libs);
    command.args(JVM).arg("kafka.Kafka").arg(&properties);
    Server::spawn(command, address, dir)
}

fn java(libs: &Path) -> Command {
    let mut command = Command::new("java");
    command.arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=off");
    command.arg("-cp").arg(libs.join("*"));
    command
}
