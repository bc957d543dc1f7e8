//! DeleteTopics, by name and (v6) by id.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use ottla_config::BrokerConfig;
use ottla_controller::{
    Controller, ControllerError, DeleteTopics as Command, DeletedTopic, TopicError, TopicRef,
};
use ottla_model::TopicId;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::delete_topics_request::DeleteTopicState;
use ottla_protocol::messages::delete_topics_response::DeletableTopicResult;
use ottla_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse, StrBytes, TopicName};

use crate::deadline::in_time;
use crate::dispatch::{Handler, Reply, RequestContext};
use crate::error_map;
use crate::metadata_view::MetadataView;

/// Has topics deleted.
#[derive(Debug)]
pub(crate) struct DeleteTopics {
    pub controller: Controller,
    pub view: Arc<MetadataView>,
    pub config: Arc<ArcSwap<BrokerConfig>>,
}

impl Handler for DeleteTopics {
    type Request = DeleteTopicsRequest;

    fn handle(&self, context: &RequestContext, request: DeleteTopicsRequest) -> Reply<DeleteTopicsResponse> {
        let timeout_ms = request.timeout_ms;
        let states = states(request);
        if !self.config.load().topics.delete_enable {
            return Reply::Ready(disabled(context.version, &states));
        }
        let (controller, view) = (self.controller.clone(), Arc::clone(&self.view));
        Reply::ordered(async move {
            let mut responses = Vec::new();
            let mut topics = Vec::new();
            for state in &states {
                match topic_ref(state) {
                    Ok(topic) => topics.push(topic),
                    Err(why) => responses.push(answer(state, ErrorCode::InvalidRequest, Some(why))),
                }
            }
            let command = Command { topics: topics.clone() };
            let Some(answers) = in_time(timeout_ms, controller.delete_topics(command)).await else {
                let late = states.iter().map(|state| answer(state, ErrorCode::RequestTimedOut, None));
                return DeleteTopicsResponse::default().with_responses(late.collect());
            };
            view.catch_up(&controller).await;
            responses.extend(results(topics, answers));
            DeleteTopicsResponse::default().with_responses(responses)
        })
    }
}

/// The topics of a request of any version.
fn states(request: DeleteTopicsRequest) -> Vec<DeleteTopicState> {
    let by_name =
        request.topic_names.into_iter().map(|name| DeleteTopicState::default().with_name(Some(name)));
    by_name.chain(request.topics).collect()
}

fn topic_ref(state: &DeleteTopicState) -> Result<TopicRef, String> {
    let id = TopicId(state.topic_id);
    match (&state.name, id == TopicId::ZERO) {
        (None, true) => Err("Neither topic name nor id were specified.".to_owned()),
        (None, false) => Ok(TopicRef::Id(id)),
        (Some(name), true) => Ok(TopicRef::Name(name.to_string())),
        (Some(_), false) => Err("You may not specify both topic name and topic id.".to_owned()),
    }
}

fn results(
    topics: Vec<TopicRef>,
    answers: Result<Vec<Result<DeletedTopic, TopicError>>, ControllerError>,
) -> Vec<DeletableTopicResult> {
    let mut seen = BTreeSet::new();
    let mut seen_as_both = BTreeSet::new();
    let state = |topic: &TopicRef| match topic {
        TopicRef::Name(name) => {
            DeleteTopicState::default().with_name(Some(TopicName(StrBytes::from_string(name.clone()))))
        }
        TopicRef::Id(id) => DeleteTopicState::default().with_topic_id(id.0),
    };
    match answers {
        Ok(answers) => topics
            .into_iter()
            .zip(answers)
            // A topic that was given twice is answered once.
            .filter(|(topic, answer)| match answer {
                Err(TopicError::NameAndId { topic_id, .. }) => seen_as_both.insert(*topic_id),
                _ => seen.insert(topic.clone()),
            })
            .map(|(topic, result)| match result {
                Ok(deleted) => answer(&whole(&deleted.name, deleted.topic_id), ErrorCode::None, None),
                Err(error) => {
                    let state = match &error {
                        TopicError::NameAndId { name, topic_id } => whole(name, *topic_id),
                        _ => state(&topic),
                    };
                    answer(&state, error_map::topic(&error), Some(error.to_string()))
                }
            })
            .collect(),
        Err(error) => {
            let code = error_map::controller(&error);
            topics.iter().map(|topic| answer(&state(topic), code, Some(error.to_string()))).collect()
        }
    }
}

fn whole(name: &str, topic_id: TopicId) -> DeleteTopicState {
    let name = TopicName(StrBytes::from_string(name.to_owned()));
    DeleteTopicState::default().with_name(Some(name)).with_topic_id(topic_id.0)
}

/// `delete.topic.enable=false`; version 3 brought the error code of its own.
fn disabled(version: i16, states: &[DeleteTopicState]) -> DeleteTopicsResponse {
    let (code, message) = if version < 3 {
        (ErrorCode::InvalidRequest, "Topic deletion is disabled.")
    } else {
        (ErrorCode::TopicDeletionDisabled, "Topic deletion is disabled.")
    };
    let responses = states.iter().map(|state| answer(state, code, Some(message.to_owned())));
    DeleteTopicsResponse::default().with_responses(responses.collect())
}

fn answer(state: &DeleteTopicState, code: ErrorCode, message: Option<String>) -> DeletableTopicResult {
    DeletableTopicResult::default()
        .with_name(state.name.clone())
        .with_topic_id(state.topic_id)
        .with_error_code(code.code())
        .with_error_message(message.map(StrBytes::from_string))
}
