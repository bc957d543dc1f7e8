//! Metadata: brokers, topics and partitions by name (v0+) or id (v12+), and auto-creation.

use std::collections::BTreeSet;
use std::sync::Arc;

use ottla_metadata::{MetadataImage, PartitionRegistration, TopicImage};
use ottla_model::TopicId;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::metadata_request::MetadataRequestTopic;
use ottla_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use ottla_protocol::messages::{MetadataRequest, MetadataResponse, StrBytes, TopicName};

use crate::authorized_operations as operations;
use crate::auto_topics::AutoTopics;
use crate::dispatch::{Handler, Reply, RequestContext};
use crate::internal_topics::is_internal;
use crate::metadata_view::MetadataView;

/// Answers from the published image.
#[derive(Debug)]
pub(crate) struct Metadata {
    pub view: Arc<MetadataView>,
    pub auto_topics: Arc<AutoTopics>,
}

impl Handler for Metadata {
    type Request = MetadataRequest;

    fn handle(&self, context: &RequestContext, request: MetadataRequest) -> Reply<MetadataResponse> {
        let listener = Arc::clone(&context.connection.listener);
        let version = context.version;
        if let Some(error) = refusal(version, &request) {
            return Reply::Ready(refused(version, &request, error));
        }
        let missing = self.to_create(version, &request);
        if missing.is_empty() {
            return Reply::Ready(respond(&self.view.image(), &request, version, &listener, &[]));
        }
        let (view, auto_topics) = (Arc::clone(&self.view), Arc::clone(&self.auto_topics));
        Reply::ordered(async move {
            let failed = auto_topics.create(missing).await;
            respond(&view.image(), &request, version, &listener, &failed)
        })
    }
}

impl Metadata {
    /// The named topics that do not exist and that request and broker allow to be made.
    fn to_create(&self, version: i16, request: &MetadataRequest) -> Vec<String> {
        // Before v4 a request could not forbid it.
        let allowed = (version < 4 || request.allow_auto_topic_creation) && self.auto_topics.enabled();
        if !allowed {
            return Vec::new();
        }
        let image = self.view.image();
        let by_name = request.topics.iter().flatten().filter(|topic| topic.topic_id.is_nil());
        let names = by_name.filter_map(|topic| topic.name.as_ref());
        let missing = names.filter(|name| image.topic(name.as_str()).is_none()).map(|name| name.to_string());
        // A name that is asked for twice is one topic.
        missing.collect::<BTreeSet<_>>().into_iter().collect()
    }
}

/// Topics are asked for by id from version 12 on; versions 10 and 11 have the field, and Kafka refuses it there.
fn refusal(version: i16, request: &MetadataRequest) -> Option<ErrorCode> {
    let topics = || request.topics.iter().flatten();
    if version < 12 && topics().any(|topic| topic.name.is_none() || !topic.topic_id.is_nil()) {
        return Some(ErrorCode::InvalidRequest);
    }
    // Neither a name nor an id: Kafka trips over it.
    let is_nothing = |topic: &MetadataRequestTopic| topic.name.is_none() && topic.topic_id.is_nil();
    (topics().any(is_nothing) && !topics().any(|topic| !topic.topic_id.is_nil()))
        .then_some(ErrorCode::UnknownServerError)
}

/// No brokers, and the error at each topic; version 13 says it once more, for the request (KIP-1102).
fn refused(version: i16, request: &MetadataRequest, error: ErrorCode) -> MetadataResponse {
    let topics = request.topics.iter().flatten().map(|topic| {
        MetadataResponseTopic::default()
            .with_error_code(error.code())
            .with_name(Some(topic.name.clone().unwrap_or_default()))
            .with_topic_id(topic.topic_id)
    });
    MetadataResponse::default()
        .with_cluster_id(None)
        .with_topics(topics.collect())
        .with_error_code(if version >= 13 { error.code() } else { 0 })
}

/// The topics of a request, each once. If it has ids, Kafka looks at nothing else.
fn asked_for(topics: &[MetadataRequestTopic]) -> Vec<&MetadataRequestTopic> {
    let by_id = topics.iter().any(|topic| !topic.topic_id.is_nil());
    let mut seen = BTreeSet::new();
    let asked = topics.iter().filter(|topic| !by_id || !topic.topic_id.is_nil());
    asked
        .filter(|topic| {
            let name = topic.name.as_ref().filter(|_| !by_id).map(|name| name.to_string());
            seen.insert((topic.topic_id, name))
        })
        .collect()
}

fn respond(
    image: &MetadataImage,
    request: &MetadataRequest,
    version: i16,
    listener: &str,
    failed: &[(String, ErrorCode)],
) -> MetadataResponse {
    let brokers = image.brokers().unfenced().filter_map(|broker| {
        let endpoint = broker.endpoint(listener)?;
        Some(
            MetadataResponseBroker::default()
                .with_node_id(broker.id.get().into())
                .with_host(StrBytes::from_string(endpoint.host.clone()))
                .with_port(i32::from(endpoint.port))
                .with_rack(broker.rack.clone().map(StrBytes::from_string)),
        )
    });
    let with_operations = (8..).contains(&version) && request.include_topic_authorized_operations;
    let topics = match &request.topics {
        Some(topics) if version > 0 || !topics.is_empty() => {
            let asked = asked_for(topics).into_iter();
            asked.map(|topic| one_topic(image, topic, failed)).collect::<Vec<_>>()
        }
        _ => image.topics().iter().map(|topic| known_topic(image, topic)).collect(),
    };
    let topics = topics.into_iter().map(|topic| {
        // Also at a name that is wrong or unknown: it is the client that may or may not.
        let asked = with_operations && topic.error_code != ErrorCode::UnknownTopicId.code();
        topic.with_topic_authorized_operations(operations::if_asked(asked, operations::TOPIC))
    });
    let cluster_asked = (8..=10).contains(&version) && request.include_cluster_authorized_operations;
    MetadataResponse::default()
        .with_brokers(brokers.collect())
        .with_cluster_id(Some(StrBytes::from_string(image.cluster_id().to_string())))
        .with_controller_id(image.controller_id().get().into())
        .with_topics(topics.collect())
        .with_cluster_authorized_operations(operations::if_asked(cluster_asked, operations::CLUSTER))
}

fn one_topic(
    image: &MetadataImage,
    asked: &MetadataRequestTopic,
    failed: &[(String, ErrorCode)],
) -> MetadataResponseTopic {
    let id = TopicId(asked.topic_id);
    // The Java client leaves the name empty, not null, where it asks by id.
    let Some(name) = asked.name.as_ref().filter(|_| id == TopicId::ZERO) else {
        return match image.topic_by_id(id) {
            Some(topic) => known_topic(image, topic),
            None => MetadataResponseTopic::default()
                .with_name(None)
                .with_topic_id(asked.topic_id)
                .with_error_code(ErrorCode::UnknownTopicId.code()),
        };
    };
    if let Some(topic) = image.topic(name) {
        return known_topic(image, topic);
    }
    let failure = failed.iter().find(|(failed, _)| failed.as_str() == name.as_str()).map(|(_, error)| *error);
    let error = match failure {
        Some(error) => error,
        None if ottla_model::check_topic_name(name).is_err() => ErrorCode::InvalidTopicException,
        None => ErrorCode::UnknownTopicOrPartition,
    };
    MetadataResponseTopic::default()
        .with_name(Some(name.clone()))
        .with_is_internal(is_internal(name))
        .with_error_code(error.code())
}

fn known_topic(image: &MetadataImage, topic: &TopicImage) -> MetadataResponseTopic {
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(StrBytes::from_string(topic.name.to_string()))))
        .with_topic_id(topic.id.0)
        .with_is_internal(is_internal(&topic.name))
        .with_partitions(
            topic.partitions().map(|(index, partition)| one_partition(image, index, partition)).collect(),
        )
}

fn one_partition(
    image: &MetadataImage,
    index: i32,
    partition: &PartitionRegistration,
) -> MetadataResponsePartition {
    let ids = |ids: &[ottla_model::BrokerId]| ids.iter().map(|id| id.get().into()).collect::<Vec<_>>();
    let offline = image.offline_replicas(partition);
    let error = if partition.has_leader() { ErrorCode::None } else { ErrorCode::LeaderNotAvailable };
    MetadataResponsePartition::default()
        .with_error_code(error.code())
        .with_partition_index(index)
        .with_leader_id(partition.leader.get().into())
        .with_leader_epoch(partition.leader_epoch.get())
        .with_replica_nodes(ids(&partition.replicas))
        .with_isr_nodes(ids(&partition.isr))
        .with_offline_replicas(ids(&offline))
}

#[cfg(test)]
mod tests {
    use ottla_metadata::{MetadataRecord, TopicRecord};

    use super::*;

    #[test]
    fn an_id_counts_where_the_name_is_empty() {
        let mut image = MetadataImage::new("cluster");
        let topic_id = TopicId(uuid::Uuid::from_u128(7));
        image.replay(&MetadataRecord::Topic(TopicRecord { name: "t".to_owned(), topic_id })).unwrap();
        let ask = |id: u128| {
            let asked = MetadataRequestTopic::default()
                .with_name(Some(TopicName::default()))
                .with_topic_id(uuid::Uuid::from_u128(id));
            one_topic(&image, &asked, &[])
        };
        assert_eq!(ask(7).name, Some(TopicName(StrBytes::from_static_str("t"))));
        let unknown = ask(8);
        assert_eq!((unknown.name, unknown.error_code), (None, ErrorCode::UnknownTopicId.code()));
    }

    fn asked(id: u128, name: Option<&'static str>) -> MetadataRequestTopic {
        MetadataRequestTopic::default()
            .with_name(name.map(|name| TopicName(StrBytes::from_static_str(name))))
            .with_topic_id(uuid::Uuid::from_u128(id))
    }

    #[test]
    fn ids_need_version_12() {
        let request = |topic| MetadataRequest::default().with_topics(Some(vec![topic]));
        let invalid = Some(ErrorCode::InvalidRequest);
        for version in [10, 11] {
            assert_eq!(refusal(version, &request(asked(7, None))), invalid);
            assert_eq!(refusal(version, &request(asked(7, Some("t")))), invalid);
            assert_eq!(refusal(version, &request(asked(0, None))), invalid);
            assert_eq!(refusal(version, &request(asked(0, Some("t")))), None);
        }
        assert_eq!(refusal(12, &request(asked(7, None))), None);
        assert_eq!(refusal(12, &request(asked(0, None))), Some(ErrorCode::UnknownServerError));
    }

    #[test]
    fn a_refused_request_hears_it_at_each_topic_and_from_version_13_at_the_top() {
        let request = MetadataRequest::default().with_topics(Some(vec![asked(7, None), asked(0, Some("t"))]));
        for (version, top) in [(11, 0), (13, 42)] {
            let response = refused(version, &request, ErrorCode::InvalidRequest);
            let codes: Vec<i16> = response.topics.iter().map(|topic| topic.error_code).collect();
            assert_eq!((codes.as_slice(), response.error_code), ([42, 42].as_slice(), top));
            assert!(response.brokers.is_empty() && response.cluster_id.is_none());
            assert_eq!(response.controller_id.0, -1);
        }
    }

    #[test]
    fn a_topic_is_answered_once_and_ids_come_before_names() {
        let topics = [asked(0, Some("a")), asked(0, Some("b")), asked(0, Some("a"))];
        assert_eq!(asked_for(&topics).len(), 2);
        let topics = [asked(0, Some("a")), asked(7, None), asked(7, Some("")), asked(8, None)];
        let ids: Vec<u128> = asked_for(&topics).iter().map(|topic| topic.topic_id.as_u128()).collect();
        assert_eq!(ids, [7, 8]);
    }
}
