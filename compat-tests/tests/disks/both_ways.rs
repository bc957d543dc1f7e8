//! A topic's directory of a stopped broker, copied into a stopped broker of the other kind, is served by it: batch for
//! batch, record for record, with producers, offsets, epochs and committed offsets.

use std::fs;
use std::path::Path;
use std::time::Duration;

use ottla_compat_tests::needs::asked_for;
use ottla_compat_tests::partition::served;
use ottla_compat_tests::process::eventually;
use ottla_compat_tests::tools::{self, CONSOLE_CONSUMER, CONSUMER_GROUPS, GET_OFFSETS, TOPICS, TRANSACTIONS};
use ottla_compat_tests::{Broker, Target, needs};

use crate::{LIMIT, OFTEN, cleaned_to, create_topics, group, write_round, write_round_without_ids};

const TOPICS_MOVED: [&str; 3] = ["codecs", "compacted", "__consumer_offsets"];

/// What clients see of the topics: all that must be the same after the move.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    text: Vec<(String, String)>,
}

/// A stopped broker of this kind with every kind of data, and what it served before it stopped.
fn filled(target: Target) -> (Broker, Vec<Vec<ottla_compat_tests::partition::Batch>>, Seen) {
    let mut broker = Broker::start_as(target, &OFTEN);
    create_topics(&broker, "0");
    for round in 0..3 {
        write_round(&broker, round);
        if round == 0 {
            group(&broker, "classic");
            group(&broker, "consumer");
        }
        broker.terminate(LIMIT);
        broker.restart();
    }
    eventually("the cleaner has come to the active segment", LIMIT, || {
        (cleaned_to(&broker) >= 1260).then_some(())
    });
    let batches = all_batches(&broker);
    let seen = Seen::on(&broker);
    broker.terminate(LIMIT);
    (broker, batches, seen)
}

fn all_batches(broker: &Broker) -> Vec<Vec<ottla_compat_tests::partition::Batch>> {
    // A Kafka that has just started answers before it leads.
    let batches = |topic| eventually(topic, LIMIT, || served(broker.port(), topic).ok());
    TOPICS_MOVED.map(batches).to_vec()
}

impl Seen {
    fn on(broker: &Broker) -> Self {
        let mut text = Vec::new();
        let mut ask = |tool: &str, args: &[&str]| {
            let shown = tools::run(broker, tool, args).ok();
            text.push((
                shown.command.replace(&broker.address(), ""),
                shown.out.replace(&broker.address(), ""),
            ));
        };
        for topic in ["codecs", "compacted"] {
            let all = ["offset", "timestamp", "headers", "key", "partition", "epoch", "delivery"];
            let prints: Vec<String> = all.iter().map(|what| format!("print.{what}=true")).collect();
            let mut args = vec!["--topic", topic, "--partition", "0", "--offset", "earliest"];
            args.extend(["--timeout-ms", "3000"]);
            prints.iter().for_each(|print| args.extend(["--formatter-property", print]));
            ask(CONSOLE_CONSUMER, &args);
            ask(TRANSACTIONS, &["describe-producers", "--topic", topic, "--partition", "0"]);
            for time in ["-1", "-2", "-3"] {
                ask(GET_OFFSETS, &["--topic", topic, "--time", time]);
            }
        }
        for name in ["group-classic", "group-consumer"] {
            ask(CONSUMER_GROUPS, &["--describe", "--group", name, "--offsets"]);
        }
        Self { text }
    }
}

/// Copies the topics' files from one stopped broker to another; the target keeps its topics' ids.
fn copy_topics(from: &Broker, to: &Broker) {
    for topic in TOPICS_MOVED {
        let (source, target) = (from.partition_dir(topic, 0), to.partition_dir(topic, 0));
        for path in entries(&target) {
            if !path.ends_with("partition.metadata") {
                fs::remove_file(&path).expect("remove the target's file");
            }
        }
        for path in entries(&source) {
            let name = path.file_name().expect("a file's name");
            if name != "partition.metadata" {
                fs::copy(&path, target.join(name)).expect("copy a file");
            }
        }
    }
}

fn entries(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    entries.flatten().map(|entry| entry.path()).collect()
}

/// A broker of this kind that knows the topics, stopped.
fn empty(target: Target) -> Broker {
    let mut broker = Broker::start_as(target, &OFTEN);
    // Not to be cleaned again here: what was moved is compared.
    create_topics(&broker, "604800000");
    let reset = ["--reset-offsets", "--group", "g", "--topic", "codecs", "--to-earliest", "--execute"];
    tools::run(&broker, CONSUMER_GROUPS, &reset).ok();
    tools::run(&broker, TOPICS, &["--describe", "--topic", "__consumer_offsets"]).ok();
    broker.terminate(LIMIT);
    broker
}

/// What `from` wrote is served by `to`, which then goes on writing and restarts.
fn moved(from: Target, to: Target) {
    let (source, batches, seen) = filled(from);
    let epochs: std::collections::BTreeSet<i32> =
        batches[0].iter().map(|batch| batch.leader_epoch()).collect();
    assert!(epochs.len() >= 3, "several leader epochs: {epochs:?}");
    let holes = batches[1].windows(2).filter(|pair| pair[0].last_offset + 1 < pair[1].base_offset);
    let count = batches[1].len();
    assert!(holes.count() > 0 || count < 60, "the cleaner has been there: {count} batches");
    let mut target = empty(to);
    copy_topics(&source, &target);
    target.restart();
    let copied = all_batches(&target);
    for (topic, (copied, batches)) in TOPICS_MOVED.iter().zip(copied.iter().zip(&batches)) {
        let first = copied.iter().zip(batches).position(|(copied, batch)| copied != batch);
        assert_eq!(
            (first, copied.len()),
            (None, batches.len()),
            "{topic}: first batch that differs, and how many"
        );
    }
    let now_seen = Seen::on(&target);
    for (before, after) in seen.text.iter().zip(&now_seen.text) {
        assert_eq!(before.1, after.1, "{}", before.0);
    }
    write_round_without_ids(&target, 3);
    target.terminate(LIMIT);
    if to == Target::Ottla {
        ottla_compat_tests::dump::dump_all(&target.data_dir(), &["compacted"]);
    }
    target.launch();
    eventually("the broker answers", Duration::from_secs(40), || served(target.port(), "codecs").ok());
}

#[test]
fn kafkas_directories_are_served_by_ottla() {
    needs!(Broker, Kafka, Tools, Python);
    if !asked_for("OTTLA_DISKS") {
        return;
    }
    moved(Target::Kafka, Target::Ottla);
}

#[test]
fn ottlas_directories_are_served_by_kafka() {
    needs!(Broker, Kafka, Tools, Python);
    if !asked_for("OTTLA_DISKS") {
        return;
    }
    moved(Target::Ottla, Target::Kafka);
}
