//! Client metrics (KIP-714): who is asked for what, and what is shown of what comes.

use bytes::Bytes;
use ottla_client::Client;
use ottla_model::batch::{Compression, compress};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use ottla_protocol::messages::{
    GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse, IncrementalAlterConfigsRequest,
    PushTelemetryRequest, StrBytes,
};
use uuid::Uuid;

use crate::support::{Broker, eventually};

/// Sets, or where there is no value deletes, settings of the subscription `s`.
async fn subscribe(broker: &Broker, settings: &[(&'static str, Option<&'static str>)]) {
    let configs = settings.iter().map(|(name, value)| {
        AlterableConfig::default()
            .with_name(StrBytes::from_static_str(name))
            .with_config_operation(i8::from(value.is_none()))
            .with_value(value.map(StrBytes::from_static_str))
    });
    let resource = AlterConfigsResource::default()
        .with_resource_type(16)
        .with_resource_name(StrBytes::from_static_str("s"))
        .with_configs(configs.collect());
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    let answer = broker.client().await.call(&request).await.unwrap();
    assert_eq!(answer.responses[0].error_code, 0, "{:?}", answer.responses[0].error_message);
}

async fn get(client: &Client, id: Uuid) -> GetTelemetrySubscriptionsResponse {
    let request = GetTelemetrySubscriptionsRequest::default().with_client_instance_id(id);
    client.call(&request).await.unwrap()
}

async fn push(client: &Client, request: &PushTelemetryRequest) -> ErrorCode {
    let answer = client.call(request).await.unwrap();
    ErrorCode::from_code(answer.error_code).unwrap()
}

fn request_of(subscribed: &GetTelemetrySubscriptionsResponse, metrics: &[u8]) -> PushTelemetryRequest {
    PushTelemetryRequest::default()
        .with_client_instance_id(subscribed.client_instance_id)
        .with_subscription_id(subscribed.subscription_id)
        .with_metrics(Bytes::copy_from_slice(metrics))
}

/// Field `tag` of a protobuf message, up to 127 bytes.
fn nested(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag << 3 | 2, u8::try_from(content.len()).unwrap()];
    out.extend_from_slice(content);
    out
}

/// OTLP: a counter, and what was added to it for a topic.
fn counter(name: &str, added: f64) -> Vec<u8> {
    let topic = [nested(1, b"topic"), nested(2, &nested(1, b"t"))].concat();
    let point = [nested(7, &topic), vec![4 << 3 | 1], added.to_le_bytes().to_vec()].concat();
    let sum = [nested(1, &point), vec![2 << 3, 1, 3 << 3, 1]].concat();
    let metric = [nested(1, name.as_bytes()), nested(7, &sum)].concat();
    nested(1, &nested(2, &nested(2, &metric)))
}

fn shown(broker: &Broker, series: &str) -> Option<f64> {
    let text = broker.metrics().render();
    text.lines().find_map(|line| line.strip_prefix(series)?.rsplit_once("} ")?.1.parse().ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_asked_and_what_they_push_is_shown_as_the_subscription_says_now() {
    let broker = Broker::start().await;
    let client = broker.client().await;
    let nothing = get(&client, Uuid::nil()).await;
    assert!(!nothing.client_instance_id.is_nil() && nothing.requested_metrics.is_empty());
    assert_eq!((nothing.push_interval_ms, nothing.telemetry_max_bytes), (300_000, 1_048_576));
    assert_eq!(nothing.accepted_compression_types, [4, 3, 1, 2]);
    assert!(nothing.delta_temporality);
    let id = nothing.client_instance_id;

    let selecting = Some("client_software_name=ottla-.*,client_source_address=127.0.0.1");
    subscribe(&broker, &[("metrics", Some("a.,b.")), ("interval.ms", Some("100")), ("match", selecting)])
        .await;
    let asked = get(&client, id).await;
    assert_eq!(asked.requested_metrics, ["a.", "b."].map(StrBytes::from_static_str));
    assert_eq!((asked.push_interval_ms, asked.client_instance_id), (100, id));

    assert_eq!(push(&client, &request_of(&asked, &counter("a.total", 2.0))).await, ErrorCode::None);
    for (codec, id) in [(Compression::Zstd, 4), (Compression::Snappy, 2)] {
        let packed = compress(codec, None, &counter("a.total", 1.5)).unwrap();
        let request = request_of(&asked, &packed).with_compression_type(id);
        eventually("a push after its interval", || async {
            push(&client, &request).await == ErrorCode::None
        })
        .await;
    }
    let series = format!(
        "ottla_client_sum_total{{metric=\"a.total\",client_id=\"ottla-client\",client_instance_id=\"{}\",topic=\"t\"",
        ottla_model::TopicId(id).to_base64()
    );
    assert_eq!(shown(&broker, &series), Some(5.0), "{}", broker.metrics().render());
    assert_eq!(broker.metric("ottla_client_metrics_series"), 1.0);
    assert_eq!(broker.metric("kafka_server_client_metrics_instance_count"), 1.0);
    assert_eq!(shown(&broker, "ottla_client_info{client_instance_id="), Some(1.0));

    subscribe(&broker, &[("match", Some("client_id=somebody"))]).await;
    assert_eq!(push(&client, &request_of(&asked, b"")).await, ErrorCode::UnknownSubscriptionId);
    let asked = get(&client, id).await;
    assert_eq!((asked.requested_metrics.len(), asked.push_interval_ms), (0, 300_000));
    let all = [("match", None), ("metrics", None), ("interval.ms", None)];
    subscribe(&broker, &all).await;
    assert_eq!(get(&client, id).await.subscription_id, nothing.subscription_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_push_may_be_is_as_the_file_says() {
    let settings = [("telemetry.max.bytes", "200"), ("ottla.metrics.client.series.max", "2")];
    let broker = Broker::start_with(&settings).await;
    let client = broker.client().await;
    subscribe(&broker, &[("metrics", Some("*")), ("interval.ms", Some("100"))]).await;
    let last = |metrics: &[u8], codec: i8, asked: &GetTelemetrySubscriptionsResponse| {
        // The last push of a client may come at once, so that each is one of a client of its own.
        request_of(asked, metrics).with_compression_type(codec).with_terminating(true)
    };
    let asked = get(&client, Uuid::nil()).await;
    assert_eq!(asked.telemetry_max_bytes, 200);
    assert_eq!(push(&client, &last(&[0; 201], 0, &asked)).await, ErrorCode::TelemetryTooLarge);
    // Kafka 4.4.0 says the same of what is too large unpacked and of what is no OTLP.
    let bomb = compress(Compression::Gzip, None, &[0; 201]).unwrap();
    for (bytes, codec) in [(&bomb[..], 1), (b"no OTLP", 0), (b"no zstd", 4)] {
        let asked = get(&client, Uuid::nil()).await;
        assert_eq!(push(&client, &last(bytes, codec, &asked)).await, ErrorCode::InvalidRecord);
        assert_eq!(push(&client, &last(bytes, codec, &asked)).await, ErrorCode::InvalidRequest, "it ended");
    }
    for name in ["a", "b", "c"] {
        let asked = get(&client, Uuid::nil()).await;
        assert_eq!(push(&client, &last(&counter(name, 1.0), 0, &asked)).await, ErrorCode::None);
    }
    assert_eq!(broker.metric("ottla_client_metrics_series"), 2.0);
    let dropped = "ottla_client_metrics_points_dropped_total{reason=\"series_max\"";
    assert_eq!(shown(&broker, dropped), Some(1.0));
    let errors = "ottla_client_metrics_pushes_total{error=\"INVALID_RECORD\"";
    assert_eq!(shown(&broker, errors), Some(3.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_forgotten_with_its_connection_and_subscriptions_outlive_the_broker() {
    let broker = Broker::start().await;
    subscribe(&broker, &[("metrics", Some("x")), ("interval.ms", Some("3600000"))]).await;
    let client = broker.client().await;
    let id = get(&client, Uuid::nil()).await.client_instance_id;
    assert_eq!(get(&client, id).await.error_code, ErrorCode::ThrottlingQuotaExceeded.code());
    assert_eq!(broker.metric("ottla_client_metrics_instances"), 1.0);
    drop(client);
    eventually("the client is forgotten", || async {
        broker.metric("ottla_client_metrics_instances") == 0.0
    })
    .await;
    let broker = broker.restart().await;
    let asked = get(&broker.client().await, id).await;
    assert_eq!(asked.requested_metrics, [StrBytes::from_static_str("x")]);
}
