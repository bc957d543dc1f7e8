//! Order, silence and closing on a connection.

use std::io::Write;
use std::time::Duration;

use ottla_client::{Client, RawConnection};
use ottla_model::Offset;
use ottla_protocol::messages::{FetchResponse, MetadataRequest, ProduceResponse};
use ottla_protocol::{ApiKey, RequestHeader, encode_request};

use crate::support::{Broker, batch, values_from};

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_produces_are_appended_and_answered_in_order() {
    let broker = Broker::start().await;
    broker.create("t", &[("flush.messages", "1")]).await;
    let client = broker.client().await;
    let mut pending = Vec::new();
    for i in 0..50 {
        let request = Client::produce_request("t", 0, batch(&[&i.to_string()]), -1);
        pending.push(client.connection().start(&request, 12).await.unwrap());
    }
    for (i, answer) in pending.into_iter().enumerate() {
        let response: ProduceResponse = answer.answer().await.unwrap();
        let answer = &response.responses[0].partition_responses[0];
        assert_eq!((answer.error_code, answer.base_offset), (0, i64::try_from(i).unwrap()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parked_fetch_does_not_hold_back_the_request_behind_it() {
    let broker = Broker::start().await;
    broker.create("t", &[]).await;
    let client = broker.client().await;
    // On one connection: the fetch can only be answered by the produce that comes behind it.
    let fetch = Client::fetch_request("t", 0, Offset::ZERO, 1, 20_000);
    let fetch = client.connection().start(&fetch, 12).await.unwrap();
    let produce = Client::produce_request("t", 0, batch(&["x"]), -1);
    let produce = client.connection().start(&produce, 12).await.unwrap();
    let fetched: FetchResponse = fetch.answer().await.unwrap();
    assert!(!fetched.responses[0].partitions[0].records.clone().unwrap().is_empty());
    let produced: ProduceResponse = produce.answer().await.unwrap();
    assert_eq!(produced.responses[0].partition_responses[0].error_code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn produce_without_acks_has_no_answer_and_closes_on_error() {
    let broker = Broker::start().await;
    broker.create("t", &[]).await;
    let client = broker.client().await;
    client.connection().send_only(&Client::produce_request("t", 0, batch(&["x"]), 0), 12).await.unwrap();
    // The next answer on the connection is the next request's.
    client.call(&MetadataRequest::default()).await.unwrap();
    assert_eq!(values_from(&client, "t", Offset::ZERO).await, ["x"]);
    client
        .connection()
        .send_only(&Client::produce_request("missing", 0, batch(&["x"]), 0), 12)
        .await
        .unwrap();
    assert!(client.call(&MetadataRequest::default()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_apis_and_versions_close_the_connection() {
    let broker = Broker::start().await;
    for frame in [
        &[0, 200, 0, 0, 0, 0, 0, 1, 0xff, 0xff][..],
        &[0, 0, 0, 99, 0, 0, 0, 1, 0xff, 0xff],
        &[0, 24, 0, 0, 0, 0, 0, 1, 0xff, 0xff],
        &[0, 3],
    ] {
        let mut raw =
            RawConnection::connect(broker.address(), std::time::Duration::from_secs(10)).await.unwrap();
        raw.send_frame(frame).await.unwrap();
        assert!(raw.is_closed_by_peer().await, "{frame:?}");
    }
    broker.client().await.call(&MetadataRequest::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_beyond_the_bound_of_unanswered_requests_is_answered_whole() {
    let broker = Broker::start().await;
    let mut raw = RawConnection::connect(broker.address(), std::time::Duration::from_secs(10)).await.unwrap();
    // ApiVersions v0, in one write: nothing more comes in that could wake the broker.
    let mut burst = Vec::new();
    for correlation_id in 0..1_000_i32 {
        burst.extend_from_slice(&[0, 0, 0, 10, 0, 18, 0, 0]);
        burst.extend_from_slice(&correlation_id.to_be_bytes());
        burst.extend_from_slice(&[0xff, 0xff]);
    }
    raw.send_bytes(&burst).await.unwrap();
    for correlation_id in 0..1_000_i32 {
        let frame = raw.receive_frame().await.unwrap();
        assert_eq!(frame[..4], correlation_id.to_be_bytes());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_pauses_does_not_keep_the_broker_from_stopping() {
    let broker = Broker::start().await;
    broker.create("t", &[]).await;
    let header = RequestHeader { key: ApiKey::Produce, version: 9, correlation_id: 1, client_id: None };
    let request = Client::produce_request("t", 0, batch(&["x"]), 0);
    let block = encode_request(&header, &request).unwrap().repeat(1_000);
    let mut socket = std::net::TcpStream::connect(broker.address()).unwrap();
    let flood = std::thread::spawn(move || while socket.write_all(&block).is_ok() {});
    broker.client().await.fetch("t", 0, Offset::ZERO, 1, 5_000).await.unwrap();
    tokio::time::timeout(Duration::from_secs(30), broker.stop()).await.expect("stops");
    flood.join().unwrap();
}
