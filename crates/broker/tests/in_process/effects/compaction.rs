//! When the cleaner takes a log, and what it leaves.

use bytes::Bytes;
use ottla_client::Client;
use ottla_model::Offset;
use ottla_model::batch::BatchBuilder;

use super::{BROKER, alter, eventually, places, wall_now};
use crate::support::Broker;

const OFTEN: [(&str, &str); 2] = [("log.cleaner.backoff.ms", "10"), ("log.initial.task.delay.ms", "0")];

/// One record; without a value it is a tombstone.
async fn put(client: &Client, key: &str, value: Option<&str>) {
    let mut builder = BatchBuilder::new(Offset::ZERO);
    builder.push(wall_now(), Some(key.as_bytes()), value.map(str::as_bytes), &[]);
    client.produce("t", 0, Bytes::from(builder.build().unwrap()), 1).await.unwrap();
}

/// The same key again and again, and the active segment's record behind it.
async fn fill(client: &Client) {
    for i in 0..6 {
        put(client, "k", Some(&i.to_string())).await;
    }
    put(client, "last", Some("x")).await;
}

/// Keys of all records that are left, with whether they have a value.
async fn left(client: &Client) -> Vec<(String, bool)> {
    let mut all = Vec::new();
    let mut from = Offset::ZERO;
    loop {
        let fetched = client.fetch("t", 0, from, 0, 0).await.unwrap();
        let records = fetched.records_from(from).unwrap();
        // What is compacted may have batches without records.
        let next = fetched.next_offset(from);
        if next == from {
            return all;
        }
        from = next;
        all.extend(records.iter().map(|record| {
            let key = record.key.as_ref().map(|key| String::from_utf8_lossy(key).into_owned());
            (key.unwrap_or_default(), record.value.is_some())
        }));
    }
}

async fn count(client: &Client, key: &str) -> usize {
    left(client).await.iter().filter(|(found, _)| found == key).count()
}

async fn broker_with(settings: &[(&str, &str)], topic: &[(&'static str, &'static str)]) -> (Broker, Client) {
    let broker = Broker::start_with(settings).await;
    let base = [("cleanup.policy", "compact"), ("internal.segment.bytes", "90")];
    broker.create("t", &[&base[..], topic].concat()).await;
    let client = broker.client().await;
    (broker, client)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_compacted_when_it_is_as_dirty_as_the_setting_says_now() {
    for (kind, resource, name) in places("min.cleanable.dirty.ratio", "log.cleaner.min.cleanable.ratio") {
        let (_broker, client) = broker_with(&OFTEN, &[]).await;
        alter(&client, kind, resource, name, Some("1.0")).await;
        fill(&client).await;
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        assert_eq!(count(&client, "k").await, 6, "{name} of {resource}: no log is dirtier than that");
        alter(&client, kind, resource, name, Some("0.1")).await;
        eventually("it is compacted", async || count(&client, "k").await < 6).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_left_alone_and_taken_at_the_latest_as_the_lags_say_now() {
    let lags = places("min.compaction.lag.ms", "log.cleaner.min.compaction.lag.ms");
    for (kind, resource, name) in lags {
        let (_broker, client) = broker_with(&OFTEN, &[("min.cleanable.dirty.ratio", "0.1")]).await;
        alter(&client, kind, resource, name, Some("3600000")).await;
        fill(&client).await;
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        assert_eq!(count(&client, "k").await, 6, "{name} of {resource}: too young");
        alter(&client, kind, resource, name, None).await;
        eventually("it is compacted", async || count(&client, "k").await < 6).await;
    }
    let lags = places("max.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms");
    for (kind, resource, name) in lags {
        let (_broker, client) = broker_with(&OFTEN, &[("min.cleanable.dirty.ratio", "1.0")]).await;
        fill(&client).await;
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        assert_eq!(count(&client, "k").await, 6, "not dirty enough");
        alter(&client, kind, resource, name, Some("1")).await;
        eventually(name, async || count(&client, "k").await < 6).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tombstones_stay_as_long_as_the_setting_says_now() {
    for (kind, resource, name) in places("delete.retention.ms", "log.cleaner.delete.retention.ms") {
        let (_broker, client) = broker_with(&OFTEN, &[("min.cleanable.dirty.ratio", "0.01")]).await;
        put(&client, "gone", Some("value")).await;
        put(&client, "gone", None).await;
        fill(&client).await;
        eventually("it is compacted", async || count(&client, "gone").await == 1).await;
        // The time of those that a cleaning has seen is settled; the next have none.
        alter(&client, kind, resource, name, Some("0")).await;
        put(&client, "next", None).await;
        eventually(name, async || {
            fill(&client).await;
            count(&client, "next").await == 0
        })
        .await;
        assert_eq!(count(&client, "gone").await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cleaner_looks_as_often_as_the_setting_says_now() {
    for resource in ["", "1"] {
        let rarely = [("log.cleaner.backoff.ms", "3600000"), ("log.initial.task.delay.ms", "0")];
        let (_broker, client) = broker_with(&rarely, &[("min.cleanable.dirty.ratio", "0.1")]).await;
        fill(&client).await;
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        assert_eq!(count(&client, "k").await, 6, "it rests for an hour");
        alter(&client, BROKER, resource, "log.cleaner.backoff.ms", Some("10")).await;
        eventually("it is compacted", async || count(&client, "k").await < 6).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cleaner_is_as_fast_as_the_setting_says_now() {
    let slowly = [("log.cleaner.io.max.bytes.per.second", "1.0"), OFTEN[0], OFTEN[1]];
    let (_broker, client) = broker_with(&slowly, &[("min.cleanable.dirty.ratio", "0.1")]).await;
    fill(&client).await;
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert_eq!(count(&client, "k").await, 6, "a byte a second");
    alter(&client, BROKER, "", "log.cleaner.io.max.bytes.per.second", Some("1.0E9")).await;
    eventually("it is compacted", async || count(&client, "k").await < 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_cleaner_nothing_is_compacted() {
    let off = [("log.cleaner.enable", "false"), OFTEN[0], OFTEN[1]];
    let (broker, client) = broker_with(&off, &[("min.cleanable.dirty.ratio", "0.01")]).await;
    fill(&client).await;
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert_eq!(count(&client, "k").await, 6);
    drop(broker);
}

/// Threads of this process with this name.
fn threads_named(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok());
    names.filter(|found| found.trim() == name).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cleaner_has_as_many_threads_as_the_setting_says_now() {
    let (_broker, client) = broker_with(&OFTEN, &[]).await;
    let set = async |count: &str| alter(&client, BROKER, "", "log.cleaner.threads", Some(count)).await;
    // Names that no other broker in this process has.
    let highest = "cleaner-3";
    set("2").await;
    set("4").await;
    eventually("four", async || threads_named(highest) == 1).await;
    set("2").await;
    eventually("two", async || threads_named(highest) == 0).await;
    // Lowered and raised within moments: the thread that was about to leave is there all the same.
    for _ in 0..10 {
        set("4").await;
        set("2").await;
    }
    set("4").await;
    eventually("four again", async || threads_named(highest) == 1).await;
}
