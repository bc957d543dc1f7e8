//! kafka-dump-log reads every file of our data directory without a complaint.

use std::fs;
use std::time::Duration;

use ottla_compat_tests::dump::{dump, files};
use ottla_compat_tests::kcat::{kcat, produce_lines};
use ottla_compat_tests::tools::{CONSUMER_GROUPS, DUMP_LOG, TOPICS, run, run_bare};
use ottla_compat_tests::{Broker, needs};

/// A broker that was used and stopped: its data directory holds every kind of file.
///
/// Segments of 1 MiB (the smallest Kafka allows) and an index entry every 100 bytes.
fn used_and_stopped() -> Broker {
    let mut broker =
        Broker::start_with(&[("log.segment.bytes", "1048576"), ("log.index.interval.bytes", "100")]);
    run(&broker, TOPICS, &["--create", "--topic", "dump", "--partitions", "1"]).ok();
    let text: String = (0..3000).map(|n| format!("{n} {}\n", "x".repeat(500))).collect();
    for codec in ["none", "lz4"] {
        let compression = format!("compression.codec={codec}");
        let idempotent = ["-P", "-t", "dump", "-p", "0", "-X", "enable.idempotence=true", "-X", &compression];
        kcat(&broker, &[&idempotent[..], &["-X", "batch.num.messages=100"]].concat(), Some(text.as_bytes()));
    }
    produce_lines(&broker, "dump", "the last\n");
    kcat(&broker, &["-G", "dump-group", "-c", "10", "-X", "auto.offset.reset=earliest", "-q", "dump"], None);
    run(&broker, CONSUMER_GROUPS, &["--describe", "--group", "dump-group"]).ok();
    broker.terminate(Duration::from_secs(20));
    broker
}

#[test]
fn every_file_of_a_used_data_directory_is_read() {
    needs!(Broker, Tools, Kcat);
    let broker = used_and_stopped();
    let partition = broker.partition_dir("dump", 0);

    let logs = files(&partition, "log");
    assert!(logs.len() >= 2, "segments rolled: {logs:?}");
    let mut records = 0;
    for log in &logs {
        let shown = dump(log, &["--deep-iteration", "--print-data-log"]);
        records += shown.lines().iter().filter(|line| line.starts_with("| offset: ")).count();
        shown.shows("producerId: ").shows("partitionLeaderEpoch: 0").shows("magic: 2");
    }
    assert_eq!(records, 6001);

    for extension in ["index", "timeindex"] {
        let indexes = files(&partition, extension);
        assert_eq!(indexes.len(), logs.len(), "one {extension} a segment");
        for index in &indexes {
            dump(index, &["--index-sanity-check"]).shows("passed sanity check.");
            dump(index, &["--verify-index-only"]);
        }
    }

    let snapshots = files(&partition, "snapshot");
    assert!(!snapshots.is_empty());
    let last = dump(snapshots.last().expect("a snapshot"), &[]);
    last.shows("producerId: ").shows("lastSequence: 2999").shows("coordinatorEpoch: -1");
    dump_offsets(&broker);
}

/// The committed offset and the group's metadata, decoded by Kafka's own tool from `__consumer_offsets`.
fn dump_offsets(broker: &Broker) {
    let mut decoded = String::new();
    for partition in 0..5 {
        for log in files(&broker.partition_dir("__consumer_offsets", partition), "log") {
            let shown =
                run_bare(DUMP_LOG, &["--files", log.to_str().expect("UTF-8"), "--offsets-decoder"], "").ok();
            assert!(!shown.out.contains("Failed to decode"), "{shown}");
            decoded.push_str(&shown.out);
        }
    }
    assert!(decoded.contains(r#""group":"dump-group","topic":"dump","partition":0"#), "{decoded}");
    assert!(decoded.contains(r#""offset":10"#), "{decoded}");
    assert!(decoded.contains(r#""protocolType":"consumer""#), "{decoded}");
}

#[test]
fn checkpoints_and_properties_are_kafkas() {
    needs!(Broker, Tools, Kcat);
    let broker = used_and_stopped();
    let read = |name: &str| {
        let path = broker.data_dir().join(name);
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    };
    assert!(broker.data_dir().join(".kafka_cleanshutdown").exists(), "a clean shutdown leaves its mark");
    let meta = read("meta.properties");
    for key in ["version=1", "cluster.id=", "node.id=", "directory.id="] {
        assert!(meta.contains(key), "{key} in {meta}");
    }
    for name in
        ["recovery-point-offset-checkpoint", "replication-offset-checkpoint", "log-start-offset-checkpoint"]
    {
        let text = read(name);
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("0"), "version of {name}");
        let count: usize = lines.next().and_then(|count| count.parse().ok()).expect("an entry count");
        assert_eq!(lines.count(), count, "{name}: {text}");
    }
    assert!(read("recovery-point-offset-checkpoint").contains("dump 0 6001"));
    assert!(read("replication-offset-checkpoint").contains("dump 0 6001"));
    let partition = read("dump-0/partition.metadata");
    assert!(partition.starts_with("version: 0\ntopic_id: "), "{partition}");
    assert_eq!(read("dump-0/leader-epoch-checkpoint"), "0\n1\n0 0\n");
}
