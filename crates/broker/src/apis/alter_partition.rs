//! AlterPartition (KIP-497): the leader of a partition says who is in sync with it.

use ottla_controller::{AlterPartition as Change, AlterPartitionError, Controller, IsrAnswers, IsrChange};
use ottla_metadata::{LeaderRecoveryState, PartitionRegistration};
use ottla_model::{BrokerId, LeaderEpoch, PartitionEpoch, TopicId, TopicIdPartition};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::alter_partition_response::{PartitionData, TopicData};
use ottla_protocol::messages::{AlterPartitionRequest, AlterPartitionResponse};

use crate::dispatch::{Handler, Reply, RequestContext};
use crate::error_map;

/// From this version on a replica is named with its broker epoch (KIP-903).
const FIRST_WITH_EPOCHS: i16 = 3;

/// Changes in-sync sets.
#[derive(Debug)]
pub(crate) struct AlterPartition {
    pub controller: Controller,
}

impl Handler for AlterPartition {
    type Request = AlterPartitionRequest;

    fn handle(
        &self,
        context: &RequestContext,
        request: AlterPartitionRequest,
    ) -> Reply<AlterPartitionResponse> {
        let (controller, version) = (self.controller.clone(), context.version);
        Reply::ordered(async move {
            let Some(change) = change(&request, version) else {
                return refused(ErrorCode::InvalidRequest);
            };
            match controller.alter_partition(change).await {
                Ok(Ok(answers)) => respond(&request, answers),
                Ok(Err(error)) => refused(error_map::broker(&error)),
                Err(error) => refused(error_map::controller(&error)),
            }
        })
    }
}

fn refused(error: ErrorCode) -> AlterPartitionResponse {
    AlterPartitionResponse::default().with_error_code(error.code())
}

/// `None` of a recovery state that does not exist.
fn change(request: &AlterPartitionRequest, version: i16) -> Option<Change> {
    let mut partitions = Vec::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            let isr = if version < FIRST_WITH_EPOCHS {
                partition.new_isr.iter().map(|id| (BrokerId(id.0), -1)).collect()
            } else {
                let members = partition.new_isr_with_epochs.iter();
                members.map(|member| (BrokerId(member.broker_id.0), member.broker_epoch)).collect()
            };
            partitions.push(IsrChange {
                id: TopicIdPartition {
                    topic_id: TopicId(topic.topic_id),
                    partition: partition.partition_index,
                },
                leader_epoch: LeaderEpoch(partition.leader_epoch),
                partition_epoch: PartitionEpoch(partition.partition_epoch),
                isr,
                leader_recovery_state: LeaderRecoveryState::from_id(partition.leader_recovery_state)?,
            });
        }
    }
    Some(Change { broker_id: BrokerId(request.broker_id.0), broker_epoch: request.broker_epoch, partitions })
}

fn respond(request: &AlterPartitionRequest, answers: IsrAnswers) -> AlterPartitionResponse {
    let mut answers = answers.into_iter();
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().zip(&mut answers);
        let partitions = partitions.map(|(asked, answer)| match answer {
            Ok(after) => changed(asked.partition_index, &after),
            Err(error) => PartitionData::default()
                .with_partition_index(asked.partition_index)
                .with_error_code(code(error).code()),
        });
        TopicData::default().with_topic_id(topic.topic_id).with_partitions(partitions.collect())
    });
    AlterPartitionResponse::default().with_topics(topics.collect())
}

fn changed(index: i32, after: &PartitionRegistration) -> PartitionData {
    PartitionData::default()
        .with_partition_index(index)
        .with_leader_id(after.leader.get().into())
        .with_leader_epoch(after.leader_epoch.get())
        .with_isr(after.isr.iter().map(|id| id.get().into()).collect())
        .with_leader_recovery_state(after.leader_recovery_state.id())
        .with_partition_epoch(after.partition_epoch.get())
}

const fn code(error: AlterPartitionError) -> ErrorCode {
    match error {
        AlterPartitionError::UnknownTopicId => ErrorCode::UnknownTopicId,
        AlterPartitionError::UnknownPartition => ErrorCode::UnknownTopicOrPartition,
        AlterPartitionError::NotController => ErrorCode::NotController,
        AlterPartitionError::FencedLeaderEpoch => ErrorCode::FencedLeaderEpoch,
        AlterPartitionError::InvalidUpdateVersion => ErrorCode::InvalidUpdateVersion,
        AlterPartitionError::InvalidRequest => ErrorCode::InvalidRequest,
        AlterPartitionError::IneligibleReplica => ErrorCode::IneligibleReplica,
        AlterPartitionError::NewLeaderElected => ErrorCode::NewLeaderElected,
    }
}
