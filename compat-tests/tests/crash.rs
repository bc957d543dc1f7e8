//! kill -9: whatever was acknowledged before is there after, once and in order.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ottla_compat_tests::kcat::{consume_all, kcat, produce_lines};
use ottla_compat_tests::ledger::{Entry, check};
use ottla_compat_tests::process::{eventually, spawn, wait_at_most};
use ottla_compat_tests::tools::{
    CONSOLE_CONSUMER, CONSUMER_GROUPS, GET_OFFSETS, TOPICS, VERIFIABLE_PRODUCER, own_jvm, run,
};
use ottla_compat_tests::{Broker, Target, needs};

/// `OTTLA_CRASH_ROUNDS`, or 20; a real Kafka takes seconds to start, so it gets 3.
fn rounds() -> usize {
    let default = if Target::current() == Target::Kafka { 3 } else { 20 };
    std::env::var("OTTLA_CRASH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(default)
}

/// An idempotent acks=all producer in a JVM of its own that keeps sending through crashes of the broker.
struct Load {
    producer: Child,
    acknowledged: Arc<Mutex<Vec<Entry>>>,
}

impl Load {
    fn start(broker: &Broker, topic: &str) -> Self {
        let config = broker.dir().join("load.properties");
        let settings = "enable.idempotence=true\nretries=100000\nrequest.timeout.ms=5000\nlinger.ms=2\n\
                        reconnect.backoff.ms=20\nreconnect.backoff.max.ms=100\nretry.backoff.max.ms=100\n";
        fs::write(&config, settings).expect("write the producer's settings");
        let address = broker.address();
        let args = ["--bootstrap-server", &address, "--topic", topic, "--acks", "-1", "--throughput", "3000"];
        let config = config.to_str().expect("a UTF-8 path");
        let mut command = own_jvm(VERIFIABLE_PRODUCER, &[&args[..], &["--command-config", config]].concat());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut producer = spawn(command).expect("start the producer");
        let stdout = producer.stdout.take().expect("piped stdout");
        let acknowledged = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&acknowledged);
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Some(entry) = acknowledgement(&line) {
                    sink.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
                }
            }
        });
        Self { producer, acknowledged }
    }

    fn acknowledged(&self) -> Vec<Entry> {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for `count` more acknowledgements.
    fn wait_for_more(&self, count: usize) {
        let wanted = self.acknowledged().len() + count;
        let so_far = || self.acknowledged().len();
        eventually("acknowledgements", Duration::from_secs(60), || (so_far() >= wanted).then_some(()));
    }

    /// Lets the producer finish what it has sent; all acknowledgements there ever were.
    fn finish(mut self) -> Vec<Entry> {
        let pid = i32::try_from(self.producer.id()).expect("a process id");
        kill(Pid::from_raw(pid), Signal::SIGTERM).expect("stop the producer");
        let status = wait_at_most(&mut self.producer, Duration::from_secs(60));
        assert!(status.is_some(), "the producer does not come to an end");
        self.acknowledged()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.producer.kill();
        let _ = self.producer.wait();
    }
}

impl Load {
    fn check(&self, broker: &Broker, topic: &str) {
        let before = self.acknowledged();
        assert_whole(&before, &read(broker, topic));
    }
}

/// One line of the verifiable producer's output, if it reports a success.
fn acknowledgement(line: &str) -> Option<Entry> {
    let json: serde_json::Value = serde_json::from_str(line).ok()?;
    (json["name"] == "producer_send_success").then_some(())?;
    Some(Entry {
        partition: i32::try_from(json["partition"].as_i64()?).ok()?,
        offset: json["offset"].as_i64()?,
        sequence: json["value"].as_str()?.parse().ok()?,
    })
}

fn read(broker: &Broker, topic: &str) -> Vec<Entry> {
    let entry = |line: &str| {
        let mut fields = line.split(' ');
        let partition = fields.next()?.parse().ok()?;
        let offset = fields.next()?.parse().ok()?;
        Some(Entry { partition, offset, sequence: fields.next()?.parse().ok()? })
    };
    let text = consume_all(broker, topic, "%p %o %s\n");
    text.lines().map(|line| entry(line).unwrap_or_else(|| panic!("unexpected record: {line:?}"))).collect()
}

#[track_caller]
fn assert_whole(acknowledged: &[Entry], read: &[Entry]) {
    let violations = check(acknowledged, read);
    let shown: Vec<String> = violations.iter().take(10).map(ToString::to_string).collect();
    assert!(
        violations.is_empty(),
        "{} violations among {} acknowledged and {} read records:\n{}",
        violations.len(),
        acknowledged.len(),
        read.len(),
        shown.join("\n")
    );
}

#[test]
fn acknowledged_records_and_topics_survive_kill_9_under_load() {
    needs!(Broker, Tools, Kcat);
    let mut broker = Broker::start();
    run(&broker, TOPICS, &["--create", "--topic", "load", "--partitions", "3"]).ok();
    let load = Load::start(&broker, "load");
    let mut created = Vec::new();
    for round in 0..rounds() {
        load.wait_for_more(500);
        let topic = format!("crash-{round}");
        run(&broker, TOPICS, &["--create", "--topic", &topic]).ok();
        created.push(topic);
        broker.kill_9();
        broker.restart();
        load.check(&broker, "load");
    }
    load.wait_for_more(500);
    let acknowledged = load.finish();
    assert_whole(&acknowledged, &read(&broker, "load"));
    println!("{} acknowledged records through {} kills", acknowledged.len(), created.len());
    let listed = run(&broker, TOPICS, &["--list"]).ok();
    let lost: Vec<&String> =
        created.iter().filter(|topic| !listed.lines().contains(&topic.as_str())).collect();
    assert!(lost.is_empty(), "created, answered and gone: {lost:?}");
}

#[test]
fn groups_and_their_offsets_survive_kill_9_with_both_protocols() {
    needs!(Broker, Tools, Kcat);
    let mut broker = Broker::start();
    for protocol in ["classic", "consumer"] {
        run(&broker, TOPICS, &["--create", "--topic", protocol, "--partitions", "1"]).ok();
        produce_lines(&broker, protocol, "a\nb\nc\nd\n");
        assert_eq!(consume(&broker, protocol, 3), ["a", "b", "c"]);
    }
    for _ in 0..3 {
        broker.kill_9();
        broker.restart();
        for protocol in ["classic", "consumer"] {
            let described = run(&broker, CONSUMER_GROUPS, &["--describe", "--group", protocol]).ok();
            assert_eq!(
                described.fields_of(&format!("{protocol} "))[2..6],
                ["0", "3", "4", "1"],
                "{described}"
            );
        }
    }
    for protocol in ["classic", "consumer"] {
        assert_eq!(consume(&broker, protocol, 1), ["d"], "{protocol}");
    }
}

fn consume(broker: &Broker, protocol: &str, count: usize) -> Vec<String> {
    let (count, property) = (count.to_string(), format!("group.protocol={protocol}"));
    let args = ["--topic", protocol, "--group", protocol, "--max-messages", &count, "--timeout-ms", "30000"];
    let more = ["--command-property", &property, "--from-beginning"];
    let consumed = run(broker, CONSOLE_CONSUMER, &[&args[..], &more].concat()).ok();
    consumed.lines().iter().map(|line| (*line).to_owned()).collect()
}

#[test]
fn recreated_topic_has_a_new_id_and_none_of_the_old_data() {
    needs!(Broker, Tools, Kcat);
    let mut broker = Broker::start();
    let mut ids = Vec::new();
    for _ in 0..3 {
        run(&broker, TOPICS, &["--create", "--topic", "again", "--partitions", "1"]).ok();
        let offsets = run(&broker, GET_OFFSETS, &["--topic", "again"]).ok();
        assert_eq!(offsets.lines(), ["again:0:0"]);
        ids.push(topic_id(&broker, "again"));
        produce_lines(&broker, "again", "old\n");
        broker.kill_9();
        broker.restart();
        assert_eq!(topic_id(&broker, "again"), ids[ids.len() - 1], "the id is kept over a crash");
        assert_eq!(consume_all(&broker, "again", "%s\n"), "old\n");
        run(&broker, TOPICS, &["--delete", "--topic", "again"]).ok();
        broker.kill_9();
        broker.restart();
        assert!(
            !run(&broker, TOPICS, &["--list"]).ok().lines().contains(&"again"),
            "a deleted topic came back"
        );
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3, "each creation has an id of its own: {ids:?}");
}

fn topic_id(broker: &Broker, topic: &str) -> String {
    let described = run(broker, TOPICS, &["--describe", "--topic", topic]).ok();
    let fields = described.fields_of("TopicId: ");
    let at = fields.iter().position(|field| *field == "TopicId:").expect("TopicId:");
    fields[at + 1].to_owned()
}

#[test]
fn unflushed_records_of_every_codec_survive_kill_9() {
    needs!(Broker, Kcat);
    let mut broker = Broker::start();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let lines: String = (0..1000).map(|n| format!("{codec} {n}\n")).collect();
        let compression = format!("compression.codec={codec}");
        kcat(
            &broker,
            &["-P", "-t", codec, "-p", "0", "-X", "acks=-1", "-X", &compression],
            Some(lines.as_bytes()),
        );
        broker.kill_9();
        broker.restart();
        assert_eq!(consume_all(&broker, codec, "%s\n"), lines);
    }
}
