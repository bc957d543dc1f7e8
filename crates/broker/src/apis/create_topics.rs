//! CreateTopics: the controller decides; the answer comes once this broker serves the topics.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use ottla_config::{BrokerConfig, describe_topic};
use ottla_controller::{
    Controller, ControllerError, CreateTopics as Command, CreatedTopic, NewTopic, TopicError,
};
use ottla_model::BrokerId;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::create_topics_request::CreatableTopic;
use ottla_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use ottla_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse, StrBytes, TopicName};

use crate::configs;
use crate::deadline::in_time;
use crate::dispatch::{Handler, Reply, RequestContext};
use crate::error_map;
use crate::metadata_view::MetadataView;

/// Has topics created.
#[derive(Debug)]
pub(crate) struct CreateTopics {
    pub controller: Controller,
    pub view: Arc<MetadataView>,
    pub config: Arc<ArcSwap<BrokerConfig>>,
}

impl Handler for CreateTopics {
    type Request = CreateTopicsRequest;

    fn handle(&self, _: &RequestContext, request: CreateTopicsRequest) -> Reply<CreateTopicsResponse> {
        let (controller, view) = (self.controller.clone(), Arc::clone(&self.view));
        let config = Arc::clone(&self.config);
        Reply::ordered(async move {
            let names: Vec<TopicName> = request.topics.iter().map(|topic| topic.name.clone()).collect();
            let topics = request.topics.iter().map(new_topic).collect();
            let command = Command { topics, validate_only: request.validate_only };
            let Some(answers) = in_time(request.timeout_ms, controller.create_topics(command)).await else {
                return too_late(names);
            };
            view.catch_up(&controller).await;
            respond(names, answers, &config.load())
        })
    }
}

fn new_topic(topic: &CreatableTopic) -> NewTopic {
    let assignments = topic.assignments.iter().map(|assignment| {
        (assignment.partition_index, assignment.broker_ids.iter().map(|id| BrokerId(id.0)).collect())
    });
    let configs = topic.configs.iter();
    NewTopic {
        name: topic.name.to_string(),
        partition_count: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: assignments.collect(),
        configs: configs
            .map(|config| (config.name.to_string(), config.value.as_ref().map(ToString::to_string)))
            .collect(),
    }
}

fn respond(
    names: Vec<TopicName>,
    answers: Result<Vec<Result<CreatedTopic, TopicError>>, ControllerError>,
    config: &BrokerConfig,
) -> CreateTopicsResponse {
    let mut seen = BTreeSet::new();
    // A name that was given twice is answered once.
    let mut is_first = |name: &TopicName| seen.insert(name.to_string());
    let topics = match answers {
        Ok(answers) => names
            .into_iter()
            .zip(answers)
            .filter(|(name, _)| is_first(name))
            .map(|(name, answer)| match answer {
                Ok(created) => success(name, created, config),
                Err(error) => failure(name, error_map::topic(&error).code(), error.to_string()),
            })
            .collect(),
        Err(error) => {
            let code = error_map::controller(&error).code();
            let names = names.into_iter().filter(|name| is_first(name));
            names.map(|name| failure(name, code, error.to_string())).collect()
        }
    };
    CreateTopicsResponse::default().with_topics(topics)
}

/// Of what came too late only the code is told, once for each time that a name was given.
fn too_late(names: Vec<TopicName>) -> CreateTopicsResponse {
    let topics = names.into_iter().map(|name| {
        CreatableTopicResult::default()
            .with_name(name)
            .with_error_code(ErrorCode::RequestTimedOut.code())
            .with_error_message(None)
    });
    CreateTopicsResponse::default().with_topics(topics.collect())
}

fn success(name: TopicName, created: CreatedTopic, config: &BrokerConfig) -> CreatableTopicResult {
    let overrides = created.configs.into_iter().collect();
    let configs = describe_topic(&overrides, config).into_iter().map(|entry| {
        CreatableTopicConfigs::default()
            .with_name(StrBytes::from_string(entry.name))
            .with_value(entry.value.map(StrBytes::from_string))
            .with_read_only(entry.read_only)
            .with_config_source(entry.source.code())
            .with_is_sensitive(entry.sensitive)
    });
    let mut configs: Vec<_> = configs.collect();
    configs.sort_by(|a, b| a.name.as_str().cmp(b.name.as_str()));
    CreatableTopicResult::default()
        .with_name(name)
        .with_topic_id(created.topic_id.0)
        .with_error_message(None)
        .with_num_partitions(created.partition_count)
        .with_replication_factor(created.replication_factor)
        .with_configs(Some(configs))
}

fn failure(name: TopicName, code: i16, message: String) -> CreatableTopicResult {
    CreatableTopicResult::default()
        .with_name(name)
        .with_error_code(code)
        .with_error_message(Some(configs::text(message)))
        .with_num_partitions(-1)
        .with_replication_factor(-1)
        .with_configs(Some(Vec::new()))
}
