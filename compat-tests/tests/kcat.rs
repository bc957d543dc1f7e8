//! kcat: produce, consume, groups, timestamps, metadata.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use ottla_compat_tests::kcat::{consume_all, kcat, kcat_any, produce_lines};
use ottla_compat_tests::{Broker, needs};

static BROKER: LazyLock<Broker> = LazyLock::new(Broker::start);

#[test]
fn every_codec_comes_back() {
    needs!(Broker, Kcat);
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = format!("codec-{codec}");
        let lines: String = (0..500).map(|n| format!("{codec} record {n}\n")).collect();
        let compression = format!("compression.codec={codec}");
        kcat(&BROKER, &["-P", "-t", &topic, "-p", "0", "-X", &compression], Some(lines.as_bytes()));
        assert_eq!(consume_all(&BROKER, &topic, "%s\n"), lines);
    }
}

#[test]
fn codecs_mix_in_one_partition() {
    needs!(Broker, Kcat);
    let mut expected = String::new();
    for codec in ["zstd", "none", "snappy", "gzip", "lz4"] {
        let compression = format!("compression.codec={codec}");
        let lines: String = (0..20).map(|n| format!("{codec} {n}\n")).collect();
        kcat(&BROKER, &["-P", "-t", "codec-mix", "-p", "0", "-X", &compression], Some(lines.as_bytes()));
        expected.push_str(&lines);
    }
    assert_eq!(consume_all(&BROKER, "codec-mix", "%s\n"), expected);
    let from_the_middle =
        kcat(&BROKER, &["-C", "-t", "codec-mix", "-o", "95", "-e", "-q", "-f", "%o %s\n"], None);
    assert_eq!(
        from_the_middle, "95 lz4 15\n96 lz4 16\n97 lz4 17\n98 lz4 18\n99 lz4 19\n",
        "an offset inside a batch"
    );
}

#[test]
fn keys_headers_empty_and_null_values_come_back() {
    needs!(Broker, Kcat);
    let produce = |args: &[&str], text: &str| {
        kcat(&BROKER, &[&["-P", "-t", "parts", "-p", "0"], args].concat(), Some(text.as_bytes()))
    };
    produce(&["-K", ":", "-H", "a=1", "-H", "b=2"], "key:value\n");
    produce(&["-K", ":", "-Z"], "tombstone:\n");
    produce(&[], "no key\n");
    let shown = consume_all(&BROKER, "parts", "%o key=%k keylen=%K value=%s len=%S headers=%h\n");
    assert_eq!(
        shown,
        "0 key=key keylen=3 value=value len=5 headers=a=1,b=2\n\
         1 key=tombstone keylen=9 value= len=-1 headers=\n\
         2 key= keylen=-1 value=no key len=6 headers=\n"
    );
}

#[test]
fn consumer_starts_where_it_is_told() {
    needs!(Broker, Kcat);
    produce_lines(&BROKER, "start", "a\nb\nc\nd\ne\n");
    let from =
        |offset: &str| kcat(&BROKER, &["-C", "-t", "start", "-p", "0", "-o", offset, "-e", "-q"], None);
    assert_eq!(from("beginning"), "a\nb\nc\nd\ne\n");
    assert_eq!(from("3"), "d\ne\n");
    assert_eq!(from("-2"), "d\ne\n", "relative to the end");
    assert_eq!(from("end"), "");
    let bounded = kcat(&BROKER, &["-C", "-t", "start", "-p", "0", "-o", "1", "-c", "2", "-q"], None);
    assert_eq!(bounded, "b\nc\n");
}

#[test]
fn timestamps_find_their_offsets() {
    needs!(Broker, Kcat);
    produce_lines(&BROKER, "times", "first\n");
    std::thread::sleep(std::time::Duration::from_millis(20));
    produce_lines(&BROKER, "times", "second\n");
    let stamps = consume_all(&BROKER, "times", "%T\n");
    let stamps: Vec<i64> = stamps.lines().map(|line| line.parse().expect("a timestamp")).collect();
    let query = |at: i64| kcat(&BROKER, &["-Q", "-t", &format!("times:0:{at}")], None).trim().to_owned();
    assert_eq!(query(stamps[0]), "times [0] offset 0");
    assert_eq!(query(stamps[0] + 1), "times [0] offset 1");
    assert_eq!(query(stamps[1]), "times [0] offset 1");
    assert_eq!(query(stamps[1] + 1), "times [0] offset -1", "kcat's word for no such record");
    assert_eq!(query(-2), "times [0] offset 0");
    assert_eq!(query(-1), "times [0] offset 2");
    let since = format!("s@{}", stamps[1]);
    assert_eq!(kcat(&BROKER, &["-C", "-t", "times", "-o", &since, "-e", "-q"], None), "second\n");
}

#[test]
fn metadata_is_listed() {
    needs!(Broker, Kcat);
    produce_lines(&BROKER, "listed", "x\n");
    let json = kcat(&BROKER, &["-L", "-J"], None);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let brokers = json["brokers"].as_array().expect("brokers");
    assert_eq!(brokers.len(), 1, "{json}");
    assert_eq!(brokers[0]["name"], BROKER.address());
    assert_eq!(json["controllerid"], brokers[0]["id"]);
    let topics = json["topics"].as_array().expect("topics");
    let topic = topics.iter().find(|topic| topic["topic"] == "listed").expect("the topic");
    let partition = &topic["partitions"][0];
    assert_eq!(partition["leader"], brokers[0]["id"]);
    assert_eq!(partition["isrs"].as_array().map(Vec::len), Some(1));
}

#[test]
fn group_reads_each_record_once_and_continues() {
    needs!(Broker, Kcat);
    let lines: String = (0..200).map(|n| format!("{n}\n")).collect();
    produce_lines(&BROKER, "grouped", &lines);
    let read = |count: &str| {
        let group = ["-G", "kcat-group", "-X", "auto.offset.reset=earliest", "-c", count, "-q", "grouped"];
        kcat(&BROKER, &group, None)
    };
    let first = read("120");
    let second = read("80");
    let all: BTreeSet<&str> = first.lines().chain(second.lines()).collect();
    assert_eq!(first.lines().count() + second.lines().count(), 200);
    assert_eq!(all.len(), 200, "each record once");
}

#[test]
fn group_reads_through_every_assignor() {
    needs!(Broker, Kcat);
    produce_lines(&BROKER, "assigned", "a\nb\n");
    for assignor in ["range", "roundrobin", "cooperative-sticky"] {
        let group = format!("kcat-{assignor}");
        let strategy = format!("partition.assignment.strategy={assignor}");
        let args =
            ["-G", &group, "-X", &strategy, "-X", "auto.offset.reset=earliest", "-c", "2", "-q", "assigned"];
        assert_eq!(kcat(&BROKER, &args, None), "a\nb\n");
    }
}

#[test]
fn static_member_comes_back_without_a_rebalance_of_others() {
    needs!(Broker, Kcat);
    produce_lines(&BROKER, "static", "a\nb\n");
    for expected in ["a\n", "b\n"] {
        let args = ["-G", "kcat-static", "-X", "group.instance.id=one", "-X", "auto.offset.reset=earliest"];
        let read = kcat(&BROKER, &[&args[..], &["-c", "1", "-q", "static"]].concat(), None);
        assert_eq!(read, expected);
    }
}

#[test]
fn every_acks_setting_writes() {
    needs!(Broker, Kcat);
    for acks in ["0", "1", "-1"] {
        let acks = format!("acks={acks}");
        kcat(&BROKER, &["-P", "-t", "acks", "-p", "0", "-X", &acks], Some(format!("{acks}\n").as_bytes()));
    }
    assert_eq!(consume_all(&BROKER, "acks", "%s\n"), "acks=0\nacks=1\nacks=-1\n");
}

#[test]
fn idempotent_producer_writes_each_record_once() {
    needs!(Broker, Kcat);
    let lines: String = (0..5000).map(|n| format!("{n}\n")).collect();
    let args =
        ["-P", "-t", "idempotent", "-p", "0", "-X", "enable.idempotence=true", "-X", "batch.num.messages=50"];
    kcat(&BROKER, &args, Some(lines.as_bytes()));
    assert_eq!(consume_all(&BROKER, "idempotent", "%s\n"), lines);
}

#[test]
fn old_clients_speak_old_versions() {
    needs!(Broker, Kcat);
    let args = [
        "-P",
        "-t",
        "old",
        "-p",
        "0",
        "-X",
        "broker.version.fallback=0.11.0",
        "-X",
        "api.version.request=false",
    ];
    let produced = kcat_any(&BROKER, &args, Some(b"old\n"));
    // librdkafka then picks versions that Kafka 4 no longer speaks: refused on both sides, and nothing else breaks.
    let known = consume_all(&BROKER, "codec-none", "%s\n");
    assert!(produced.status.success() || !known.contains("old"));
}
