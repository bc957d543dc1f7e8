//! What administrators ask for, and what the broker does then.

use ottla_client::Client;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::find_coordinator_response::Coordinator;
use ottla_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use ottla_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use ottla_protocol::messages::{
    DeleteGroupsRequest, FindCoordinatorRequest, GroupId, IncrementalAlterConfigsRequest,
    InitProducerIdRequest, OffsetDeleteRequest, StrBytes, TopicName,
};

use crate::support::Broker;

/// Sets a dynamic config of this broker; the error code.
async fn set_on_broker(client: &Client, name: &'static str, value: &'static str) -> i16 {
    let config = AlterableConfig::default()
        .with_name(StrBytes::from_static_str(name))
        .with_value(Some(StrBytes::from_static_str(value)));
    let resource = AlterConfigsResource::default()
        .with_resource_type(4)
        .with_resource_name(StrBytes::from_static_str("1"))
        .with_configs(vec![config]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    client.call(&request).await.unwrap().responses[0].error_code
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_of_a_running_broker_are_not_said_to_change() {
    let broker = Broker::start().await;
    let client = broker.client().await;
    for (name, value) in [
        ("listeners", "PLAINTEXT://127.0.0.1:1"),
        ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,OTHER:PLAINTEXT"),
    ] {
        assert_eq!(set_on_broker(&client, name, value).await, ErrorCode::InvalidConfig.code(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_as_long_as_a_string_can_be_is_refused_in_an_answer_that_fits() {
    let broker = Broker::start().await;
    let client = broker.client().await;
    let value = "x".repeat(32_767).leak();
    assert_eq!(set_on_broker(&client, "log.retention.ms", value).await, ErrorCode::InvalidRequest.code());
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_producer_identity_is_an_invalid_request() {
    let broker = Broker::start().await;
    let client = broker.client().await;
    for (id, epoch, code) in [(-1, -1, 0), (5, 0, 0), (5, -1, 42), (-1, 0, 42)] {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(None)
            .with_transaction_timeout_ms(1_000)
            .with_producer_id(id.into())
            .with_producer_epoch(epoch);
        assert_eq!(client.call(&request).await.unwrap().error_code, code, "{id} {epoch}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_named_twice_is_answered_once() {
    let broker = Broker::start().await;
    let client = broker.client().await;
    let group = StrBytes::from_static_str("g");
    let find = FindCoordinatorRequest::default().with_coordinator_keys(vec![group.clone()]);
    let found: Vec<Coordinator> = client.call(&find).await.unwrap().coordinators;
    assert_eq!(found[0].error_code, 0);
    let request =
        DeleteGroupsRequest::default().with_groups_names(vec![GroupId(group.clone()), GroupId(group)]);
    let results = client.call(&request).await.unwrap().results;
    let codes: Vec<i16> = results.iter().map(|result| result.error_code).collect();
    assert_eq!(codes, [ErrorCode::GroupIdNotFound.code()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_of_no_group_cannot_be_deleted_whatever_the_topics() {
    let broker = Broker::start().await;
    let client = broker.client().await;
    let group = StrBytes::from_static_str("g");
    let find = FindCoordinatorRequest::default().with_coordinator_keys(vec![group.clone()]);
    assert_eq!(client.call(&find).await.unwrap().coordinators[0].error_code, 0);
    let topic = OffsetDeleteRequestTopic::default()
        .with_name(TopicName(StrBytes::from_static_str("nowhere")))
        .with_partitions(vec![OffsetDeleteRequestPartition::default()]);
    let request = OffsetDeleteRequest::default().with_group_id(GroupId(group)).with_topics(vec![topic]);
    let response = client.call(&request).await.unwrap();
    assert_eq!((response.error_code, response.topics.len()), (ErrorCode::GroupIdNotFound.code(), 0));
}
