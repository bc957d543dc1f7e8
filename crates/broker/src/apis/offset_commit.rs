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
        let version = context.version;
        let mut refused = Vec::new();
        let mut topics = Vec::new();
        for topic in &request.topics {
            self.sort(topic, version, &mut topics, &mut refused);
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
        let len = commit.topics.iter().flat_map(|topic| &topic.partitions).map(offset_len).sum();
        let asked = self.groups.ask_for_more(len, &request.group_id, |shard, now, token, out| {
            shard.offset_commit(now, &commit, token, out)
        });
        answer(asked, move |answer| {
            let result = match answer {
                Ok(GroupResponse::OffsetCommit(result)) => result,
                Ok(_) => Err(misplaced()),
                Err(error) => Err(error),
            };
            let answered: Vec<_> = match result {
                Ok(topics) => topics.into_iter().map(committed).collect(),
                Err(error) => commit.topics.iter().map(|topic| not_committed(topic, error.code())).collect(),
            };
            OffsetCommitResponse::default().with_topics(merged(refused, answered, version))
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
            add(refused, failed(topic, error), version);
            return;
        };
        let (exist, missing): (Vec<_>, Vec<_>) =
            topic.partitions.iter().partition(|p| found.partition(p.partition_index).is_some());
        if !missing.is_empty() {
            let missing =
                missing.iter().map(|p| (p.partition_index, ErrorCode::UnknownTopicOrPartition.code()));
            add(refused, respond_topic(&found.name, found.id, missing), version);
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

fn offset_len(offset: &OffsetToCommit) -> usize {
    size_of::<OffsetToCommit>() + offset.metadata.as_ref().map_or(0, |metadata| metadata.len())
}

fn failed(topic: &OffsetCommitRequestTopic, error: ErrorCode) -> OffsetCommitResponseTopic {
    let partitions = topic.partitions.iter().map(|p| (p.partition_index, error.code()));
    respond_topic(&topic.name, TopicId(topic.topic_id), partitions)
}

fn not_committed(topic: &OffsetCommitTopic, error: ErrorCode) -> OffsetCommitResponseTopic {
    let partitions = topic.partitions.iter().map(|p| (p.partition, error.code()));
    respond_topic(&topic.name, topic.topic_id, partitions)
}

/// What the coordinator says comes behind what was refused before it was asked.
fn merged(
    mut refused: Vec<OffsetCommitResponseTopic>,
    answered: Vec<OffsetCommitResponseTopic>,
    version: i16,
) -> Vec<OffsetCommitResponseTopic> {
    if refused.is_empty() {
        return answered;
    }
    answered.into_iter().for_each(|topic| add(&mut refused, topic, version));
    refused
}

/// A topic has one entry.
fn add(topics: &mut Vec<OffsetCommitResponseTopic>, topic: OffsetCommitResponseTopic, version: i16) {
    let same = |other: &&mut OffsetCommitResponseTopic| {
        if version >= TOPIC_IDS { other.topic_id == topic.topic_id } else { other.name == topic.name }
    };
    match topics.iter_mut().find(same) {
        Some(known) => known.partitions.extend(topic.partitions),
        None => topics.push(topic),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str, id: u128, partitions: &[(i32, i16)]) -> OffsetCommitResponseTopic {
        respond_topic(name, TopicId(uuid::Uuid::from_u128(id)), partitions.iter().copied())
    }

    #[test]
    fn topic_of_which_some_partitions_are_refused_has_one_entry() {
        let refused = vec![topic("t", 1, &[(9, 3)])];
        let answered = vec![topic("u", 2, &[(0, 0)]), topic("t", 1, &[(0, 0)])];
        let both = vec![topic("t", 1, &[(9, 3), (0, 0)]), topic("u", 2, &[(0, 0)])];
        assert_eq!(merged(refused, answered, 9), both);
    }

    #[test]
    fn ids_tell_topics_apart_where_there_are_no_names() {
        let refused = vec![topic("", 1, &[(0, 100)])];
        assert_eq!(merged(refused, vec![topic("", 2, &[(0, 0)])], 10).len(), 2);
    }

    #[test]
    fn topic_that_is_named_twice_is_answered_twice_if_nothing_was_refused() {
        let answered = vec![topic("t", 1, &[(0, 0)]), topic("t", 1, &[(1, 0)])];
        assert_eq!(merged(Vec::new(), answered.clone(), 9), answered);
    }
}
