//! Stock clients at a broker that was killed and still opens its logs, because its disk takes long to read a directory:
//! what they ask for is opened first, and nothing is lost, though it is killed once more before all are open.

use std::process::{Child, Stdio};
use std::time::Duration;

use ottla_compat_tests::kcat::{consume_all, kcat, produce_lines};
use ottla_compat_tests::needs::only_on;
use ottla_compat_tests::process::{bound_command, eventually, spawn};
use ottla_compat_tests::tools::{CONSOLE_CONSUMER, CONSOLE_PRODUCER, run, run_with_stdin};
use ottla_compat_tests::{Broker, Target, http, needs};

use crate::{LIMIT, admin, finished, lines, numbers};

/// Logs that nobody asks for, most of them.
const PARTITIONS: &str = "150";
/// Two threads read some 160 directories with two calls each: half a minute.
const SLOW: &str = "getdents64:delay_enter=200000";
const BEFORE: usize = 3_000;
const ACROSS: usize = 3_000;

/// What `/health/ready` says until all logs are open.
fn progress(broker: &Broker) -> Option<String> {
    let (status, line) = http::get(broker.second_port(), "/health/ready").expect("health");
    (status == 503).then_some(line)
}

/// An idempotent producer that has a hundred lines more every 50 ms, for all partitions.
fn producing_steadily(broker: &Broker, topic: &str, from: usize, count: usize) -> Child {
    let mut command = bound_command("kcat");
    // It would give up when it finds no broker.
    command.args(["-E", "-b", &broker.address(), "-P", "-t", topic, "-X", "enable.idempotence=true"]);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = spawn(command).expect("start kcat");
    let mut stdin = child.stdin.take().expect("piped stdin");
    std::thread::spawn(move || {
        use std::io::Write;
        for at in (from..from + count).step_by(100) {
            if stdin.write_all(lines(at, 100).as_bytes()).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    child
}

/// What a group of the console consumer reads on with.
fn console_read(broker: &Broker, count: &str) -> Vec<String> {
    let group = ["--topic", "hot", "--group", "g", "--from-beginning"];
    let until = ["--max-messages", count, "--timeout-ms", "60000"];
    let ran = run(broker, CONSOLE_CONSUMER, &[&group[..], &until].concat()).ok();
    ran.lines().into_iter().map(|line| line[..7].to_owned()).collect()
}

fn names(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| format!("{number:07}")).collect()
}

#[test]
fn clients_of_a_killed_broker_are_served_while_it_opens_the_logs_that_nobody_asked_for() {
    needs!(Broker, Kcat, Tools, Strace);
    if !only_on(Target::Ottla) {
        return;
    }
    let mut broker =
        Broker::prepared(&[("num.partitions", PARTITIONS), ("offsets.topic.num.partitions", "10")]);
    broker.restart();
    assert_eq!(admin::create(&broker, "hot", &[]), 0);
    produce_lines(&broker, "hot", &lines(0, 10));
    kcat(&broker, &["-P", "-t", "wide"], Some(lines(0, BEFORE).as_bytes()));
    assert_eq!(console_read(&broker, "10"), names(0..10));
    let producer = producing_steadily(&broker, "wide", BEFORE, ACROSS);
    eventually("the producer has begun", LIMIT, || {
        (consume_all(&broker, "wide", "\n").lines().count() > BEFORE).then_some(())
    });
    broker.kill_9();
    let log = broker.dir().join("strace.log").display().to_string();
    let inject = format!("inject={SLOW}");
    let strace =
        ["strace", "-D", "-f", "-qq", "--seccomp-bpf", "-o", &log, "-e", "trace=getdents64", "-e", &inject];
    broker.start_through(strace.map(str::to_owned).into());
    broker.restart();
    let line = progress(&broker).expect("not all logs are open");
    assert!(line.contains("recovered") && line.contains("logs in"), "{line}");
    produce_lines(&broker, "hot", &lines(10, 10));
    assert_eq!(numbers(&broker, "hot"), (0..20).collect::<Vec<_>>());
    run_with_stdin(&broker, CONSOLE_PRODUCER, &["--topic", "hot"], &lines(20, 10)).ok();
    assert_eq!(console_read(&broker, "20"), names(10..30), "the group goes on where it was");
    let line = progress(&broker);
    assert!(line.is_some(), "all logs were open before the clients were served\n{}", broker.log_tail());
    broker.kill_9();
    broker.start_through(Vec::new());
    broker.restart();
    eventually("all logs are open", LIMIT, || progress(&broker).is_none().then_some(()));
    finished(producer);
    let mut written = numbers(&broker, "wide");
    written.sort_unstable();
    assert_eq!(written, (0..BEFORE + ACROSS).collect::<Vec<_>>(), "each once");
    assert_eq!(numbers(&broker, "hot"), (0..30).collect::<Vec<_>>());
}
