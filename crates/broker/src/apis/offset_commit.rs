//! OffsetCommit: topics by name before v10, by id from it on (KIP-848).

use std::sync::Arc;

use ottla_group_coordinator::offsets::{
    OffsetCommitRequest as Commit, OffsetCommitTopic, OffsetToCommit, TopicResults,
};
use ottla_group_coordinator::{GroupError, GroupResponse};
use ottla_model::{LeaderEpoch, Offset, TopicId};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::offset_commit_request::OffsetCommitRequestTopic;
use ottla_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use ottla_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse, TopicName};

use crate::dispatch::{Handler, Reply, RequestContext};
use crate::groups::{Groups, answer, misplaced, shared, wire};
use crate::metadata_view::MetadataView;

/// Serves consumers and administrators.
#[derive(Debug)]
pub(crate) struct OffsetCommit {
    pub groups: Arc<Groups>,
    pub view: Arc<MetadataView>,
}

/// The first version with topic ids.
const TOPIC_IDS: i16 = 10;

impl Handler for OffsetCommit {
    type Request = OffsetCommitRequest;

    fn handle(&self, context: &RequestContext, request: OffsetCommitRequest) -> Reply<OffsetCommitResponse> {
        let mut refused = Vec::new();
        let mut topics = Vec::new();
        for topic in &request.topics {
            self.sort(topic, context.version, &mut topics, &mut refused);
        }
        if topics.is_empty() {
            return Reply::Ready(OffsetCommitResponse::default().with_topics(refused));
        }
        let commit = Commit {
            group: request.group_id.as_str().into(),
            member_id: request.member_id.as_str().into(),
            instance_id: request.group_instance_id.as_deref().map(Into::into),
            generation: request.generation_id_or_member_epoch,
            knows_epochs: context.version >= 9,
            retention_ms: Some(request.retention_time_ms).filter(|ms| *ms != -1),
            topics,
        };
        let asked = self
            .groups
            .ask(&request.group_id, |shard, now, token, out| shard.offset_commit(now, &commit, token, out));
        answer(asked, move |answer| {
            let result = match answer {
                Ok(GroupResponse::OffsetCommit(result)) => result,
                Ok(_) => Err(misplaced()),
                Err(error) => Err(error),
            };
            let topics = match result {
                Ok(topics) => {
                    refused.extend(topics.into_iter().map(committed));
                    refused
                }
                Err(error) => request.topics.iter().map(|topic| failed(topic, error.code())).collect(),
            };
            OffsetCommitResponse::default().with_topics(topics)
        })
    }
}

impl OffsetCommit {
    /// What exists goes to `known`, the rest is refused.
    fn sort(
        &self,
        topic: &OffsetCommitRequestTopic,
        version: i16,
        known: &mut Vec<OffsetCommitTopic>,
        refused: &mut Vec<OffsetCommitResponseTopic>,
    ) {
        let image = self.view.image();
        let found = if version >= TOPIC_IDS {
            image.topic_by_id(TopicId(topic.topic_id))
        } else {
            image.topic(&topic.name)
        };
        let Some(found) = found else {
            let by_id = version >= TOPIC_IDS;
            let error = if by_id { ErrorCode::UnknownTopicId } else { ErrorCode::UnknownTopicOrPartition };
            refused.push(failed(topic, error));
            return;
        };
        let (exist, missing): (Vec<_>, Vec<_>) =
            topic.partitions.iter().partition(|p| found.partition(p.partition_index).is_some());
        if !missing.is_empty() {
            let missing =
                missing.iter().map(|p| (p.partition_index, ErrorCode::UnknownTopicOrPartition.code()));
            refused.push(respond_topic(&found.name, found.id, missing));
        }
        let partitions = exist.into_iter().map(|partition| OffsetToCommit {
            partition: partition.partition_index,
            offset: Offset(partition.committed_offset),
            leader_epoch: LeaderEpoch(partition.committed_leader_epoch),
            metadata: partition.committed_metadata.as_ref().map(shared),
        });
        let partitions: Vec<_> = partitions.collect();
        if !partitions.is_empty() {
            known.push(OffsetCommitTopic { name: Arc::clone(&found.name), topic_id: found.id, partitions });
        }
    }
}

fn failed(topic: &OffsetCommitRequestTopic, error: ErrorCode) -> OffsetCommitResponseTopic {
    let partitions = topic.partitions.iter().map(|p| (p.partition_index, error.code()));
    respond_topic(&topic.name, TopicId(topic.topic_id), partitions)
}

fn committed(topic: TopicResults) -> OffsetCommitResponseTopic {
    let code = |error: Option<&GroupError>| error.map_or(0, |error| error.code().code());
    let partitions = topic.partitions.iter().map(|p| (p.partition, code(p.error.as_ref())));
    respond_topic(&topic.name, topic.topic_id, partitions)
}

fn respond_topic(
    name: &str,
    id: TopicId,
    partitions: impl Iterator<Item = (i32, i16)>,
) -> OffsetCommitResponseTopic {
    let partitions = partitions.map(|(index, error)| {
        OffsetCommitResponsePartition::default().with_partition_index(index).with_error_code(error)
    });
    OffsetCommitResponseTopic::default()
        .with_name(TopicName(wire(name)))
        .with_topic_id(id.0)
        .with_partitions(partitions.collect())
}
