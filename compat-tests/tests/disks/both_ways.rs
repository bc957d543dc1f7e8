//! A topic's directory of a stopped broker, copied into a stopped broker of the other kind, is served by it: batch for
//! batch, record for record, with producers, offsets, epochs and committed offsets.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use ottla_compat_tests::dump::dump_unless;
use ottla_compat_tests::partition::{Batch, served};
use ottla_compat_tests::process::eventually;
use ottla_compat_tests::tools::{
    self, CONFIGS, CONSOLE_CONSUMER, CONSUMER_GROUPS, GET_OFFSETS, TRANSACTIONS,
};
use ottla_compat_tests::{Broker, Target, needs};

use crate::offsets_topic::{self, Formatted};
use crate::{LIMIT, OFTEN, cleaned_to, create_topics, write_round, write_round_without_ids};

const TOPICS_MOVED: [&str; 3] = ["codecs", "compacted", "__consumer_offsets"];
/// Rounds of records, each in a leader epoch of its own.
const ROUNDS: u32 = 3;
/// So far the cleaner comes in `compacted`: all but the last records are in closed segments.
const CLEANED: i64 = 1260;

/// A stopped broker with every kind of data, and what it served before it stopped.
struct Filled {
    broker: Broker,
    batches: Vec<Vec<Batch>>,
    seen: Vec<(String, String)>,
    formatted: Formatted,
}

impl Filled {
    fn new(target: Target) -> Self {
        let mut broker = Broker::start_as(target, &OFTEN);
        create_topics(&broker, "0");
        write_round(&broker, 0);
        let formatted = offsets_topic::fill_and_compact(&broker);
        for round in 1..ROUNDS {
            broker.terminate(LIMIT);
            broker.restart();
            write_round(&broker, round);
        }
        eventually("the cleaner has come to the active segment", LIMIT, || {
            (cleaned_to(&broker, "compacted") >= CLEANED).then_some(())
        });
        keep_from_cleaner(&broker);
        let (batches, seen) = (all_batches(&broker), seen(&broker));
        broker.terminate(LIMIT);
        Self { broker, batches, seen, formatted }
    }

    /// The data is of every kind that a move must keep.
    fn check(&self) {
        let epochs: BTreeSet<i32> = self.batches[0].iter().map(Batch::leader_epoch).collect();
        assert!(epochs.len() >= 3, "several leader epochs: {epochs:?}");
        for (topic, batches) in TOPICS_MOVED.iter().zip(&self.batches).skip(1) {
            let is_gap = |pair: &[Batch]| pair[0].last_offset + 1 < pair[1].base_offset;
            assert!(batches.windows(2).any(is_gap), "the cleaner has been in {topic}");
        }
    }
}

/// What was moved is compared: it is not to be cleaned once more.
fn keep_from_cleaner(broker: &Broker) {
    for topic in &TOPICS_MOVED[1..] {
        let lag = "min.compaction.lag.ms=604800000";
        let alter = ["--alter", "--entity-type", "topics", "--entity-name", topic, "--add-config", lag];
        tools::run(broker, CONFIGS, &alter).ok();
    }
}

fn all_batches(broker: &Broker) -> Vec<Vec<Batch>> {
    // A Kafka that has just started answers before it leads.
    let batches = |topic| eventually(topic, LIMIT, || served(broker.port(), topic).ok());
    TOPICS_MOVED.map(batches).to_vec()
}

/// What clients and tools see of the topics, by the command that shows it: all that must be the same after the move.
fn seen(broker: &Broker) -> Vec<(String, String)> {
    let mut text = Vec::new();
    let mut ask = |tool: &str, args: &[&str]| {
        let shown = tools::run(broker, tool, args).ok();
        let without_address = |text: String| text.replace(&broker.address(), "");
        text.push((without_address(shown.command), without_address(shown.out)));
    };
    for topic in &TOPICS_MOVED[..2] {
        let all = ["offset", "timestamp", "headers", "key", "partition", "epoch", "delivery"];
        let prints: Vec<String> = all.iter().map(|what| format!("print.{what}=true")).collect();
        let mut args = vec!["--topic", topic, "--partition", "0", "--offset", "earliest"];
        args.extend(["--timeout-ms", "2000"]);
        prints.iter().for_each(|print| args.extend(["--formatter-property", print]));
        ask(CONSOLE_CONSUMER, &args);
        ask(TRANSACTIONS, &["describe-producers", "--topic", topic, "--partition", "0"]);
        for time in ["-1", "-2", "-3"] {
            ask(GET_OFFSETS, &["--topic", topic, "--time", time]);
        }
    }
    ask(CONSUMER_GROUPS, &["--list", "--state"]);
    for what in ["--offsets", "--state", "--members"] {
        for group in offsets_topic::GROUPS_LEFT {
            ask(CONSUMER_GROUPS, &["--describe", "--group", group, what]);
        }
    }
    text
}

/// A broker of this kind that knows the topics, stopped.
fn empty(target: Target) -> Broker {
    let mut broker = Broker::start_as(target, &OFTEN);
    create_topics(&broker, "604800000");
    let reset = ["--reset-offsets", "--group", "g", "--topic", "codecs", "--to-earliest", "--execute"];
    tools::run(&broker, CONSUMER_GROUPS, &reset).ok();
    keep_from_cleaner(&broker);
    broker.terminate(LIMIT);
    broker
}

/// Copies the topics' files from one stopped broker to another, whose topics keep their ids; gives what is there then.
fn copy_topics(from: &Broker, to: &Broker) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut copied = BTreeMap::new();
    for topic in TOPICS_MOVED {
        let target = to.partition_dir(topic, 0);
        for path in files(&target) {
            fs::remove_file(&path).expect("remove the target's file");
        }
        for path in files(&from.partition_dir(topic, 0)) {
            let bytes = fs::read(&path).expect("read a file");
            let path = target.join(path.file_name().expect("a file's name"));
            fs::write(&path, &bytes).expect("write a file");
            copied.insert(path, bytes);
        }
    }
    copied
}

/// All files of a partition but the one that says whose it is.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let files = entries.flatten().map(|entry| entry.path());
    files.filter(|path| !path.ends_with("partition.metadata")).collect()
}

/// `to` has been given the topics of `from` and serves them, goes on writing, and restarts.
fn serves(to: &mut Broker, from: &Filled) {
    let copied = all_batches(to);
    for (topic, (copied, batches)) in TOPICS_MOVED.iter().zip(copied.iter().zip(&from.batches)) {
        let first = copied.iter().zip(batches).position(|(copied, batch)| copied != batch);
        assert_eq!(
            (first, copied.len()),
            (None, batches.len()),
            "{topic}: first batch that differs, and how many"
        );
    }
    for (before, after) in from.seen.iter().zip(seen(to)) {
        assert_eq!(before.1, after.1, "{}", before.0);
    }
    write_round_without_ids(to, ROUNDS);
    to.terminate(LIMIT);
    to.restart();
    all_batches(to);
}

#[test]
fn kafka_and_ottla_serve_each_others_directories_and_write_the_same_offsets_topic() {
    needs!(Broker, Kafka, Tools, Python);
    let (mut kafka, ottla) = std::thread::scope(|scope| {
        let kafka = scope.spawn(|| Filled::new(Target::Kafka));
        let ottla = Filled::new(Target::Ottla);
        (kafka.join().expect("a filled Kafka"), ottla)
    });
    kafka.check();
    ottla.check();
    assert_eq!(kafka.formatted, ottla.formatted, "__consumer_offsets as the official formatters show it");

    let mut fresh = empty(Target::Ottla);
    let copied = copy_topics(&kafka.broker, &fresh);
    fresh.restart();
    serves(&mut fresh, &kafka);
    fresh.terminate(LIMIT);
    // What Kafka wrote is not ours to judge.
    let is_kafkas =
        |path: &Path| copied.get(path).is_some_and(|bytes| fs::read(path).ok().as_ref() == Some(bytes));
    dump_unless(&fresh.data_dir(), &["compacted"], is_kafkas);

    copy_topics(&ottla.broker, &kafka.broker);
    kafka.broker.restart();
    serves(&mut kafka.broker, &ottla);
}
