//! kafka-console-producer and kafka-console-consumer.

use ottla_compat_tests::needs;
use ottla_compat_tests::tools::{CONSOLE_CONSUMER, CONSOLE_PRODUCER, CONSUMER_GROUPS, Ran, run_with_stdin};

use crate::{BROKER, create_topic, produce, tool};

#[track_caller]
fn consume(topic: &str, count: usize, args: &[&str]) -> Ran {
    let count = count.to_string();
    let base = ["--topic", topic, "--max-messages", &count, "--timeout-ms", "20000"];
    tool(CONSOLE_CONSUMER, &[&base[..], args].concat())
}

#[test]
fn what_is_produced_is_consumed_from_the_beginning() {
    needs!(Broker, Tools);
    create_topic("p-plain", 1);
    produce("p-plain", "one\ntwo\nthree\n");
    let consumed = consume("p-plain", 3, &["--from-beginning"]).ok().shows("Processed a total of 3 messages");
    assert_eq!(consumed.lines(), ["one", "two", "three"]);
}

#[test]
fn keys_headers_timestamps_and_offsets_come_back() {
    needs!(Broker, Tools);
    create_topic("p-headers", 1);
    let parse = [
        "--topic",
        "p-headers",
        "--reader-property",
        "parse.key=true",
        "--reader-property",
        "parse.headers=true",
    ];
    run_with_stdin(&BROKER, CONSOLE_PRODUCER, &parse, "h1:v1,h2:v2\tkey\tvalue\n").ok();
    let show: Vec<String> = ["key", "headers", "offset", "partition", "timestamp"]
        .iter()
        .flat_map(|what| ["--formatter-property".to_owned(), format!("print.{what}=true")])
        .collect();
    let show: Vec<&str> = show.iter().map(String::as_str).collect();
    let consumed = consume("p-headers", 1, &[&["--from-beginning"], &show[..]].concat()).ok();
    let line = consumed.lines()[0].to_owned();
    assert!(line.starts_with("CreateTime:"), "{line}");
    assert!(line.ends_with("\tPartition:0\tOffset:0\th1:v1,h2:v2\tkey\tvalue"), "{line}");
}

#[test]
fn codecs_of_the_java_producer_come_back() {
    needs!(Broker, Tools);
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = format!("p-codec-{codec}");
        create_topic(&topic, 1);
        let lines: String = (0..50).map(|n| format!("{codec} {n}\n")).collect();
        run_with_stdin(&BROKER, CONSOLE_PRODUCER, &["--topic", &topic, "--compression-codec", codec], &lines)
            .ok();
        let consumed = consume(&topic, 50, &["--from-beginning"]).ok();
        assert_eq!(consumed.lines().join("\n") + "\n", lines);
    }
}

#[test]
fn consumer_starts_at_an_offset_of_a_partition() {
    needs!(Broker, Tools);
    create_topic("p-offset", 1);
    produce("p-offset", "a\nb\nc\nd\n");
    let consumed = consume("p-offset", 2, &["--partition", "0", "--offset", "2"]).ok();
    assert_eq!(consumed.lines(), ["c", "d"]);
}

#[test]
fn producer_with_acks_1_and_0_writes() {
    needs!(Broker, Tools);
    create_topic("p-acks", 1);
    for acks in ["1", "0"] {
        let args = ["--topic", "p-acks", "--command-property", &format!("acks={acks}")];
        run_with_stdin(&BROKER, CONSOLE_PRODUCER, &args, &format!("acks {acks}\n")).ok();
    }
    let consumed = consume("p-acks", 2, &["--from-beginning"]).ok();
    assert_eq!(consumed.lines(), ["acks 1", "acks 0"]);
}

#[test]
fn group_continues_where_it_committed_with_both_protocols() {
    needs!(Broker, Tools);
    for protocol in ["classic", "consumer"] {
        let topic = format!("p-group-{protocol}");
        create_topic(&topic, 1);
        produce(&topic, "1\n2\n3\n");
        let property = format!("group.protocol={protocol}");
        let group = ["--group", &topic, "--command-property", &property, "--from-beginning"];
        assert_eq!(consume(&topic, 2, &group).ok().lines(), ["1", "2"]);
        assert_eq!(consume(&topic, 1, &group).ok().lines(), ["3"], "{protocol}");
        let described = tool(CONSUMER_GROUPS, &["--describe", "--group", &topic]).ok();
        assert_eq!(described.fields_of(&topic)[3..6], ["3", "3", "0"], "{described}");
    }
}

#[test]
fn records_survive_a_pattern_of_topics() {
    needs!(Broker, Tools);
    create_topic("p-include-a", 1);
    create_topic("p-include-b", 1);
    produce("p-include-a", "from a\n");
    produce("p-include-b", "from b\n");
    let args =
        ["--include", "p-include-.*", "--from-beginning", "--max-messages", "2", "--timeout-ms", "20000"];
    let consumed = tool(CONSOLE_CONSUMER, &args).ok();
    let mut lines = consumed.lines();
    lines.sort_unstable();
    assert_eq!(lines, ["from a", "from b"]);
}
