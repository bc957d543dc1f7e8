//! A power cut that takes records which consumers have read: the leader epoch tells them (KIP-101, KIP-320).

use std::path::Path;

use ottla_client::Client;
use ottla_model::Offset;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use ottla_protocol::messages::fetch_response::PartitionData;
use ottla_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use ottla_protocol::messages::{FetchRequest, MetadataRequest, OffsetForLeaderEpochRequest};
use uuid::Uuid;

use crate::support::{Broker, batch, topic_name, values_from};

async fn leader_epoch(client: &Client) -> i32 {
    let metadata = client.call(&MetadataRequest::default().with_topics(None)).await.unwrap();
    let topic = metadata.topics.iter().find(|topic| topic.name == Some(topic_name("t"))).unwrap();
    topic.partitions[0].leader_epoch
}

/// Error, and the end of `epoch` as the leader of `current` has it.
async fn end_of(client: &Client, current: i32, epoch: i32) -> (i16, i32, i64) {
    let partition = OffsetForLeaderPartition::default()
        .with_partition(0)
        .with_current_leader_epoch(current)
        .with_leader_epoch(epoch);
    let topic = OffsetForLeaderTopic::default().with_topic(topic_name("t")).with_partitions(vec![partition]);
    let request =
        OffsetForLeaderEpochRequest::default().with_replica_id((-1).into()).with_topics(vec![topic]);
    let answer = client.call(&request).await.unwrap();
    let end = &answer.topics[0].partitions[0];
    (end.error_code, end.leader_epoch, end.end_offset)
}

/// What a consumer asks for that has read up to `offset` in `epoch`.
async fn fetch(client: &Client, topic_id: Uuid, current: i32, offset: i64, epoch: i32) -> PartitionData {
    let partition = FetchPartition {
        partition: 0,
        current_leader_epoch: current,
        fetch_offset: offset,
        last_fetched_epoch: epoch,
        partition_max_bytes: 1_000,
        ..FetchPartition::default()
    };
    let topic = FetchTopic { topic_id, partitions: vec![partition], ..FetchTopic::default() };
    let request =
        FetchRequest { max_bytes: 1_000, session_epoch: -1, topics: vec![topic], ..FetchRequest::default() };
    client.connection().call(&request, 16).await.unwrap().responses[0].partitions[0].clone()
}

/// The last batches of a log are gone from the disk.
fn cut(data: &Path, bytes: u64) {
    let path = data.join("t-0").join(format!("{:020}.log", 0));
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_len(file.metadata().unwrap().len() - bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_of_records_that_a_power_cut_took_sees_that_its_log_is_another() {
    let broker = Broker::start().await;
    let topic_id = broker.create("t", &[]).await;
    let client = broker.client().await;
    client.produce("t", 0, batch(&["a", "b"]), -1).await.unwrap();
    let (first, second) = (batch(&["c"]), batch(&["d", "e"]));
    let lost = (first.len() + second.len()) as u64;
    for batch in [first, second] {
        client.produce("t", 0, batch, -1).await.unwrap();
    }
    let epoch = leader_epoch(&client).await;
    assert_eq!(values_from(&client, "t", Offset::ZERO).await, ["a", "b", "c", "d", "e"]);
    assert_eq!(fetch(&client, topic_id, epoch, 5, epoch).await.error_code, 0);

    let broker = broker.as_if_killed_after(|data| cut(data, lost)).await;
    let client = broker.client().await;
    let now = leader_epoch(&client).await;
    assert!(now > epoch, "{now} after {epoch}");
    let fenced = ErrorCode::FencedLeaderEpoch.code();
    assert_eq!(fetch(&client, topic_id, epoch, 5, epoch).await.error_code, fenced);
    assert_eq!(end_of(&client, epoch, epoch).await.0, fenced);
    // The position of 5 is behind the end of the epoch in which it was read, whatever is written there now.
    for values in [&[][..], &["x", "y", "z"]] {
        if !values.is_empty() {
            assert_eq!(client.produce("t", 0, batch(values), -1).await.unwrap().base_offset, Offset(2));
        }
        assert_eq!(end_of(&client, now, epoch).await, (0, epoch, 2));
        let read = fetch(&client, topic_id, now, 5, epoch).await;
        let diverging = (read.diverging_epoch.epoch, read.diverging_epoch.end_offset);
        assert_eq!((read.error_code, diverging), (0, (epoch, 2)));
    }
    // Nobody who has read no further is disturbed, and who reads on reads what is there.
    assert_eq!(fetch(&client, topic_id, now, 2, epoch).await.diverging_epoch.epoch, -1);
    assert_eq!(end_of(&client, now, now).await, (0, now, 5));
    assert_eq!(values_from(&client, "t", Offset::ZERO).await, ["a", "b", "x", "y", "z"]);

    // Once more, and before anything was written in the newest epoch.
    let broker = broker.as_if_killed().await.as_if_killed_after(|data| cut(data, 1)).await;
    let client = broker.client().await;
    let later = leader_epoch(&client).await;
    assert!(later > now + 1, "{later} after {now}, which was followed by another");
    assert_eq!(end_of(&client, later, now).await, (0, epoch, 2), "all of that epoch is gone");
    let read = fetch(&client, topic_id, later, 5, now).await;
    assert_eq!((read.diverging_epoch.epoch, read.diverging_epoch.end_offset), (epoch, 2));
}
