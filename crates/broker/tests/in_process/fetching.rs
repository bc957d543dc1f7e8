//! What fetches see, and when they are answered.

use std::time::{Duration, Instant};

use ottla_client::Client;
use ottla_model::Offset;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use ottla_protocol::messages::{
    DeleteRecordsRequest, DeleteRecordsResponse, DeleteTopicsRequest, DeleteTopicsResponse, FetchRequest,
    FetchResponse, StrBytes,
};

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

/// A session of topics whose fetches name what the test says.
struct Session<'a> {
    client: &'a Client,
    id: i32,
    epoch: i32,
}

impl<'a> Session<'a> {
    async fn begin(client: &'a Client, topics: &[&str]) -> Self {
        let mut full = Client::fetch_request("unused", 0, Offset::ZERO, 0, 0);
        full.topics = topics
            .iter()
            .flat_map(|topic| Client::fetch_request(topic, 0, Offset::ZERO, 0, 0).topics)
            .collect();
        full.session_epoch = 0;
        let answer: FetchResponse = client.connection().call(&full, 12).await.unwrap();
        assert_ne!(answer.session_id, 0);
        Self { client, id: answer.session_id, epoch: 0 }
    }

    /// Topics with their error, bytes of records and log start, in the answer's order.
    async fn fetch(&mut self, named: &[(&str, i64)], wait_ms: i32) -> Vec<(String, i16, usize, i64)> {
        self.epoch += 1;
        let mut request = Client::fetch_request("unused", 0, Offset::ZERO, 1, wait_ms);
        let topics =
            named.iter().map(|(topic, at)| Client::fetch_request(topic, 0, Offset(*at), 1, 0).topics);
        request.topics = topics.flatten().collect();
        (request.session_id, request.session_epoch) = (self.id, self.epoch);
        let answer: FetchResponse = self.client.connection().call(&request, 12).await.unwrap();
        assert_eq!(answer.error_code, 0);
        let told = answer.responses.iter().map(|topic| {
            let partition = &topic.partitions[0];
            let len = partition.records.as_ref().map_or(0, bytes::Bytes::len);
            (topic.topic.to_string(), partition.error_code, len, partition.log_start_offset)
        });
        told.collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_of_a_session_that_had_nothing_new_are_heard_of_when_they_have() {
    let broker = Broker::start().await;
    for topic in ["a", "b", "c"] {
        broker.create(topic, &[]).await;
    }
    let client = broker.client().await;
    let producer = broker.client().await;
    let mut session = Session::begin(&client, &["a", "b", "c"]).await;
    assert_eq!(session.fetch(&[], 0).await, [], "from here on none is read until it changes");
    let (told, produced) = tokio::join!(session.fetch(&[], 60_000), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        producer.produce("b", 0, batch(&["x"]), -1).await
    });
    produced.unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].0.as_str(), told[0].1), ("b", 0));
    assert!(told[0].2 > 0);
    let again = session.fetch(&[], 0).await;
    assert_eq!(again, told, "what the client has not named at a later offset is sent again");
    assert_eq!(session.fetch(&[("b", 1)], 0).await, []);

    producer.produce("c", 0, batch(&["x"]), -1).await.unwrap();
    assert_eq!(session.fetch(&[], 0).await.len(), 1);
    assert_eq!(session.fetch(&[("c", 1)], 0).await, []);
    let partition = DeleteRecordsPartition::default().with_partition_index(0).with_offset(1);
    let topic = DeleteRecordsTopic::default()
        .with_name(StrBytes::from_static_str("c").into())
        .with_partitions(vec![partition]);
    let request = DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
    let _: DeleteRecordsResponse = producer.connection().call(&request, 2).await.unwrap();
    assert_eq!(session.fetch(&[], 0).await, [("c".to_owned(), 0, 0, 1)], "the log's start is told");
    assert_eq!(session.fetch(&[], 0).await, []);

    let request = DeleteTopicsRequest::default()
        .with_topic_names(vec![StrBytes::from_static_str("a").into()])
        .with_timeout_ms(10_000);
    let _: DeleteTopicsResponse = producer.connection().call(&request, 5).await.unwrap();
    let told = session.fetch(&[], 60_000).await;
    let unknown = ErrorCode::UnknownTopicOrPartition.code();
    assert_eq!(told.iter().map(|told| (told.0.as_str(), told.1)).collect::<Vec<_>>(), [("a", unknown)]);
}
