//! `ottla --container`: what deploys the `apache/kafka` image goes on with ours.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ottla_compat_tests::broker::free_ports;
use ottla_compat_tests::layout::{ottla_binary, scratch_dir};
use ottla_compat_tests::needs::only_on;
use ottla_compat_tests::process::{bound_command, eventually, run, spawn, wait_at_most};
use ottla_compat_tests::{Target, needs};

const STARTS_WITHIN: Duration = Duration::from_secs(20);
const STOPS_WITHIN: Duration = Duration::from_secs(10);

/// The variables of Kafka's single-node compose file, with ports and a directory of this test.
#[test]
fn the_variables_of_kafkas_compose_file_start_us() {
    needs!(Broker, Kcat);
    if !only_on(Target::Ottla) {
        return;
    }
    let dir = scratch_dir("container");
    let [host, inner, controller, metrics] = free_ports();
    let metrics = format!("127.0.0.1:{metrics}");
    let mut command = bound_command(ottla_binary());
    command.arg("--container").envs([
        ("KAFKA_NODE_ID", "1".to_owned()),
        (
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP",
            "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PLAINTEXT_HOST:PLAINTEXT".to_owned(),
        ),
        (
            "KAFKA_ADVERTISED_LISTENERS",
            format!("PLAINTEXT_HOST://localhost:{host},PLAINTEXT://127.0.0.1:{inner}"),
        ),
        ("KAFKA_PROCESS_ROLES", "broker,controller".to_owned()),
        ("KAFKA_CONTROLLER_QUORUM_VOTERS", format!("1@localhost:{controller}")),
        (
            "KAFKA_LISTENERS",
            format!(
                "CONTROLLER://127.0.0.1:{controller},PLAINTEXT_HOST://127.0.0.1:{host},PLAINTEXT://127.0.0.1:{inner}"
            ),
        ),
        ("KAFKA_INTER_BROKER_LISTENER_NAME", "PLAINTEXT".to_owned()),
        ("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER".to_owned()),
        ("CLUSTER_ID", "4L6g3nShT-eMCtK--X86sw".to_owned()),
        ("KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", "1".to_owned()),
        ("KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS", "0".to_owned()),
        ("KAFKA_TRANSACTION_STATE_LOG_MIN_ISR", "1".to_owned()),
        ("KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR", "1".to_owned()),
        ("KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR", "1".to_owned()),
        ("KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR", "1".to_owned()),
        ("KAFKA_HEAP_OPTS", "-Xmx1g".to_owned()),
        ("KAFKA_LOG_DIRS", dir.join("data").display().to_string()),
        ("KAFKA_OTTLA_METRICS_LISTEN", metrics.clone()),
    ]);
    let log = fs::File::create(dir.join("log")).expect("a log file");
    command.stdin(Stdio::null()).stdout(log.try_clone().expect("a second handle")).stderr(log);
    let mut child = spawn(command).expect("start ottla");

    let is_ready = || {
        let mut check = bound_command(ottla_binary());
        check.args(["--health-check", &metrics]);
        run(check, None, STARTS_WITHIN).status.success()
    };
    eventually("it is ready", STARTS_WITHIN, || is_ready().then_some(()));
    for address in [format!("localhost:{host}"), format!("127.0.0.1:{inner}")] {
        let mut list = bound_command("kcat");
        list.args(["-b", &address, "-L", "-J", "-m", "10"]);
        let listed = run(list, None, STARTS_WITHIN);
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        assert!(listed.contains(&format!(r#""name":"{address}""#)), "{address} is advertised: {listed}");
    }
    let meta = fs::read_to_string(dir.join("data/meta.properties")).expect("the data directory is formatted");
    assert!(meta.contains("cluster.id=4L6g3nShT-eMCtK--X86sw"), "{meta}");
    let log = fs::read_to_string(dir.join("log")).expect("a log");
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains("WARN")).collect();
    // Every variable is a setting that is known.
    assert!(warnings.iter().all(|line| line.contains("the controller listeners CONTROLLER")), "{warnings:?}");

    kill(Pid::from_raw(i32::try_from(child.id()).expect("a process id")), Signal::SIGTERM).expect("signal");
    let status = wait_at_most(&mut child, STOPS_WITHIN).expect("stops");
    assert_eq!(status.code(), Some(0));
    assert!(!is_ready(), "nobody is there any more");
}

/// As a cluster's storage is not taken over by another's nodes.
#[test]
fn data_of_another_cluster_is_refused() {
    needs!(Broker);
    if !only_on(Target::Ottla) {
        return;
    }
    let dir = scratch_dir("container");
    let meta = "version=1\ncluster.id=other\nnode.id=1\n";
    fs::create_dir(dir.join("data")).expect("a data directory");
    fs::write(dir.join("data/meta.properties"), meta).expect("write meta.properties");
    let mut command = bound_command(ottla_binary());
    command.arg("--container").envs([
        ("CLUSTER_ID", "4L6g3nShT-eMCtK--X86sw".to_owned()),
        ("KAFKA_LISTENERS", "PLAINTEXT://127.0.0.1:0".to_owned()),
        ("KAFKA_LOG_DIRS", dir.join("data").display().to_string()),
        ("KAFKA_OTTLA_METRICS_LISTEN", "off".to_owned()),
    ]);
    let output = run(command, None, STARTS_WITHIN);
    let line = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(line.contains("cluster.id") && line.contains("other"), "{line}");
}
