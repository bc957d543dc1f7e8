//! kill -9: whatever was answered before holds after.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ottla_compat_tests::crash::{Counts, History, Life, Report, read_entries};
use ottla_compat_tests::kcat::{consume_all, kcat, produce_lines};
use ottla_compat_tests::ledger::records::{self, Entry};
use ottla_compat_tests::process::{spawn, wait_at_most};
use ottla_compat_tests::tools::{
    CONSOLE_CONSUMER, CONSUMER_GROUPS, GET_OFFSETS, TOPICS, VERIFIABLE_PRODUCER, own_jvm, run,
};
use ottla_compat_tests::{Broker, Target, needs};

/// Kills of one broker's life; each life has a seed of its own.
const KILLS_PER_LIFE: usize = 20;
const LOAD: &str = "load";

/// `OTTLA_CRASH_KILLS`, or 20; a real Kafka takes seconds to start, so it gets 3.
fn kills_wanted() -> usize {
    let default = if Target::current() == Target::Kafka { 3 } else { KILLS_PER_LIFE };
    number_of("OTTLA_CRASH_KILLS").and_then(|kills| kills.try_into().ok()).unwrap_or(default)
}

/// The seed of the first life.
fn first_seed() -> u64 {
    number_of("OTTLA_CRASH_SEED").unwrap_or(1)
}

fn number_of(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text}: a number")))
}

/// An idempotent acks=all producer of Kafka's own, in a JVM, that keeps sending through crashes of the broker.
struct Load {
    producer: Child,
    acknowledged: Arc<Mutex<Vec<Entry>>>,
}

impl Load {
    fn start(broker: &Broker) -> Self {
        run(broker, TOPICS, &["--create", "--topic", LOAD, "--partitions", "3"]).ok();
        let config = broker.dir().join("load.properties");
        let settings = "enable.idempotence=true\nretries=100000\nrequest.timeout.ms=5000\nlinger.ms=2\n\
                        reconnect.backoff.ms=20\nreconnect.backoff.max.ms=100\nretry.backoff.max.ms=100\n";
        fs::write(&config, settings).expect("write the producer's settings");
        let address = broker.address();
        let args = ["--bootstrap-server", &address, "--topic", LOAD, "--acks", "-1", "--throughput", "100"];
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

    /// Lets the producer finish what it has sent.
    fn finish(&mut self) {
        let pid = i32::try_from(self.producer.id()).expect("a process id");
        kill(Pid::from_raw(pid), Signal::SIGTERM).expect("stop the producer");
        let status = wait_at_most(&mut self.producer, Duration::from_secs(60));
        assert!(status.is_some(), "the producer does not come to an end");
    }

    fn check(&self, broker: &Broker, history: &History) {
        let known = self.acknowledged();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let read = runtime.block_on(read_entries(&[broker.address()], LOAD, 0..3));
        history.found(LOAD, records::check(&known, &read, &BTreeSet::new()));
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.producer.kill();
        let _ = self.producer.wait();
    }
}

/// One line of the verifiable producer's output, if it reports a success.
fn acknowledgement(line: &str) -> Option<Entry> {
    let json: serde_json::Value = serde_json::from_str(line).ok()?;
    (json["name"] == "producer_send_success").then_some(())?;
    Some(Entry {
        partition: i32::try_from(json["partition"].as_i64()?).ok()?,
        offset: json["offset"].as_i64()?,
        producer: 0,
        sequence: json["value"].as_str()?.parse().ok()?,
    })
}

/// A broker's life with `kills` kills or a few more; it ends early once something is wrong.
fn live(seed: u64, kills: usize) -> Report {
    let mut life = Life::begin(seed);
    let mut load = Load::start(&life.broker);
    while life.kills() < kills && life.history().wrong().is_empty() {
        life.kill();
        load.check(&life.broker, life.history());
    }
    load.finish();
    load.check(&life.broker, life.history());
    let of_java = load.acknowledged().len();
    let mut report = life.end();
    report.counts.acknowledged += of_java;
    report
}

/// `cargo xtask crash` makes it 500 kills.
#[test]
fn what_was_answered_survives_kill_9_with_everything_running() {
    needs!(Broker, Tools);
    let (mut kills, mut counts) = (0, Counts::default());
    let wanted = kills_wanted();
    for seed in first_seed().. {
        if kills >= wanted {
            break;
        }
        let report = live(seed, KILLS_PER_LIFE.min(wanted - kills));
        kills += report.kills;
        counts = counts.plus(report.counts);
        println!("seed {seed}: {} kills, {:?}", report.kills, report.counts);
        let shown: Vec<&str> = report.wrong.iter().take(20).map(String::as_str).collect();
        assert!(
            shown.is_empty(),
            "seed {seed}, {} kills: {} violations:\n{}",
            report.kills,
            report.wrong.len(),
            shown.join("\n")
        );
    }
    println!("{kills} kills, {counts:?}");
    for (what, count) in counts.all() {
        assert!(count > 0, "a run without {what} shows nothing of it: {counts:?}");
    }
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
