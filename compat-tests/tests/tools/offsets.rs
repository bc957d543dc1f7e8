//! kafka-get-offsets and kafka-delete-records.

use std::fs;

use ottla_compat_tests::kcat::kcat;
use ottla_compat_tests::needs;
use ottla_compat_tests::tools::{CONSOLE_CONSUMER, DELETE_RECORDS, GET_OFFSETS, Ran, TRANSACTIONS};

use crate::{BROKER, create_topic, produce, tool};

#[track_caller]
fn offsets(args: &[&str]) -> Ran {
    tool(GET_OFFSETS, args).ok()
}

#[test]
fn every_kind_of_offset_is_answered() {
    needs!(Broker, Tools);
    create_topic("o-kinds", 1);
    produce("o-kinds", "a\nb\nc\n");
    let at = |time: &str| offsets(&["--topic", "o-kinds", "--time", time]).lines().join(";");
    assert_eq!(at("-1"), "o-kinds:0:3");
    assert_eq!(at("latest"), "o-kinds:0:3");
    assert_eq!(at("-2"), "o-kinds:0:0");
    assert_eq!(at("earliest"), "o-kinds:0:0");
    assert_eq!(at("earliest-local"), "o-kinds:0:0");
    assert_eq!(at("0"), "o-kinds:0:0", "the first record at or after a timestamp");
    assert_eq!(at("99999999999999"), "", "no record so late");
    let of_largest_timestamp = at("max-timestamp");
    assert!(of_largest_timestamp.starts_with("o-kinds:0:"), "{of_largest_timestamp}");
    assert_eq!(at("latest-tiered"), "", "nothing is tiered");
}

#[test]
fn max_timestamp_is_not_the_last_offset_when_time_runs_backwards() {
    needs!(Broker, Tools, Kcat);
    create_topic("o-max", 1);
    assert_eq!(
        offsets(&["--topic", "o-max", "--time", "-3"]).lines().join(";"),
        "",
        "an empty partition has none"
    );
    assert_eq!(offsets(&["--topic", "o-max", "--time", "-1"]).lines(), ["o-max:0:0"]);
}

#[test]
fn partitions_and_patterns_are_selected() {
    needs!(Broker, Tools);
    create_topic("o-select-a", 3);
    create_topic("o-select-b", 1);
    assert_eq!(
        offsets(&["--topic", "o-select-a", "--partitions", "0,2"]).lines(),
        ["o-select-a:0:0", "o-select-a:2:0"]
    );
    assert_eq!(
        offsets(&["--topic", "o-select-.*"]).lines(),
        ["o-select-a:0:0", "o-select-a:1:0", "o-select-a:2:0", "o-select-b:0:0"]
    );
    assert_eq!(offsets(&["--topic-partitions", "o-select-a:1-,o-select-b:0"]).lines().len(), 3);
    tool(GET_OFFSETS, &["--topic", "o-nowhere"])
        .fails()
        .shows("Could not match any topic-partitions with the specified filters");
}

#[test]
fn offset_of_a_timestamp_is_the_first_record_at_or_after_it() {
    needs!(Broker, Tools, Kcat);
    create_topic("o-time", 1);
    produce("o-time", "early\n");
    let stamp = kcat(&BROKER, &["-C", "-t", "o-time", "-o", "0", "-c", "1", "-q", "-f", "%T"], None);
    let later = (stamp.parse::<i64>().expect("a timestamp") + 1).to_string();
    let at = |time: &str| offsets(&["--topic", "o-time", "--time", time]).lines().join(";");
    assert_eq!(at(&stamp), "o-time:0:0");
    assert_eq!(at(&later), "");
    let query = format!("o-time:0:{stamp}");
    assert_eq!(kcat(&BROKER, &["-Q", "-t", &query], None).trim(), "o-time [0] offset 0");
}

#[test]
fn deleted_records_are_gone_and_the_low_watermark_moves() {
    needs!(Broker, Tools);
    create_topic("o-delete", 1);
    produce("o-delete", "a\nb\nc\nd\n");
    delete("o-delete", 0, 3).ok().shows("partition: o-delete-0\tlow_watermark: 3");
    assert_eq!(offsets(&["--topic", "o-delete", "--time", "-2"]).lines(), ["o-delete:0:3"]);
    let args = ["--topic", "o-delete", "--from-beginning", "--max-messages", "1", "--timeout-ms", "20000"];
    assert_eq!(tool(CONSOLE_CONSUMER, &args).ok().lines(), ["d"]);
    delete("o-delete", 0, -1).ok().shows("partition: o-delete-0\tlow_watermark: 4");
}

#[test]
fn deleting_past_the_end_is_refused() {
    needs!(Broker, Tools);
    create_topic("o-past", 1);
    produce("o-past", "a\n");
    delete("o-past", 0, 100)
        .shows("The requested offset is not within the range of offsets maintained by the server.");
}

fn delete(topic: &str, partition: i32, offset: i64) -> Ran {
    let file = BROKER.dir().join(format!("{topic}-{offset}.json"));
    let json = format!(
        r#"{{"partitions":[{{"topic":"{topic}","partition":{partition},"offset":{offset}}}],"version":1}}"#
    );
    fs::write(&file, json).expect("write the offsets file");
    tool(DELETE_RECORDS, &["--offset-json-file", file.to_str().expect("a UTF-8 path")])
}

#[test]
fn producers_of_a_partition_are_described() {
    needs!(Broker, Tools);
    create_topic("o-producers", 1);
    produce("o-producers", "a\nb\n");
    let described =
        tool(TRANSACTIONS, &["describe-producers", "--topic", "o-producers", "--partition", "0"]).ok();
    let described = described.shows("ProducerId").shows("LastSequence");
    let row: Vec<&str> =
        described.lines().last().map(|line| line.split_whitespace().collect()).unwrap_or_default();
    // ProducerId, ProducerEpoch, LatestCoordinatorEpoch, LastSequence, LastTimestamp, CurrentTransactionStartOffset.
    assert_eq!(
        (row.len(), row.get(1), row.get(2), row.get(5)),
        (6, Some(&"0"), Some(&"-1"), Some(&"None")),
        "{row:?}"
    );
    assert!(row.get(3).is_some_and(|sequence| ["0", "1"].contains(sequence)), "{row:?}");
}
