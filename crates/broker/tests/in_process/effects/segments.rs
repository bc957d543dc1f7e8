//! Files of a log: when they end, how large their indexes are, when they go.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use ottla_model::{Offset, TimestampMs};

use super::{TOPIC, alter, batch_at, eventually, places, wall_now};
use crate::support::{Broker, batch};

/// The files of the topic with this ending, by name.
fn files(broker: &Broker, topic: &str, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(broker.data_dir().join(format!("{topic}-0"))).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.to_string_lossy().ends_with(ending));
    paths.sort();
    paths
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_ends_at_the_size_that_holds_now() {
    let broker = Broker::start().await;
    broker.create("t", &[("retention.ms", "-1")]).await;
    let client = broker.client().await;
    let large = "x".repeat(900_000);
    let produce = async || client.produce("t", 0, batch(&[&large]), 1).await.unwrap();
    produce().await;
    produce().await;
    assert_eq!(files(&broker, "t", ".log").len(), 1);
    for (i, (kind, resource, name)) in places("segment.bytes", "log.segment.bytes").into_iter().enumerate() {
        alter(&client, kind, resource, name, Some("1048576")).await;
        produce().await;
        assert_eq!(files(&broker, "t", ".log").len(), i + 2, "{name} of {resource}");
        alter(&client, kind, resource, name, None).await;
        produce().await;
        assert_eq!(files(&broker, "t", ".log").len(), i + 2, "{name} of {resource} is gone");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_ends_at_the_age_that_holds_now() {
    let broker = Broker::start().await;
    broker.create("t", &[]).await;
    let client = broker.client().await;
    let start = wall_now().0;
    let produce = async |second: i64| {
        let records = batch_at(TimestampMs(start + 1_000 * second), &["a"]);
        client.produce("t", 0, records, 1).await.unwrap();
    };
    produce(0).await;
    produce(10).await;
    assert_eq!(files(&broker, "t", ".log").len(), 1);
    for (i, (kind, resource, name)) in (1_i64..).zip(places("segment.ms", "log.roll.ms")) {
        alter(&client, kind, resource, name, Some("5000")).await;
        produce(100 * i).await;
        let count = files(&broker, "t", ".log").len();
        alter(&client, kind, resource, name, None).await;
        produce(100 * i + 10).await;
        assert_eq!(i64::try_from(count).unwrap(), i + 1, "{name} of {resource}");
        assert_eq!(files(&broker, "t", ".log").len(), count, "{name} of {resource} is gone");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_cut_to_the_size_that_holds_now_and_its_files_wait_as_long_as_the_setting_says() {
    let often = [("log.retention.check.interval.ms", "20"), ("log.initial.task.delay.ms", "0")];
    let broker = Broker::start_with(&often).await;
    broker.create("t", &[("retention.ms", "-1"), ("internal.segment.bytes", "600")]).await;
    let client = broker.client().await;
    let fill = async || {
        for _ in 0..4 {
            client.produce("t", 0, batch(&[&"x".repeat(500)]), 1).await.unwrap();
        }
    };
    fill().await;
    for (delay, retention) in places("file.delete.delay.ms", "log.segment.delete.delay.ms")
        .into_iter()
        .zip(places("retention.bytes", "log.retention.bytes"))
    {
        let segments = || files(&broker, "t", ".log").len();
        let deleted = || files(&broker, "t", ".deleted").len();
        assert!(segments() >= 4);
        let (kind, resource, name) = retention;
        alter(&client, kind, resource, name, Some("700")).await;
        eventually("old segments go", async || segments() <= 2).await;
        assert!(deleted() > 0, "their files wait for a minute");
        alter(&client, kind, resource, name, None).await;
        let (delay_kind, delay_resource, delay_name) = delay;
        alter(&client, delay_kind, delay_resource, delay_name, Some("0")).await;
        fill().await;
        let waiting = deleted();
        alter(&client, kind, resource, name, Some("700")).await;
        eventually("old segments go again", async || segments() <= 2).await;
        eventually("and their files at once", async || deleted() <= waiting).await;
        alter(&client, kind, resource, name, None).await;
        alter(&client, delay_kind, delay_resource, delay_name, None).await;
        fill().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_expire_as_the_topics_own_setting_says_now() {
    let often = [
        ("log.retention.check.interval.ms", "20"),
        ("log.initial.task.delay.ms", "0"),
        ("log.retention.ms", "-1"),
    ];
    let broker = Broker::start_with(&often).await;
    broker.create("t", &[("internal.segment.bytes", "600")]).await;
    let client = broker.client().await;
    for _ in 0..4 {
        client.produce("t", 0, batch(&[&"x".repeat(500)]), 1).await.unwrap();
    }
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert!(client.fetch("t", 0, Offset::ZERO, 1, 0).await.is_ok());
    alter(&client, TOPIC, "t", "retention.ms", Some("1000")).await;
    eventually("old segments go", async || client.fetch("t", 0, Offset::ZERO, 1, 0).await.is_err()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_are_indexed_as_often_as_the_setting_says_now_and_a_full_index_ends_a_segment() {
    let broker = Broker::start().await;
    broker.create("t", &[("retention.ms", "-1"), ("internal.segment.bytes", "2000")]).await;
    let client = broker.client().await;
    let produce = async |count: usize| {
        for _ in 0..count {
            client.produce("t", 0, batch(&["a record of some length"]), 1).await.unwrap();
        }
    };
    // Of the segments that have ended; the active one's index is in memory.
    let indexed = || {
        let ended = files(&broker, "t", ".log").len() - 1;
        let indexes = files(&broker, "t", ".index").into_iter().take(ended);
        indexes.map(|path| path.metadata().unwrap().len()).sum::<u64>()
    };
    produce(50).await;
    assert_eq!(indexed(), 0, "4096 bytes are never between two batches of one segment");
    for (kind, resource, name) in places("index.interval.bytes", "log.index.interval.bytes") {
        let before = indexed();
        alter(&client, kind, resource, name, Some("0")).await;
        produce(50).await;
        // Written by the flush that a new segment asks for.
        eventually(&format!("{name} of {resource}"), async || indexed() > before).await;
        alter(&client, kind, resource, name, None).await;
    }
    alter(&client, TOPIC, "t", "index.interval.bytes", Some("0")).await;
    for (kind, resource, name) in places("segment.index.bytes", "log.index.size.max.bytes") {
        let before = files(&broker, "t", ".log").len();
        produce(10).await;
        let usual = files(&broker, "t", ".log").len() - before;
        alter(&client, kind, resource, name, Some("24")).await;
        produce(10).await;
        let now = files(&broker, "t", ".log").len() - before - usual;
        assert!(now > usual + 1, "{name} of {resource}: {now} segments, {usual} before");
        alter(&client, kind, resource, name, None).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_segment_has_its_blocks_if_the_setting_says_so_now() {
    let broker = Broker::start().await;
    broker.create("t", &[("retention.ms", "-1"), ("segment.bytes", "1048576")]).await;
    let client = broker.client().await;
    let large = "x".repeat(600_000);
    for (kind, resource, name) in places("preallocate", "log.preallocate") {
        let active_bytes = async || {
            client.produce("t", 0, batch(&[&large]), 1).await.unwrap();
            files(&broker, "t", ".log").last().unwrap().metadata().unwrap().blocks() * 512
        };
        assert!(active_bytes().await < 1_048_576);
        alter(&client, kind, resource, name, Some("true")).await;
        assert!(active_bytes().await >= 1_048_576, "{name} of {resource}");
        alter(&client, kind, resource, name, None).await;
    }
    assert!(client.fetch("t", 0, Offset::ZERO, 1, 0).await.is_ok());
}
