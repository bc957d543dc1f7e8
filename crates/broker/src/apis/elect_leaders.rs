//! ElectLeaders (KIP-183, KIP-460).

use std::sync::Arc;

use ottla_controller::{Controller, ElectLeaders as Command, ElectionError, ElectionType, TopicElections};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::elect_leaders_request::TopicPartitions;
use ottla_protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use ottla_protocol::messages::{ElectLeadersRequest, ElectLeadersResponse, StrBytes, TopicName};

use crate::deadline::in_time;
use crate::dispatch::{Handler, Reply, RequestContext};
use crate::error_map;
use crate::metadata_view::MetadataView;

/// Has leaders elected.
#[derive(Debug)]
pub(crate) struct ElectLeaders {
    pub controller: Controller,
    pub view: Arc<MetadataView>,
}

impl Handler for ElectLeaders {
    type Request = ElectLeadersRequest;

    fn handle(&self, context: &RequestContext, request: ElectLeadersRequest) -> Reply<ElectLeadersResponse> {
        if request.topic_partitions.as_ref().is_some_and(Vec::is_empty) {
            return Reply::Ready(ElectLeadersResponse::default());
        }
        let (controller, view, version) = (self.controller.clone(), Arc::clone(&self.view), context.version);
        Reply::ordered(async move {
            match elect(&controller, &request).await {
                Ok(elections) => {
                    view.catch_up(&controller).await;
                    let results = elections.into_iter().map(result).collect();
                    ElectLeadersResponse::default().with_replica_election_results(results)
                }
                Err((code, message)) => failed(&request, version, code, message.as_deref()),
            }
        })
    }
}

/// What came of the elections, or what keeps all of them from being tried.
async fn elect(
    controller: &Controller,
    request: &ElectLeadersRequest,
) -> Result<Vec<TopicElections>, (ErrorCode, Option<String>)> {
    let election = match request.election_type {
        0 => ElectionType::Preferred,
        1 => ElectionType::Unclean,
        other => return Err((ErrorCode::InvalidRequest, Some(format!("Unknown election type {other}")))),
    };
    let named = |topic: &TopicPartitions| (topic.topic.to_string(), topic.partitions.clone());
    let topics = request.topic_partitions.as_ref().map(|topics| topics.iter().map(named).collect());
    match in_time(request.timeout_ms, controller.elect_leaders(Command { election, topics })).await {
        Some(Ok(elections)) => Ok(elections),
        Some(Err(error)) => Err((error_map::controller(&error), Some(error.to_string()))),
        None => Err((ErrorCode::RequestTimedOut, None)),
    }
}

fn result(elections: TopicElections) -> ReplicaElectionResult {
    let partitions = elections.partitions.into_iter().map(|(partition, answer)| match answer {
        Ok(()) => partition_result(partition, ErrorCode::None, None),
        Err(error) => partition_result(partition, code(&error), Some(&error.to_string())),
    });
    ReplicaElectionResult::default()
        .with_topic(TopicName(StrBytes::from_string(elections.name)))
        .with_partition_result(partitions.collect())
}

fn partition_result(partition: i32, code: ErrorCode, message: Option<&str>) -> PartitionResult {
    PartitionResult::default()
        .with_partition_id(partition)
        .with_error_code(code.code())
        .with_error_message(message.map(|text| StrBytes::from_string(text.to_owned())))
}

/// The same error for the request (which version 0 has no room for) and for each partition that it names.
fn failed(
    request: &ElectLeadersRequest,
    version: i16,
    code: ErrorCode,
    message: Option<&str>,
) -> ElectLeadersResponse {
    let topics = request.topic_partitions.iter().flatten();
    let results = topics.map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| partition_result(*partition, code, message));
        ReplicaElectionResult::default()
            .with_topic(topic.topic.clone())
            .with_partition_result(partitions.collect())
    });
    ElectLeadersResponse::default()
        .with_error_code(if version == 0 { 0 } else { code.code() })
        .with_replica_election_results(results.collect())
}

fn code(error: &ElectionError) -> ErrorCode {
    match error {
        ElectionError::UnknownTopic(_) | ElectionError::UnknownPartition { .. } => {
            ErrorCode::UnknownTopicOrPartition
        }
        ElectionError::NotNeeded => ErrorCode::ElectionNotNeeded,
        ElectionError::PreferredNotAvailable => ErrorCode::PreferredLeaderNotAvailable,
        ElectionError::NobodyAvailable => ErrorCode::EligibleLeadersNotAvailable,
    }
}
