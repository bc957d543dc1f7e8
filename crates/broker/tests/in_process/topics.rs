//! Topics come, go, and change.

use ottla_model::Offset;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::metadata_request::MetadataRequestTopic;
use ottla_protocol::messages::{MetadataRequest, MetadataResponse};

use crate::support::{Broker, batch, copy_dir, topic_name, values_from};

#[tokio::test(flavor = "multi_thread")]
async fn recreated_topic_has_a_new_id_and_none_of_the_old_data() {
    let broker = Broker::start().await;
    let first = broker.create("t", &[]).await;
    let client = broker.client().await;
    client.produce("t", 0, batch(&["old"]), -1).await.unwrap();
    broker.delete("t").await;
    let second = broker.create("t", &[]).await;
    assert_ne!(first, second);
    assert_eq!(values_from(&client, "t", Offset::ZERO).await, [""; 0]);
    let produced = client.produce("t", 0, batch(&["new"]), -1).await.unwrap();
    assert_eq!(produced.base_offset, Offset::ZERO);
    let broker = broker.restart().await;
    assert_eq!(values_from(&broker.client().await, "t", Offset::ZERO).await, ["new"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_topic_takes_nothing_over_from_a_directory_that_is_in_its_place() {
    let broker = Broker::start().await;
    broker.create("t", &[]).await;
    let client = broker.client().await;
    client.produce("t", 0, batch(&["old"]), -1).await.unwrap();
    copy_dir(&broker.data_dir().join("t-0"), &broker.data_dir().join("u-0"));
    broker.create("u", &[]).await;
    assert_eq!(client.produce("u", 0, batch(&["new"]), -1).await.unwrap().base_offset, Offset::ZERO);
    assert_eq!(values_from(&client, "u", Offset::ZERO).await, ["new"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_topic_is_gone_after_a_restart_too() {
    let broker = Broker::start().await;
    broker.create("t", &[]).await;
    broker.delete("t").await;
    let broker = broker.restart().await;
    let error = broker.client().await.fetch("t", 0, Offset::ZERO, 1, 0).await.unwrap_err();
    assert_eq!(error.error_code(), Some(ErrorCode::UnknownTopicOrPartition));
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_makes_a_topic_only_if_it_may() {
    let broker = Broker::start().await;
    let client = broker.client().await;
    let ask = |allow| {
        let topic = MetadataRequestTopic::default().with_name(Some(topic_name("auto")));
        MetadataRequest::default().with_topics(Some(vec![topic])).with_allow_auto_topic_creation(allow)
    };
    let refused: MetadataResponse = client.call(&ask(false)).await.unwrap();
    assert_eq!(refused.topics[0].error_code, ErrorCode::UnknownTopicOrPartition.code());
    let made: MetadataResponse = client.call(&ask(true)).await.unwrap();
    assert_eq!((made.topics[0].error_code, made.topics[0].partitions.len()), (0, 1));
    client.produce("auto", 0, batch(&["x"]), -1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_offsets_topic_is_made_as_groups_need_it_whoever_asks_for_it() {
    let broker = Broker::start().await;
    let topic = |name| MetadataRequestTopic::default().with_name(Some(topic_name(name)));
    let topics = ["__consumer_offsets", "twice", "twice"].map(topic).to_vec();
    let request = MetadataRequest::default().with_topics(Some(topics)).with_allow_auto_topic_creation(true);
    let made: MetadataResponse = broker.client().await.call(&request).await.unwrap();
    let counts: Vec<_> = made.topics.iter().map(|topic| (topic.error_code, topic.partitions.len())).collect();
    // A name that is asked for twice is answered once, as by Kafka.
    assert_eq!(counts, [(0, 50), (0, 1)]);
}
