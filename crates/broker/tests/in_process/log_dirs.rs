//! Several log dirs: where replicas go, how they move, and what a failed dir takes with it.

use std::path::Path;
use std::time::Duration;

use ottla_client::Client;
use ottla_model::batch::BatchBuilder;
use ottla_model::{Offset, TimestampMs};
use ottla_protocol::messages::alter_replica_log_dirs_request::{AlterReplicaLogDir, AlterReplicaLogDirTopic};
use ottla_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use ottla_protocol::messages::describe_log_dirs_response::DescribeLogDirsResult;
use ottla_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use ottla_protocol::messages::{
    AlterReplicaLogDirsRequest, DeleteRecordsRequest, DescribeLogDirsRequest, IncrementalAlterConfigsRequest,
    StrBytes,
};

use crate::support::{Broker, batch, eventually, topic_name, values_from};

const STORAGE_ERROR: i16 = 56;

async fn describe(client: &Client) -> Vec<DescribeLogDirsResult> {
    let request = DescribeLogDirsRequest::default().with_topics(None);
    client.call(&request).await.unwrap().results
}

/// The log dir in which a topic's partition 0 is, and whether a future log of it is anywhere.
async fn place_of(broker: &Broker, client: &Client, topic: &str) -> (Option<usize>, bool) {
    let (mut place, mut has_future) = (None, false);
    for dir in describe(client).await {
        let number = (0..3).find(|number| Path::new(dir.log_dir.as_str()) == broker.log_dir(*number));
        for found in dir.topics.iter().filter(|found| found.name.as_str() == topic) {
            has_future |= found.partitions[0].is_future_key;
            if !found.partitions[0].is_future_key {
                place = number;
            }
        }
    }
    (place, has_future)
}

async fn alter(client: &Client, topic: &str, path: &str) -> i16 {
    let topic = AlterReplicaLogDirTopic::default().with_name(topic_name(topic)).with_partitions(vec![0]);
    let dir = AlterReplicaLogDir::default()
        .with_path(StrBytes::from_string(path.to_owned()))
        .with_topics(vec![topic]);
    let request = AlterReplicaLogDirsRequest::default().with_dirs(vec![dir]);
    client.call(&request).await.unwrap().results[0].partitions[0].error_code
}

async fn move_to(broker: &Broker, client: &Client, topic: &str, number: usize) -> i16 {
    alter(client, topic, &broker.log_dir(number).to_string_lossy()).await
}

/// Sets or deletes a config of the broker.
async fn configure(client: &Client, name: &'static str, value: Option<String>) -> i16 {
    alter_configs(client, (BROKER, "1"), name, value).await
}

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

/// Sets or deletes a config of a resource; a broker without a name is all of them.
async fn alter_configs(
    client: &Client,
    (kind, resource): (i8, &'static str),
    name: &'static str,
    value: Option<String>,
) -> i16 {
    let config = AlterableConfig::default()
        .with_name(StrBytes::from_static_str(name))
        .with_config_operation(i8::from(value.is_none()))
        .with_value(value.map(StrBytes::from_string));
    let resource = AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(StrBytes::from_static_str(resource))
        .with_configs(vec![config]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    client.call(&request).await.unwrap().responses[0].error_code
}

#[tokio::test(flavor = "multi_thread")]
async fn new_replicas_go_to_the_emptiest_dir_that_is_not_cordoned() {
    let broker = Broker::start_with_log_dirs(3).await;
    let client = broker.client().await;
    for (topic, place) in [("t0", 0), ("t1", 1), ("t2", 2), ("t3", 0)] {
        broker.create(topic, &[]).await;
        assert_eq!(place_of(&broker, &client, topic).await, (Some(place), false), "{topic}");
    }
    let second = broker.log_dir(1).to_string_lossy().into_owned();
    assert_eq!(configure(&client, "cordoned.log.dirs", Some(second.clone())).await, 0);
    let cordoned: Vec<bool> = describe(&client).await.iter().map(|dir| dir.is_cordoned).collect();
    assert_eq!(cordoned, [false, true, false]);
    for topic in ["t4", "t5"] {
        broker.create(topic, &[]).await;
        assert_ne!(place_of(&broker, &client, topic).await.0, Some(1), "{topic}");
    }
    assert_eq!(alter(&client, "t0", &second).await, 39, "INVALID_REPLICA_ASSIGNMENT");
    assert_eq!(configure(&client, "cordoned.log.dirs", Some("/elsewhere".to_owned())).await, 42);
    assert_eq!(configure(&client, "cordoned.log.dirs", None).await, 0);
    broker.create("t6", &[]).await;
    assert_eq!(place_of(&broker, &client, "t6").await.0, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn moves_are_refused_as_kafka_does_and_a_replica_to_be_is_made_where_it_was_wanted() {
    let broker = Broker::start_with_log_dirs(3).await;
    let client = broker.client().await;
    broker.create("t", &[]).await;
    assert_eq!(alter(&client, "t", "/elsewhere").await, 57);
    assert_eq!(alter(&client, "t", "data").await, 57);
    assert_eq!(move_to(&broker, &client, &"x".repeat(249), 1).await, 17);
    assert_eq!(move_to(&broker, &client, "new", 2).await, 3);
    broker.create("new", &[]).await;
    assert_eq!(place_of(&broker, &client, "new").await, (Some(2), false));
    assert_eq!(move_to(&broker, &client, "t", 0).await, 0, "where it is");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_moves_while_it_is_written_and_stays_where_it_is_after_a_restart() {
    let broker = Broker::start_with_log_dirs(2).await;
    let client = broker.client().await;
    broker.create("t", &[]).await;
    let mut expected = Vec::new();
    let large = "v".repeat(20_000);
    for number in 0..200 {
        let value = format!("{number} {large}");
        client.produce("t", 0, batch(&[&value]), -1).await.unwrap();
        expected.push(value);
    }
    assert_eq!(move_to(&broker, &client, "t", 1).await, 0);
    for number in 200..300 {
        let value = format!("{number}");
        client.produce("t", 0, batch(&[&value]), -1).await.unwrap();
        expected.push(value);
    }
    eventually("the move", async || place_of(&broker, &client, "t").await == (Some(1), false)).await;
    client.produce("t", 0, batch(&["after"]), -1).await.unwrap();
    expected.push("after".to_owned());
    let broker = broker.restart().await;
    let client = broker.client().await;
    assert_eq!(place_of(&broker, &client, "t").await, (Some(1), false));
    let mut read = Vec::new();
    while read.len() < expected.len() {
        let from = Offset(i64::try_from(read.len()).unwrap());
        read.extend(values_from(&client, "t", from).await);
    }
    assert_eq!(read, expected);
    let left = names_in(&broker.log_dir(0));
    assert!(!left.contains(&"t-0".to_owned()), "{left:?}");
    assert!(left.iter().any(|name| name.starts_with("t-0.") && name.ends_with("-delete")), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_records_of_a_log_that_has_moved_do_not_come_back_after_a_kill() {
    let broker = Broker::start_with_log_dirs(2).await;
    let client = broker.client().await;
    broker.create("t", &[]).await;
    client.produce("t", 0, batch(&["a", "b", "c"]), -1).await.unwrap();
    client.produce("t", 0, batch(&["d"]), -1).await.unwrap();
    let partition = DeleteRecordsPartition::default().with_partition_index(0).with_offset(2);
    let topic = DeleteRecordsTopic::default().with_name(topic_name("t")).with_partitions(vec![partition]);
    let request = DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(9_000);
    assert_eq!(client.call(&request).await.unwrap().topics[0].partitions[0].low_watermark, 2);
    assert_eq!(move_to(&broker, &client, "t", 1).await, 0);
    eventually("the move", async || place_of(&broker, &client, "t").await == (Some(1), false)).await;
    let broker = broker.as_if_killed().await;
    let client = broker.client().await;
    assert_eq!(values_from(&client, "t", Offset(2)).await, ["c", "d"]);
    let below = client.fetch("t", 0, Offset::ZERO, 1, 0).await;
    assert!(below.is_err(), "{below:?}");
}

fn names_in(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    entries.map(|name| name.to_string_lossy().into_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_of_a_deleted_topic_stay_for_the_delay_that_is_set_and_over_a_restart() {
    let broker = Broker::start().await;
    broker.create("t", &[]).await;
    broker.client().await.produce("t", 0, batch(&["a"]), -1).await.unwrap();
    broker.delete("t").await;
    let waiting = |broker: &Broker| {
        let names = names_in(&broker.data_dir());
        assert!(!names.contains(&"t-0".to_owned()), "{names:?}");
        names.iter().filter(|name| name.starts_with("t-0.") && name.ends_with("-delete")).count()
    };
    eventually("the directory renamed", async || !broker.data_dir().join("t-0").exists()).await;
    assert_eq!(waiting(&broker), 1);
    let broker = broker.restart().await;
    assert_eq!(waiting(&broker), 1, "after a restart");
    let client = broker.client().await;
    assert_eq!(
        alter_configs(&client, (BROKER, ""), "log.segment.delete.delay.ms", Some("1".to_owned())).await,
        0
    );
    eventually("the files are gone", async || waiting(&broker) == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_without_a_log_dir_that_works_cannot_go_on() {
    let broker = Broker::start().await;
    let client = broker.client().await;
    broker.create("t", &[("segment.bytes", "1048576")]).await;
    let away = broker.data_dir().with_extension("away");
    std::fs::rename(broker.data_dir(), &away).unwrap();
    let large = "v".repeat(700_000);
    for _ in 0..3 {
        let _ = client.produce("t", 0, batch(&[&large]), -1).await;
    }
    let dir = broker.data_dir();
    let expected = format!("Shutdown broker because all log dirs in {} have failed", dir.display());
    assert_eq!(broker.failed().await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_whose_metadata_dir_has_failed_cannot_go_on() {
    let broker = Broker::start_with_log_dirs(2).await;
    let client = broker.client().await;
    broker.create("t", &[("segment.bytes", "1048576")]).await;
    assert_eq!(place_of(&broker, &client, "t").await.0, Some(0));
    let (dir, away) = (broker.data_dir(), broker.data_dir().with_extension("away"));
    std::fs::rename(&dir, &away).unwrap();
    let large = "v".repeat(700_000);
    for _ in 0..3 {
        let _ = client.produce("t", 0, batch(&[&large]), -1).await;
    }
    let expected = format!("Shutdown broker because the metadata log dir {} has failed", dir.display());
    assert_eq!(broker.failed().await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_move_is_seen_taken_back_and_begun_anew_after_a_restart_and_a_kill() {
    let broker = Broker::start_with_log_dirs(2).await;
    let client = broker.client().await;
    broker.create("t", &[]).await;
    let large = "v".repeat(100_000);
    for _ in 0..30 {
        client.produce("t", 0, batch(&[&large]), -1).await.unwrap();
    }
    let throttle = "replica.alter.log.dirs.io.max.bytes.per.second";
    assert_eq!(configure(&client, throttle, Some("1000".to_owned())).await, 0);
    assert_eq!(move_to(&broker, &client, "t", 1).await, 0);
    eventually("a future log", async || place_of(&broker, &client, "t").await == (Some(0), true)).await;
    let dirs = describe(&client).await;
    let future = &dirs[1].topics[0].partitions[0];
    assert!(future.is_future_key && future.offset_lag > 0 && future.offset_lag <= 30, "{future:?}");

    assert_eq!(move_to(&broker, &client, "t", 0).await, 0);
    let has_files = |broker: &Broker| {
        let mut names = std::fs::read_dir(broker.log_dir(1)).unwrap().map(|entry| entry.unwrap().file_name());
        names.any(|name| name.to_string_lossy().ends_with("-future"))
    };
    eventually("the move taken back", async || !has_files(&broker)).await;
    assert_eq!(place_of(&broker, &client, "t").await, (Some(0), false));

    assert_eq!(move_to(&broker, &client, "t", 1).await, 0);
    eventually("a future log again", async || has_files(&broker)).await;
    let killed = broker.as_if_killed().await;
    let restarted = broker.restart().await;
    for broker in [killed, restarted] {
        let client = broker.client().await;
        eventually("the move", async || {
            configure(&client, throttle, None).await;
            place_of(&broker, &client, "t").await == (Some(1), false)
        })
        .await;
        assert_eq!(values_from(&client, "t", Offset(29)).await, [large.as_str()]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_log_concerns_nobody_else() {
    let broker = Broker::start().await;
    for topic in ["good", "bad"] {
        broker.create(topic, &[]).await;
        broker.client().await.produce(topic, 0, batch(&["a"]), -1).await.unwrap();
    }
    let broker = broker
        .restart_after(|dir| {
            let of_a_later_version = "version: 7\ntopic_id: 4L6g3nShT-eMCtK--X86sw\n";
            std::fs::write(dir.join("bad-0/partition.metadata"), of_a_later_version).unwrap();
        })
        .await;
    let client = broker.client().await;
    assert_eq!(values_from(&client, "good", Offset::ZERO).await, ["a"]);
    assert!(client.produce("bad", 0, batch(&["b"]), -1).await.is_err());
    assert!(broker.data_dir().join("bad-0").is_dir(), "it stays as it is");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dir_that_cannot_be_opened_takes_only_its_own_replicas_offline() {
    let broker = Broker::start_with_log_dirs(3).await;
    for topic in ["t0", "t1", "t2"] {
        broker.create(topic, &[]).await;
        broker.client().await.produce(topic, 0, batch(&[topic]), -1).await.unwrap();
    }
    let (second, away) = (broker.log_dir(1), broker.log_dir(1).with_extension("away"));
    let broker = broker
        .restart_after(|_| {
            std::fs::rename(&second, &away).unwrap();
            std::fs::write(&second, "no directory").unwrap();
        })
        .await;
    let client = broker.client().await;
    let errors: Vec<i16> = describe(&client).await.iter().map(|dir| dir.error_code).collect();
    assert_eq!(errors, [0, STORAGE_ERROR, 0], "in the order of log.dirs");
    for topic in ["t0", "t2"] {
        assert_eq!(values_from(&client, topic, Offset::ZERO).await, [topic]);
    }
    assert!(client.produce("t1", 0, batch(&["lost?"]), -1).await.is_err());
    assert_eq!(move_to(&broker, &client, "t0", 1).await, STORAGE_ERROR);
    broker.create("new", &[]).await;
    client.produce("new", 0, batch(&["n"]), -1).await.unwrap();
    drop(client);
    let broker = broker
        .restart_after(|_| {
            std::fs::remove_file(&second).unwrap();
            std::fs::rename(&away, &second).unwrap();
        })
        .await;
    let client = broker.client().await;
    assert_eq!(values_from(&client, "t1", Offset::ZERO).await, ["t1"]);
    client.produce("t1", 0, batch(&["back"]), -1).await.unwrap();
    assert_eq!(values_from(&client, "new", Offset::ZERO).await, ["n"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dir_that_fails_while_it_is_used_goes_offline_and_the_others_stay() {
    let broker = Broker::start_with_log_dirs(2).await;
    let client = broker.client().await;
    for topic in ["t0", "t1", "t2", "t3"] {
        broker.create(topic, &[("segment.bytes", "1048576")]).await;
        client.produce(topic, 0, batch(&[topic]), -1).await.unwrap();
    }
    // The next segment cannot be made.
    let (second, away) = (broker.log_dir(1), broker.log_dir(1).with_extension("away"));
    std::fs::rename(&second, &away).unwrap();
    let large = "v".repeat(700_000);
    let mut failed = false;
    for _ in 0..3 {
        failed |= client.produce("t1", 0, batch(&[&large]), -1).await.is_err();
    }
    assert!(failed);
    eventually("the dir offline", async || describe(&client).await[1].error_code == STORAGE_ERROR).await;
    assert!(client.produce("t3", 0, batch(&["x"]), -1).await.is_err(), "in the same dir");
    client.produce("t0", 0, batch(&["y"]), -1).await.unwrap();
    broker.create("new", &[]).await;
    client.produce("new", 0, batch(&["n"]), -1).await.unwrap();
    drop(client);
    let broker = broker.restart_after(|_| std::fs::rename(&away, &second).unwrap()).await;
    let client = broker.client().await;
    assert_eq!(values_from(&client, "t3", Offset::ZERO).await, ["t3"]);
    client.produce("t1", 0, batch(&["back"]), -1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_not_compacted_while_it_moves() {
    let broker = Broker::start_with_log_dirs(2).await;
    let client = broker.client().await;
    let backoff = "log.cleaner.backoff.ms";
    assert_eq!(alter_configs(&client, (BROKER, ""), backoff, Some("5".to_owned())).await, 0);
    let throttle = "replica.alter.log.dirs.io.max.bytes.per.second";
    assert_eq!(configure(&client, throttle, Some("1000".to_owned())).await, 0);
    let lag = "min.compaction.lag.ms";
    broker
        .create("t", &[("cleanup.policy", "compact"), ("segment.bytes", "1048576"), (lag, "3600000")])
        .await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    for _ in 0..12 {
        let mut builder = BatchBuilder::new(Offset::ZERO);
        let timestamp = TimestampMs(i64::try_from(now).unwrap());
        builder.push(timestamp, Some(b"k"), Some(&[b'v'; 300_000]), &[]);
        client.produce("t", 0, builder.build().unwrap().into(), -1).await.unwrap();
    }
    assert_eq!(move_to(&broker, &client, "t", 1).await, 0);
    eventually("a future log", async || place_of(&broker, &client, "t").await == (Some(0), true)).await;
    let is_compacted = || {
        let checkpoint = std::fs::read_to_string(broker.data_dir().join("cleaner-offset-checkpoint"));
        checkpoint.is_ok_and(|checkpoint| checkpoint.contains("t 0 "))
    };
    assert_eq!(alter_configs(&client, (TOPIC, "t"), lag, Some("0".to_owned())).await, 0);
    // A hundred times the cleaner's rest.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!is_compacted());
    assert_eq!(move_to(&broker, &client, "t", 0).await, 0);
    eventually("compaction once the move is taken back", async || is_compacted()).await;
}
