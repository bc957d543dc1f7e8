//! kcat (librdkafka), one process a call.

use std::process::Output;
use std::time::Duration;

use crate::broker::Broker;
use crate::process::{bound_command, run};

const LIMIT: Duration = Duration::from_secs(120);

/// Runs kcat against `broker`, with text on stdin; whatever its exit code.
pub fn kcat_any(broker: &Broker, args: &[&str], stdin: Option<&[u8]>) -> Output {
    let mut command = bound_command("kcat");
    command.args(["-b", &broker.address()]).args(args);
    run(command, stdin, LIMIT)
}

/// Runs kcat, which must succeed; its stdout.
#[track_caller]
pub fn kcat(broker: &Broker, args: &[&str], stdin: Option<&[u8]>) -> String {
    let output = kcat_any(broker, args, stdin);
    assert!(
        output.status.success(),
        "kcat {}: {}\n{}",
        args.join(" "),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Produces one record per line of `text` to partition 0 of `topic`.
#[track_caller]
pub fn produce_lines(broker: &Broker, topic: &str, text: &str) {
    kcat(broker, &["-P", "-t", topic, "-p", "0"], Some(text.as_bytes()));
}

/// All records of a topic from the beginning to the end, each printed in kcat's `format`.
#[track_caller]
pub fn consume_all(broker: &Broker, topic: &str, format: &str) -> String {
    kcat(broker, &["-C", "-t", topic, "-o", "beginning", "-e", "-q", "-f", format], None)
}
