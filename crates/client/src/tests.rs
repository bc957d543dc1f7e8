use bytes::{Bytes, BytesMut};
use ottla_model::Offset;
use ottla_model::batch::BatchBuilder;
use ottla_protocol::messages::api_versions_response::ApiVersion;
use ottla_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use ottla_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse, HeartbeatRequest, ProduceResponse};
use ottla_protocol::{ApiKey, ErrorCode, RequestHeader, Response, encode_response, split_frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;

/// The other side of a connection: reads requests, answers what the test says.
struct Peer {
    stream: DuplexStream,
    received: BytesMut,
}

impl Peer {
    fn connected() -> (Connection, Self) {
        let (near, far) = tokio::io::duplex(1 << 16);
        let config = ConnectionConfig { pending_max: 4, ..ConnectionConfig::default() };
        (Connection::over(near, config), Self { stream: far, received: BytesMut::new() })
    }

    async fn request(&mut self) -> RequestHeader {
        loop {
            if let Some(mut frame) = split_frame(&mut self.received, 1 << 20).unwrap() {
                return RequestHeader::split_from(&mut frame).unwrap();
            }
            assert_ne!(self.stream.read_buf(&mut self.received).await.unwrap(), 0, "closed");
        }
    }

    async fn answer<R: Response>(&mut self, header: &RequestHeader, response: &R) {
        let frame = encode_response(header.version, header.correlation_id, response).unwrap();
        self.stream.write_all(&frame).await.unwrap();
    }
}

fn versions(throttle_time_ms: i32) -> ApiVersionsResponse {
    let api = |key: ApiKey, min, max| {
        ApiVersion::default().with_api_key(key.code()).with_min_version(min).with_max_version(max)
    };
    let keys = vec![api(ApiKey::Produce, 0, 99), api(ApiKey::Metadata, 0, 5), api(ApiKey::Heartbeat, 90, 99)];
    ApiVersionsResponse::default().with_api_keys(keys).with_throttle_time_ms(throttle_time_ms)
}

#[tokio::test]
async fn pipelined_calls_get_their_own_answers() {
    let (connection, mut peer) = Peer::connected();
    let request = ApiVersionsRequest::default();
    let first = connection.start(&request, 3).await.unwrap();
    let second = connection.start(&request, 1).await.unwrap();
    let headers = [peer.request().await, peer.request().await];
    assert_eq!(headers.each_ref().map(|header| (header.version, header.correlation_id)), [(3, 0), (1, 1)]);
    assert_eq!(headers[0].client_id.as_deref(), Some("ottla-client"));
    assert_eq!(connection.pending(), 2);
    peer.answer(&headers[0], &versions(10)).await;
    peer.answer(&headers[1], &versions(20)).await;
    assert_eq!(second.answer().await.unwrap().throttle_time_ms, 20);
    assert_eq!(first.answer().await.unwrap().throttle_time_ms, 10);
}

#[tokio::test]
async fn an_answer_out_of_order_ends_the_connection() {
    let (connection, mut peer) = Peer::connected();
    let first = connection.start(&ApiVersionsRequest::default(), 3).await.unwrap();
    let second = connection.start(&ApiVersionsRequest::default(), 3).await.unwrap();
    let _ = peer.request().await;
    let header = peer.request().await;
    peer.answer(&header, &versions(0)).await;
    let error = first.answer().await.unwrap_err();
    assert!(matches!(error, ClientError::OutOfOrder { expected: 0, found: 1 }), "{error}");
    assert!(matches!(second.answer().await.unwrap_err(), ClientError::Closed));
    let after = connection.start(&ApiVersionsRequest::default(), 3).await.unwrap_err();
    assert!(matches!(after, ClientError::Closed));
}

#[tokio::test]
async fn a_closed_peer_ends_what_is_pending() {
    let (connection, peer) = Peer::connected();
    let pending = connection.start(&ApiVersionsRequest::default(), 3).await.unwrap();
    drop(peer);
    assert!(matches!(pending.answer().await.unwrap_err(), ClientError::Closed));
}

#[tokio::test]
async fn pending_calls_are_bounded() {
    let (connection, _peer) = Peer::connected();
    let mut pending = Vec::new();
    for _ in 0..4 {
        pending.push(connection.start(&ApiVersionsRequest::default(), 3).await.unwrap());
    }
    let error = connection.start(&ApiVersionsRequest::default(), 3).await.unwrap_err();
    assert!(matches!(error, ClientError::TooManyPending(4)));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_never_comes_times_out() {
    let (connection, _peer) = Peer::connected();
    let error = connection.call(&ApiVersionsRequest::default(), 3).await.unwrap_err();
    assert!(matches!(error, ClientError::Timeout(30_000)));
}

#[tokio::test]
async fn a_client_negotiates_and_produces() {
    let (connection, mut peer) = Peer::connected();
    let broker = tokio::spawn(async move {
        let header = peer.request().await;
        peer.answer(&header, &versions(0)).await;
        for error_code in [0, ErrorCode::NotLeaderOrFollower.code()] {
            let header = peer.request().await;
            assert_eq!((header.key, header.version), (ApiKey::Produce, 12));
            let partition = PartitionProduceResponse {
                error_code,
                base_offset: 42,
                ..PartitionProduceResponse::default()
            };
            let topic = TopicProduceResponse {
                partition_responses: vec![partition],
                ..TopicProduceResponse::default()
            };
            let response = ProduceResponse { responses: vec![topic], ..ProduceResponse::default() };
            peer.answer(&header, &response).await;
        }
    });
    let client = Client::negotiate(connection).await.unwrap();
    assert_eq!(client.version(ApiKey::Metadata).unwrap(), 5);
    let none = client.call(&HeartbeatRequest::default()).await.unwrap_err();
    assert!(matches!(none, ClientError::NoCommonVersion(ApiKey::Heartbeat)));
    let mut builder = BatchBuilder::new(Offset::ZERO);
    builder.push(ottla_model::TimestampMs(1), None, Some(b"v"), &[]);
    let batch = Bytes::from(builder.build().unwrap());
    assert_eq!(client.produce("t", 0, batch.clone(), -1).await.unwrap().base_offset, Offset(42));
    let error = client.produce("t", 0, batch, -1).await.unwrap_err();
    assert_eq!(error.error_code(), Some(ErrorCode::NotLeaderOrFollower));
    broker.await.unwrap();
}

#[tokio::test]
async fn raw_bytes_go_out_as_they_are() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let peer = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut got = [0; 9];
        stream.read_exact(&mut got).await.unwrap();
        stream.write_all(&[0, 0, 0, 2, 7, 8]).await.unwrap();
        got
    });
    let mut raw = RawConnection::connect(address, std::time::Duration::from_secs(10)).await.unwrap();
    raw.send_frame(b"abc").await.unwrap();
    raw.send_bytes(b"xy").await.unwrap();
    assert_eq!(&raw.receive_frame().await.unwrap()[..], [7, 8]);
    assert_eq!(&peer.await.unwrap(), b"\0\0\0\x03abcxy");
    assert!(raw.is_closed_by_peer().await);
}
