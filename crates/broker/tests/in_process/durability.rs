//! What is acknowledged is there after a restart.

use ottla_model::Offset;
use ottla_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use ottla_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

use crate::support::{Broker, batch, copy_dir, topic_name, values_from};

#[tokio::test(flavor = "multi_thread")]
async fn records_and_settings_survive_a_clean_restart() {
    let broker = Broker::start().await;
    broker.create("t", &[("max.message.bytes", "1000")]).await;
    let client = broker.client().await;
    client.produce("t", 0, batch(&["a", "b"]), -1).await.unwrap();
    let broker = broker.restart().await;
    let client = broker.client().await;
    assert_eq!(values_from(&client, "t", Offset::ZERO).await, ["a", "b"]);
    assert!(client.produce("t", 0, batch(&[&"x".repeat(2_000)]), -1).await.is_err());
    assert_eq!(client.produce("t", 0, batch(&["c"]), -1).await.unwrap().base_offset, Offset(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn flush_after_every_message_answers_after_the_flush() {
    let broker = Broker::start().await;
    broker.create("t", &[("flush.messages", "1")]).await;
    let client = broker.client().await;
    for i in 0..10 {
        let produced = client.produce("t", 0, batch(&[&i.to_string()]), -1).await.unwrap();
        assert_eq!(produced.base_offset, Offset(i));
    }
    assert_eq!(values_from(&client, "t", Offset(8)).await, ["8", "9"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recreated_topic_inherits_no_checkpoint() {
    let broker = Broker::start().await;
    broker.create("t", &[]).await;
    let client = broker.client().await;
    client.produce("t", 0, batch(&["a", "b", "c"]), -1).await.unwrap();
    let partition = DeleteRecordsPartition::default().with_partition_index(0).with_offset(3);
    let topic = DeleteRecordsTopic::default().with_name(topic_name("t")).with_partitions(vec![partition]);
    let request = DeleteRecordsRequest::default().with_topics(vec![topic]);
    let response: DeleteRecordsResponse = client.call(&request).await.unwrap();
    assert_eq!(response.topics[0].partitions[0].low_watermark, 3);
    // A clean stop writes the checkpoints: log start 3.
    let broker = broker.restart().await;
    broker.delete("t").await;
    broker.create("t", &[]).await;
    broker.client().await.produce("t", 0, batch(&["new"]), -1).await.unwrap();
    let broker = broker.as_if_killed().await;
    assert_eq!(values_from(&broker.client().await, "t", Offset::ZERO).await, ["new"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_no_topic_owns_is_kept_under_another_name() {
    let broker = Broker::start().await;
    broker.create("t", &[]).await;
    broker.client().await.produce("t", 0, batch(&["a"]), -1).await.unwrap();
    let mut data = None;
    let _broker = broker
        .restart_after(|dir| {
            copy_dir(&dir.join("t-0"), &dir.join("foreign-0"));
            data = Some(dir.to_path_buf());
        })
        .await;
    let names = std::fs::read_dir(data.unwrap()).unwrap().map(|entry| entry.unwrap().path());
    let kept: Vec<_> = names.filter(|path| path.to_string_lossy().contains("foreign-0")).collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(kept[0].to_string_lossy().ends_with("-stray"));
    assert_ne!(std::fs::metadata(kept[0].join(format!("{:020}.log", 0))).unwrap().len(), 0);
}
