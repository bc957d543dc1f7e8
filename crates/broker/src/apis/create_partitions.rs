//! CreatePartitions: more partitions for topics that exist.

use std::collections::BTreeSet;
use std::sync::Arc;

use ottla_controller::{Controller, ControllerError, CreatePartitions as Command, NewPartitions, TopicError};
use ottla_model::BrokerId;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use ottla_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use ottla_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse, StrBytes, TopicName};

use crate::deadline::in_time;
use crate::dispatch::{Handler, Reply, RequestContext};
use crate::error_map;
use crate::metadata_view::MetadataView;

/// Has partitions added.
#[derive(Debug)]
pub(crate) struct CreatePartitions {
    pub controller: Controller,
    pub view: Arc<MetadataView>,
}

impl Handler for CreatePartitions {
    type Request = CreatePartitionsRequest;

    fn handle(
        &self,
        _: &RequestContext,
        request: CreatePartitionsRequest,
    ) -> Reply<CreatePartitionsResponse> {
        let (controller, view) = (self.controller.clone(), Arc::clone(&self.view));
        Reply::ordered(async move {
            let names: Vec<TopicName> = request.topics.iter().map(|topic| topic.name.clone()).collect();
            let topics = request.topics.iter().map(new_partitions).collect();
            let command = Command { topics, validate_only: request.validate_only };
            let Some(answers) = in_time(request.timeout_ms, controller.create_partitions(command)).await
            else {
                let late = ErrorCode::RequestTimedOut.code();
                let results = names.into_iter().map(|name| result(name, late, None)).collect();
                return CreatePartitionsResponse::default().with_results(results);
            };
            view.catch_up(&controller).await;
            CreatePartitionsResponse::default().with_results(results(names, answers))
        })
    }
}

fn new_partitions(topic: &CreatePartitionsTopic) -> NewPartitions {
    let assignments = topic.assignments.as_ref().map(|assignments| {
        let ids = assignments.iter().map(|assignment| assignment.broker_ids.iter());
        ids.map(|ids| ids.map(|id| BrokerId(id.0)).collect()).collect()
    });
    NewPartitions { name: topic.name.to_string(), count: topic.count, assignments }
}

fn results(
    names: Vec<TopicName>,
    answers: Result<Vec<Result<(), TopicError>>, ControllerError>,
) -> Vec<CreatePartitionsTopicResult> {
    let mut seen = BTreeSet::new();
    match answers {
        Ok(answers) => names
            .into_iter()
            .zip(answers)
            // A name that was given twice is answered once.
            .filter(|(name, _)| seen.insert(name.to_string()))
            .map(|(name, answer)| match answer {
                Ok(()) => result(name, 0, None),
                // Kafka has no message of its own for this one.
                Err(error @ TopicError::UnknownName) => result(name, error_map::topic(&error).code(), None),
                Err(error) => result(name, error_map::topic(&error).code(), Some(error.to_string())),
            })
            .collect(),
        Err(error) => {
            let code = error_map::controller(&error).code();
            names.into_iter().map(|name| result(name, code, Some(error.to_string()))).collect()
        }
    }
}

fn result(name: TopicName, code: i16, message: Option<String>) -> CreatePartitionsTopicResult {
    CreatePartitionsTopicResult::default()
        .with_name(name)
        .with_error_code(code)
        .with_error_message(message.map(StrBytes::from_string))
}
