//! AlterPartitionReassignments (KIP-455, KIP-860).

use std::sync::Arc;

use ottla_controller::{
    AlterPartitionReassignments as Command, Controller, ReassignableTopic, ReassignmentAnswers,
    ReassignmentError,
};
use ottla_model::BrokerId;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic as Asked,
};
use ottla_protocol::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use ottla_protocol::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, StrBytes,
};

use crate::deadline::in_time;
use crate::dispatch::{Handler, Reply, RequestContext};
use crate::error_map;
use crate::metadata_view::MetadataView;

/// Has partitions moved.
#[derive(Debug)]
pub(crate) struct AlterPartitionReassignments {
    pub controller: Controller,
    pub view: Arc<MetadataView>,
}

impl Handler for AlterPartitionReassignments {
    type Request = AlterPartitionReassignmentsRequest;

    fn handle(
        &self,
        _: &RequestContext,
        request: AlterPartitionReassignmentsRequest,
    ) -> Reply<AlterPartitionReassignmentsResponse> {
        if request.topics.is_empty() {
            // Here Kafka's message is empty, not null, and what the request allows is not repeated.
            let nothing = AlterPartitionReassignmentsResponse::default();
            return Reply::Ready(nothing.with_error_message(Some(StrBytes::default())));
        }
        let (controller, view) = (self.controller.clone(), Arc::clone(&self.view));
        Reply::ordered(async move {
            let command = Command {
                allow_replication_factor_change: request.allow_replication_factor_change,
                topics: request.topics.iter().map(reassignable).collect(),
            };
            match in_time(request.timeout_ms, controller.alter_partition_reassignments(command)).await {
                Some(Ok(answers)) => {
                    view.catch_up(&controller).await;
                    response(&request).with_error_message(None).with_responses(results(&request, &answers))
                }
                Some(Err(error)) => failed(&request, error_map::controller(&error), Some(error.to_string())),
                None => failed(&request, ErrorCode::RequestTimedOut, None),
            }
        })
    }
}

fn response(request: &AlterPartitionReassignmentsRequest) -> AlterPartitionReassignmentsResponse {
    AlterPartitionReassignmentsResponse::default()
        .with_allow_replication_factor_change(request.allow_replication_factor_change)
}

fn reassignable(topic: &Asked) -> ReassignableTopic {
    let target = |partition: &ReassignablePartition| {
        let replicas = partition.replicas.as_ref();
        let replicas = replicas.map(|ids| ids.iter().map(|id| BrokerId(id.0)).collect());
        (partition.partition_index, replicas)
    };
    ReassignableTopic {
        name: topic.name.to_string(),
        partitions: topic.partitions.iter().map(target).collect(),
    }
}

fn results(
    request: &AlterPartitionReassignmentsRequest,
    answers: &ReassignmentAnswers,
) -> Vec<ReassignableTopicResponse> {
    let topics = request.topics.iter().zip(answers).map(|(topic, answers)| {
        let partitions = topic.partitions.iter().zip(answers).map(|(partition, answer)| match answer {
            Ok(()) => result(partition, ErrorCode::None, None),
            // For this one Kafka has a code only.
            Err(error @ ReassignmentError::NotInProgress) => result(partition, code(error), None),
            Err(error) => result(partition, code(error), Some(error.to_string())),
        });
        ReassignableTopicResponse::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions.collect())
    });
    topics.collect()
}

fn result(
    partition: &ReassignablePartition,
    code: ErrorCode,
    message: Option<String>,
) -> ReassignablePartitionResponse {
    ReassignablePartitionResponse::default()
        .with_partition_index(partition.partition_index)
        .with_error_code(code.code())
        .with_error_message(message.map(StrBytes::from_string))
}

/// The same error for the request and for each of its partitions.
fn failed(
    request: &AlterPartitionReassignmentsRequest,
    code: ErrorCode,
    message: Option<String>,
) -> AlterPartitionReassignmentsResponse {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| result(partition, code, message.clone()));
        ReassignableTopicResponse::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions.collect())
    });
    response(request)
        .with_error_code(code.code())
        .with_responses(topics.collect())
        .with_error_message(message.map(StrBytes::from_string))
}

fn code(error: &ReassignmentError) -> ErrorCode {
    match error {
        ReassignmentError::UnknownTopic(_) | ReassignmentError::UnknownPartition { .. } => {
            ErrorCode::UnknownTopicOrPartition
        }
        ReassignmentError::NotInProgress => ErrorCode::NoReassignmentInProgress,
        ReassignmentError::ReplicationFactorChanged { .. } => ErrorCode::InvalidReplicationFactor,
        ReassignmentError::InvalidReplicaAssignment(_) => ErrorCode::InvalidReplicaAssignment,
    }
}
