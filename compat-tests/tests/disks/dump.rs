//! kafka-dump-log is silent on every file of a data directory of ours after a varied life.

use ottla_compat_tests::dump::{Dumped, dump_all};
use ottla_compat_tests::process::eventually;
use ottla_compat_tests::tools::{self, CONSUMER_GROUPS, TOPICS};
use ottla_compat_tests::{Broker, Target, needs};

use crate::{LIMIT, OFTEN, cleaned_to, create_topics, group, write_round};

/// A topic whose old segments go after a second.
fn short_lived(broker: &Broker) {
    let short = [
        "--config",
        "retention.ms=1000",
        "--config",
        "segment.ms=1000",
        "--config",
        "file.delete.delay.ms=0",
    ];
    tools::run(
        broker,
        TOPICS,
        &[&["--create", "--topic", "short", "--partitions", "2"], &short[..]].concat(),
    )
    .ok();
    for n in 0..4 {
        let lines: String = (0..50).map(|line| format!("{n} {line}\n")).collect();
        tools::run_with_stdin(broker, tools::CONSOLE_PRODUCER, &["--topic", "short"], &lines).ok();
    }
}

#[test]
fn dump_log_is_silent_on_a_directory_with_a_varied_life() {
    needs!(Broker, Tools, Python);
    let mut broker = Broker::start_as(Target::Ottla, &OFTEN);
    create_topics(&broker, "0");
    write_round(&broker, 0);
    group(&broker, "classic");
    group(&broker, "consumer");
    short_lived(&broker);
    broker.terminate(LIMIT);
    broker.restart();
    write_round(&broker, 1);
    broker.kill_9();
    broker.restart();
    write_round(&broker, 2);
    let delete = ["--delete", "--group", "group-classic"];
    tools::run(&broker, CONSUMER_GROUPS, &delete).ok();
    tools::run(&broker, TOPICS, &["--create", "--topic", "gone", "--partitions", "3"]).ok();
    tools::run(&broker, TOPICS, &["--delete", "--topic", "gone"]).ok();
    // Producers without keys choose a partition each run: both, or one of them, has records.
    eventually("retention has removed a segment", LIMIT, || {
        (0..2).find(|&partition| {
            let logs = ottla_compat_tests::dump::files(&broker.partition_dir("short", partition), "log");
            logs.first().is_some_and(|log| !log.ends_with("00000000000000000000.log"))
        })
    });
    eventually("the cleaner has been there", LIMIT, || (cleaned_to(&broker, "compacted") > 0).then_some(()));
    broker.kill_9();
    broker.restart();
    broker.terminate(LIMIT);
    let Dumped { logs, indexes, snapshots } = dump_all(&broker.data_dir(), &["compacted"]);
    assert!(
        logs >= 15 && indexes >= 2 * 15 && snapshots >= 10,
        "{logs} logs, {indexes} indexes, {snapshots} snapshots"
    );
}
