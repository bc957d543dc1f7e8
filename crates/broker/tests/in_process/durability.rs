//! What is acknowledged is there after a restart.

use ottla_model::Offset;

use crate::support::{Broker, batch, values_from};

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
