//! AssignReplicasToDirs (KIP-858): which log dirs a broker's replicas are in.

use ottla_controller::{Controller, DirectoryAnswers, ReplicaDirectories};
use ottla_metadata::DirectoryId;
use ottla_model::{BrokerId, TopicId, TopicIdPartition};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::assign_replicas_to_dirs_response::{DirectoryData, PartitionData, TopicData};
use ottla_protocol::messages::{AssignReplicasToDirsRequest, AssignReplicasToDirsResponse};

use crate::dispatch::{Handler, Reply, RequestContext};
use crate::error_map;

/// Notes where replicas are.
#[derive(Debug)]
pub(crate) struct AssignReplicasToDirs {
    pub controller: Controller,
}

impl Handler for AssignReplicasToDirs {
    type Request = AssignReplicasToDirsRequest;

    fn handle(
        &self,
        _: &RequestContext,
        request: AssignReplicasToDirsRequest,
    ) -> Reply<AssignReplicasToDirsResponse> {
        let controller = self.controller.clone();
        Reply::ordered(async move {
            match controller.assign_replicas_to_dirs(directories(&request)).await {
                Ok(Ok(answers)) => noted(&request, &answers),
                Ok(Err(error)) => refused(error_map::broker(&error)),
                Err(error) => refused(error_map::controller(&error)),
            }
        })
    }
}

fn refused(error: ErrorCode) -> AssignReplicasToDirsResponse {
    AssignReplicasToDirsResponse::default().with_error_code(error.code())
}

fn directories(request: &AssignReplicasToDirsRequest) -> ReplicaDirectories {
    let mut directories = Vec::new();
    for directory in &request.directories {
        for topic in &directory.topics {
            let topic_id = TopicId(topic.topic_id);
            let ids = topic
                .partitions
                .iter()
                .map(|partition| TopicIdPartition { topic_id, partition: partition.partition_index });
            directories.extend(ids.map(|id| (id, DirectoryId(directory.id))));
        }
    }
    let broker_id = BrokerId(request.broker_id.0);
    ReplicaDirectories { broker_id, broker_epoch: request.broker_epoch, directories }
}

/// Each partition with what came of it, in the request's order.
fn noted(request: &AssignReplicasToDirsRequest, answers: &DirectoryAnswers) -> AssignReplicasToDirsResponse {
    let mut answers = answers.iter();
    let mut code =
        || answers.next().and_then(|answer| answer.err()).map_or(ErrorCode::None, error_map::directory);
    let mut directories = Vec::new();
    for directory in &request.directories {
        let mut topics = Vec::new();
        for topic in &directory.topics {
            let partitions = topic.partitions.iter().map(|partition| {
                PartitionData::default()
                    .with_partition_index(partition.partition_index)
                    .with_error_code(code().code())
            });
            topics.push(
                TopicData::default().with_topic_id(topic.topic_id).with_partitions(partitions.collect()),
            );
        }
        directories.push(DirectoryData::default().with_id(directory.id).with_topics(topics));
    }
    AssignReplicasToDirsResponse::default().with_directories(directories)
}
