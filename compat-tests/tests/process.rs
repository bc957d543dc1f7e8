//! The process: starting, the banner, stopping, restarting, and one clear line where it cannot start.

use std::fs;
use std::process::Output;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use ottla_compat_tests::broker::free_ports;
use ottla_compat_tests::kcat::{consume_all, kcat, kcat_any, produce_lines};
use ottla_compat_tests::layout::{ottla_binary, scratch_dir};
use ottla_compat_tests::needs::only_on;
use ottla_compat_tests::process::{bound_command, run};
use ottla_compat_tests::tools::{CLUSTER, TOPICS, run as run_tool, run_bare};
use ottla_compat_tests::{Broker, Target, http, needs};

/// A stop takes a fraction of a second, and never waits for what clients ask for (a fetch of 30 s is parked meanwhile);
/// the rest is for a machine that does something else.
const STOPS_WITHIN: Duration = Duration::from_secs(10);

/// Runs our binary to an end that must come soon.
fn ottla(args: &[&str]) -> Output {
    let mut command = bound_command(ottla_binary());
    command.args(args).current_dir(scratch_dir("cwd"));
    run(command, None, Duration::from_secs(20))
}

/// A start that is refused: a failure status, nothing on stdout, and one line on stderr that holds all of `words`.
#[track_caller]
fn refused(args: &[&str], words: &[&str]) {
    let output = ottla(args);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success(), "{args:?} started\n{out}{err}");
    assert_eq!(err.trim_end().lines().count(), 1, "{args:?}: one line:\n{err}");
    for word in words {
        assert!(err.contains(word), "{args:?}: no {word:?} in: {err}");
    }
    assert_eq!(out, "", "{args:?}");
}

#[test]
fn banner_is_printed_once_with_what_a_newcomer_needs() {
    needs!(Broker);
    if !only_on(Target::Ottla) {
        return;
    }
    let broker = Broker::start();
    let banner = greeting(&broker);
    assert_eq!(banner.matches("ready in").count(), 1, "{banner}");
    let metrics = format!("http://127.0.0.1:{}/metrics", broker.second_port());
    let data = broker.data_dir();
    for part in
        [broker.address().as_str(), "cluster", data.to_str().expect("UTF-8"), &metrics, " ms", "ottla 0."]
    {
        assert!(banner.contains(part), "no {part:?} in:\n{banner}");
    }
    assert!(banner.lines().count() <= 8, "short:\n{banner}");
}

/// What a broker that answers has said once it has said all of it.
fn greeting(broker: &Broker) -> String {
    let deadline = Instant::now() + STOPS_WITHIN;
    while !broker.stdout().contains("  metrics ") {
        assert!(Instant::now() < deadline, "no greeting\n{}", broker.log_tail());
        std::thread::sleep(Duration::from_millis(10));
    }
    broker.stdout()
}

/// There is nothing left to serve, so it does not stay to look as if there were.
#[test]
fn a_broker_whose_last_log_dir_fails_ends_with_a_clear_line_and_status_1() {
    needs!(Broker, Kcat);
    let mut broker = Broker::start_with(&[("log.segment.bytes", "1048576")]);
    produce_lines(&broker, "t", "a\n");
    fs::rename(broker.data_dir(), broker.dir().join("away")).expect("rename the log dir");
    // The next segment cannot be made.
    let large = format!("{}\n", "v".repeat(700_000)).repeat(3);
    let timeout = ["-X", "message.timeout.ms=3000", "-X", "batch.num.messages=1"];
    kcat_any(&broker, &[&["-P", "-t", "t", "-p", "0"], &timeout[..]].concat(), Some(large.as_bytes()));
    assert_eq!(broker.wait_exit(STOPS_WITHIN).code(), Some(1));
    let line = format!("Shutdown broker because all log dirs in {} have failed", broker.data_dir().display());
    let said = format!("{}{}", broker.stdout(), broker.stderr());
    assert!(said.contains(&line), "{said}");
}

#[test]
fn sigterm_with_a_thousand_partitions_exits_0_in_time() {
    needs!(Broker, Tools, Kcat);
    let mut broker = Broker::start();
    run_tool(&broker, TOPICS, &["--create", "--topic", "many", "--partitions", "1000"]).ok();
    let lines: String = (0..3000).map(|n| format!("{n}:{n}\n")).collect();
    kcat(&broker, &["-P", "-t", "many", "-K", ":"], Some(lines.as_bytes()));
    let (status, took) = broker.terminate(Duration::from_secs(30));
    if Target::current() == Target::Ottla {
        assert_eq!(status.code(), Some(0), "{}", broker.log_tail());
        assert!(took < STOPS_WITHIN, "{took:?}");
    }
    assert!(broker.data_dir().join(".kafka_cleanshutdown").exists());
    broker.restart();
    assert!(!broker.data_dir().join(".kafka_cleanshutdown").exists(), "the mark is removed at start");
    assert_eq!(consume_all(&broker, "many", "%s\n").lines().count(), 3000);
}

#[test]
fn sigterm_answers_a_parked_fetch_and_stops_in_time() {
    needs!(Broker, Kcat);
    if !only_on(Target::Ottla) {
        return;
    }
    let mut broker = Broker::start();
    produce_lines(&broker, "parked", "a\n");
    let mut command = bound_command("kcat");
    command.args([
        "-b",
        &broker.address(),
        "-C",
        "-t",
        "parked",
        "-X",
        "fetch.wait.max.ms=30000",
        "-c",
        "2",
        "-q",
    ]);
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut consumer = ottla_compat_tests::process::spawn(command).expect("start kcat");
    std::thread::sleep(Duration::from_millis(500));
    let (status, took) = broker.terminate(Duration::from_secs(30));
    let _ = consumer.kill();
    let _ = consumer.wait();
    assert_eq!(status.code(), Some(0));
    assert!(took < STOPS_WITHIN, "{took:?}");
}

#[test]
fn second_sigterm_stops_at_once_and_safely() {
    needs!(Broker, Kcat);
    if !only_on(Target::Ottla) {
        return;
    }
    let mut broker = Broker::start();
    produce_lines(&broker, "twice", "a\nb\n");
    broker.signal(Signal::SIGTERM);
    broker.signal(Signal::SIGTERM);
    broker.wait_exit(STOPS_WITHIN);
    broker.restart();
    assert_eq!(consume_all(&broker, "twice", "%s\n"), "a\nb\n");
}

#[test]
fn cluster_id_and_data_survive_restarts() {
    needs!(Broker, Tools, Kcat);
    let mut broker = Broker::start();
    let cluster = |broker: &Broker| {
        run_bare(CLUSTER, &["cluster-id", "--bootstrap-server", &broker.address()], "").ok().out
    };
    let id = cluster(&broker);
    produce_lines(&broker, "kept", "one\n");
    broker.terminate(Duration::from_secs(30));
    broker.restart();
    assert_eq!(cluster(&broker), id);
    produce_lines(&broker, "kept", "two\n");
    assert_eq!(consume_all(&broker, "kept", "%o %s\n"), "0 one\n1 two\n");
}

#[test]
fn port_in_use_is_one_clear_line() {
    needs!(Broker);
    if !only_on(Target::Ottla) {
        return;
    }
    let broker = Broker::start();
    let address = broker.address();
    let dir = scratch_dir("data");
    let data = dir.to_str().expect("UTF-8");
    refused(&["--listen", &address, "--data-dir", data, "--metrics-listen", "off"], &[&address]);
    let metrics = format!("127.0.0.1:{}", broker.second_port());
    let [port] = free_ports();
    let listen = format!("127.0.0.1:{port}");
    let data = scratch_dir("data");
    let data = data.to_str().expect("UTF-8");
    refused(&["--listen", &listen, "--data-dir", data, "--metrics-listen", &metrics], &[&metrics]);
}

#[test]
fn locked_data_directory_is_one_clear_line() {
    needs!(Broker);
    if !only_on(Target::Ottla) {
        return;
    }
    let broker = Broker::start();
    let [port] = free_ports();
    let (listen, data) = (format!("127.0.0.1:{port}"), broker.data_dir());
    let data = data.to_str().expect("UTF-8");
    refused(&["--listen", &listen, "--data-dir", data, "--metrics-listen", "off"], &[data, "lock"]);
}

#[test]
fn data_directory_that_cannot_be_made_is_one_clear_line() {
    needs!(Broker);
    if !only_on(Target::Ottla) {
        return;
    }
    let file = scratch_dir("file").join("not-a-directory");
    fs::write(&file, "").expect("write a file");
    let data = file.join("data");
    let data = data.to_str().expect("UTF-8");
    let [port] = free_ports();
    let listen = format!("127.0.0.1:{port}");
    refused(&["--listen", &listen, "--data-dir", data, "--metrics-listen", "off"], &[data]);
}

#[test]
fn wrong_settings_are_refused_by_name_and_value() {
    needs!(Broker);
    if !only_on(Target::Ottla) {
        return;
    }
    for (setting, words) in [
        ("num.partitions=many", &["num.partitions", "many"][..]),
        ("num.partitions=0", &["num.partitions", "0", "1"]),
        ("log.cleanup.policy=shred", &["log.cleanup.policy", "shred", "compact", "delete"]),
        ("message.max.bytes=-5", &["message.max.bytes", "-5"]),
        ("listeners=SASL_PLAINTEXT://127.0.0.1:9092", &["SASL_PLAINTEXT"]),
        ("listeners=SSL://127.0.0.1:9092", &["SSL"]),
        (
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            &["authorizer.class.name"],
        ),
    ] {
        refused(&["--override", setting, "--metrics-listen", "off"], words);
    }
}

#[test]
fn wrong_options_and_files_are_one_clear_line() {
    needs!(Broker);
    if !only_on(Target::Ottla) {
        return;
    }
    refused(&["--no-such-option"], &["--no-such-option"]);
    refused(&["--listen", "nowhere"], &["nowhere"]);
    refused(&["--override", "novalue"], &["novalue"]);
    refused(&["--config", "/no/such/file"], &["/no/such/file"]);
    let file = scratch_dir("config").join("server.properties");
    fs::write(&file, "# a comment\nnum.partitions=\\\n  few\n").expect("write the file");
    let path = file.to_str().expect("UTF-8");
    refused(&["--config", path], &[path, "num.partitions", "few"]);
}

#[test]
fn help_and_version_are_printed() {
    needs!(Broker);
    if !only_on(Target::Ottla) {
        return;
    }
    let help = ottla(&["--help"]);
    let text = String::from_utf8_lossy(&help.stdout);
    assert!(help.status.success());
    for option in ["--config", "--override", "--data-dir", "--listen", "--version"] {
        assert!(text.contains(option), "{option} in {text}");
    }
    let version = ottla(&["--version"]);
    assert!(version.status.success());
    assert!(String::from_utf8_lossy(&version.stdout).starts_with("ottla "));
}

#[test]
fn unknown_key_is_a_warning_with_the_nearest_known_name() {
    needs!(Broker);
    if !only_on(Target::Ottla) {
        return;
    }
    let broker = Broker::start_with(&[("num.partition", "3")]);
    let logged = broker.stderr() + &broker.stdout();
    let warning = logged.lines().find(|line| line.contains("num.partition") && line.contains("WARN"));
    assert!(warning.is_some_and(|line| line.contains("num.partitions")), "{logged}");
}

#[test]
fn server_properties_of_kafkas_combined_node_starts_us() {
    needs!(Broker, Kcat);
    if !only_on(Target::Ottla) {
        return;
    }
    let dir = scratch_dir("properties");
    let [port, controller, metrics] = free_ports();
    let text = format!(
        "# Kafka's config/server.properties\nprocess.roles=broker,controller\nnode.id=1\n\
         controller.quorum.voters=1@localhost:{controller}\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
         inter.broker.listener.name=PLAINTEXT\nadvertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
         controller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,\\\n  \
         SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL\n\
         num.network.threads=3\nnum.io.threads=8\nsocket.send.buffer.bytes=102400\n\
         socket.receive.buffer.bytes=102400\nsocket.request.max.bytes=104857600\n\
         log.dirs={}\nnum.partitions=4\nnum.recovery.threads.per.data.dir=1\n\
         offsets.topic.replication.factor=1\ntransaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\nlog.retention.hours=168\nlog.segment.bytes=1073741824\n\
         log.retention.check.interval.ms=300000\n",
        dir.join("data").display()
    );
    let file = dir.join("server.properties");
    fs::write(&file, text).expect("write server.properties");
    let mut command = bound_command(ottla_binary());
    command.arg("--config").arg(&file).args(["--metrics-listen", &format!("127.0.0.1:{metrics}")]);
    command
        .stdout(std::process::Stdio::null())
        .stderr(fs::File::create(dir.join("stderr")).expect("a log file"));
    let mut child = ottla_compat_tests::process::spawn(command).expect("start ottla");
    let address = format!("127.0.0.1:{port}");
    let produced = (0..50).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        let mut kcat = bound_command("kcat");
        kcat.args(["-b", &address, "-L", "-t", "made", "-m", "2"]);
        run(kcat, None, Duration::from_secs(20)).status.success()
    });
    let _ = child.kill();
    let _ = child.wait();
    assert!(produced, "{}", fs::read_to_string(dir.join("stderr")).unwrap_or_default());
    assert!(dir.join("data/meta.properties").exists());
}

#[test]
fn metrics_and_health_are_served() {
    needs!(Broker, Kcat);
    if !only_on(Target::Ottla) {
        return;
    }
    let broker = Broker::start();
    produce_lines(&broker, "metered", "a\nb\n");
    let port = broker.second_port();
    assert_eq!(http::get(port, "/health/live").expect("an answer").0, 200);
    assert_eq!(http::get(port, "/health/ready").expect("an answer").0, 200);
    assert_eq!(http::get(port, "/nothing").expect("an answer").0, 404);
    let (status, text) = http::get(port, "/metrics").expect("an answer");
    assert_eq!(status, 200);
    assert!(text.contains("# TYPE "), "{text}");
    assert!(text.lines().any(|line| line.starts_with("ottla_") || line.starts_with("kafka_")), "{text}");
}
