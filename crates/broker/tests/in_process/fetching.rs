//! What fetches see, and when they are answered.

use std::time::{Duration, Instant};

use ottla_client::Client;
use ottla_model::Offset;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{FetchRequest, FetchResponse};

use crate::support::{Broker, batch, values_from};

#[tokio::test(flavor = "multi_thread")]
async fn fetch_in_mid_batch_gets_the_whole_batch() {
    let broker = Broker::start().await;
    broker.create("t", &[]).await;
    let client = broker.client().await;
    client.produce("t", 0, batch(&["a", "b", "c"]), -1).await.unwrap();
    let fetched = client.fetch("t", 0, Offset(2), 1, 0).await.unwrap();
    assert_eq!(fetched.records_from(Offset::ZERO).unwrap().len(), 3);
    assert_eq!(values_from(&client, "t", Offset(2)).await, ["c"]);
    assert_eq!(fetched.high_watermark, Offset(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn first_batch_comes_whole_even_above_the_limits() {
    let broker = Broker::start().await;
    broker.create("t", &[]).await;
    let client = broker.client().await;
    let long = "x".repeat(10_000);
    client.produce("t", 0, batch(&[&long]), -1).await.unwrap();
    client.produce("t", 0, batch(&[&long]), -1).await.unwrap();
    let mut request = Client::fetch_request("t", 0, Offset::ZERO, 1, 0);
    request.max_bytes = 1;
    request.topics[0].partitions[0].partition_max_bytes = 1;
    let response: FetchResponse = client.connection().call(&request, 12).await.unwrap();
    let records = response.responses[0].partitions[0].records.clone().unwrap();
    assert!((10_000..20_000).contains(&records.len()), "{}", records.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn long_poll_is_answered_by_the_next_append() {
    let broker = Broker::start().await;
    broker.create("t", &[]).await;
    let (consumer, producer) = (broker.client().await, broker.client().await);
    let request = Client::fetch_request("t", 0, Offset::ZERO, 1, 20_000);
    let started = Instant::now();
    let waiting = consumer.connection().start(&request, 12).await.unwrap();
    producer.produce("t", 0, batch(&["now"]), -1).await.unwrap();
    let response = waiting.answer().await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(10));
    assert!(!response.responses[0].partitions[0].records.clone().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_long_poll_ends_with_empty_records_never_null() {
    let broker = Broker::start().await;
    broker.create("t", &[]).await;
    let client = broker.client().await;
    let started = Instant::now();
    let request = Client::fetch_request("t", 0, Offset::ZERO, 1, 200);
    let response: FetchResponse = client.connection().call(&request, 12).await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(200));
    assert_eq!(response.responses[0].partitions[0].records, Some(bytes::Bytes::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn offset_beyond_the_end_is_out_of_range() {
    let broker = Broker::start().await;
    broker.create("t", &[]).await;
    let error = broker.client().await.fetch("t", 0, Offset(1), 1, 0).await.unwrap_err();
    assert_eq!(error.error_code(), Some(ErrorCode::OffsetOutOfRange));
}

#[tokio::test(flavor = "multi_thread")]
async fn incremental_session_answers_only_what_changed() {
    let broker = Broker::start().await;
    broker.create("a", &[]).await;
    broker.create("b", &[]).await;
    let client = broker.client().await;
    let mut first = Client::fetch_request("a", 0, Offset::ZERO, 0, 0);
    first.topics.extend(Client::fetch_request("b", 0, Offset::ZERO, 0, 0).topics);
    first.session_epoch = 0;
    let full: FetchResponse = client.connection().call(&first, 12).await.unwrap();
    assert_ne!(full.session_id, 0);
    assert_eq!(full.responses.len(), 2);
    let next = |epoch| FetchRequest {
        session_id: full.session_id,
        session_epoch: epoch,
        topics: Vec::new(),
        ..first.clone()
    };
    let nothing: FetchResponse = client.connection().call(&next(1), 12).await.unwrap();
    assert!(nothing.responses.is_empty());
    client.produce("b", 0, batch(&["x"]), -1).await.unwrap();
    let changed: FetchResponse = client.connection().call(&next(2), 12).await.unwrap();
    assert_eq!(changed.responses.len(), 1);
    assert_eq!(changed.responses[0].topic.as_str(), "b");
    let stale: FetchResponse = client.connection().call(&next(2), 12).await.unwrap();
    assert_eq!(stale.error_code, ErrorCode::InvalidFetchSessionEpoch.code());
}
