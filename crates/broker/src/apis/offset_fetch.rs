//! OffsetFetch: one group before v8, several from it on; topics by id from v10 on (KIP-848).

use std::sync::Arc;

use futures_util::future::join_all;
use ottla_group_coordinator::offsets::{CommittedTopic, OffsetFetchRequest as Fetch, OffsetFetchTopic};
use ottla_group_coordinator::{GroupError, GroupResponse};
use ottla_metadata::MetadataImage;
use ottla_model::TopicId;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use ottla_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use ottla_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse, StrBytes, TopicName};

use crate::dispatch::{AnswerLimit, Handler, Reply, RequestContext};
use crate::groups::{Asked, Groups, misplaced, settled, wire};
use crate::metadata_view::MetadataView;

/// Serves consumers and administrators.
#[derive(Debug)]
pub(crate) struct OffsetFetch {
    pub groups: Arc<Groups>,
    pub view: Arc<MetadataView>,
}

/// The first version with several groups.
const GROUPS: i16 = 8;
/// The first version with topic ids.
const TOPIC_IDS: i16 = 10;

/// One group on its way to its answer.
struct Pending {
    request: OffsetFetchRequestGroup,
    /// Of unknown ids.
    refused: Vec<OffsetFetchResponseTopics>,
    answer: Answer,
}

enum Answer {
    Ready(Result<Vec<CommittedTopic>, GroupError>),
    Asked(Asked),
}

impl Handler for OffsetFetch {
    type Request = OffsetFetchRequest;

    fn handle(&self, context: &RequestContext, request: OffsetFetchRequest) -> Reply<OffsetFetchResponse> {
        let version = context.version;
        let require_stable = request.require_stable;
        let groups = if version < GROUPS { vec![only_group(request)] } else { request.groups };
        let image = self.view.image_arc();
        let mut limit = AnswerLimit::new();
        let pending =
            groups.into_iter().map(|group| self.ask(group, require_stable, version, &image, &mut limit));
        let pending: Vec<Pending> = pending.collect();
        if pending.iter().all(|group| matches!(group.answer, Answer::Ready(_))) {
            let groups = pending.into_iter().map(|group| group.finish(version, &image));
            return Reply::Ready(respond(groups.collect(), version));
        }
        Reply::parked(async move {
            let groups = join_all(pending.into_iter().map(Pending::settle)).await;
            let groups = groups.into_iter().map(|group| group.finish(version, &image));
            respond(groups.collect(), version)
        })
    }
}

impl OffsetFetch {
    fn ask(
        &self,
        request: OffsetFetchRequestGroup,
        require_stable: bool,
        version: i16,
        image: &MetadataImage,
        limit: &mut AnswerLimit,
    ) -> Pending {
        let mut refused = Vec::new();
        let topics = request.topics.as_ref().map(|topics| {
            let known = topics.iter().filter_map(|topic| {
                let found = resolve(topic, version, image);
                if found.is_none() {
                    refused.push(unknown(topic));
                }
                found
            });
            known.collect()
        });
        let fetch = Fetch {
            group: request.group_id.as_str().into(),
            member_id: request.member_id.as_deref().map(Into::into),
            member_epoch: request.member_epoch,
            topics,
        };
        let len = self.groups.read(&request.group_id, |shard| shard.offset_fetch_len(&fetch));
        let answer = if !limit.try_take(len.unwrap_or(0)) {
            // The rest is to be asked for anew.
            Answer::Ready(Err(GroupError::OutOfMemory))
        } else if require_stable {
            Answer::Asked(self.groups.ask(&request.group_id, |shard, _, token, out| {
                shard.offset_fetch_stable(&fetch, token, out);
            }))
        } else {
            let read = self.groups.read(&request.group_id, |shard| shard.offset_fetch(&fetch));
            Answer::Ready(read.and_then(|offsets| offsets))
        };
        Pending { request, refused, answer }
    }
}

/// The question of the old versions, in the form of the new ones.
fn only_group(request: OffsetFetchRequest) -> OffsetFetchRequestGroup {
    let topics = request.topics.map(|topics| {
        let topics = topics.into_iter().map(|topic| OffsetFetchRequestTopics {
            name: topic.name,
            partition_indexes: topic.partition_indexes,
            ..OffsetFetchRequestTopics::default()
        });
        topics.collect()
    });
    OffsetFetchRequestGroup { group_id: request.group_id, topics, ..OffsetFetchRequestGroup::default() }
}

/// `None`: no topic has that id.
fn resolve(
    topic: &OffsetFetchRequestTopics,
    version: i16,
    image: &MetadataImage,
) -> Option<OffsetFetchTopic> {
    let partitions = topic.partition_indexes.clone();
    if version < TOPIC_IDS {
        // Offsets outlive their topic for a while: the name need not be known.
        let name = Arc::from(topic.name.as_str());
        return Some(OffsetFetchTopic { name, topic_id: TopicId::ZERO, partitions });
    }
    let found = image.topic_by_id(TopicId(topic.topic_id))?;
    Some(OffsetFetchTopic { name: Arc::clone(&found.name), topic_id: found.id, partitions })
}

fn unknown(topic: &OffsetFetchRequestTopics) -> OffsetFetchResponseTopics {
    let partitions = topic.partition_indexes.iter().map(|index| {
        OffsetFetchResponsePartitions::default()
            .with_partition_index(*index)
            .with_error_code(ErrorCode::UnknownTopicId.code())
            .with_committed_offset(-1)
            .with_metadata(Some(StrBytes::new()))
    });
    OffsetFetchResponseTopics::default().with_topic_id(topic.topic_id).with_partitions(partitions.collect())
}

impl Pending {
    async fn settle(self) -> Self {
        let answer = match self.answer {
            Answer::Ready(result) => result,
            Answer::Asked(asked) => match settled(asked).await {
                Ok(GroupResponse::OffsetFetch(result)) => result,
                Ok(_) => Err(misplaced()),
                Err(error) => Err(error),
            },
        };
        Self { answer: Answer::Ready(answer), ..self }
    }

    fn finish(self, version: i16, image: &MetadataImage) -> OffsetFetchResponseGroup {
        let group = OffsetFetchResponseGroup::default().with_group_id(self.request.group_id.clone());
        match self.answer {
            Answer::Ready(Ok(topics)) => {
                let topics = topics.iter().filter_map(|topic| committed(topic, version, image));
                group.with_topics(topics.chain(self.refused).collect())
            }
            Answer::Ready(Err(error)) => failed(group, &self.request, error.code(), version),
            Answer::Asked(_) => failed(group, &self.request, ErrorCode::UnknownServerError, version),
        }
    }
}

/// Before v2 there was no place for the error of a group.
fn failed(
    group: OffsetFetchResponseGroup,
    request: &OffsetFetchRequestGroup,
    error: ErrorCode,
    version: i16,
) -> OffsetFetchResponseGroup {
    if version >= 2 {
        return group.with_error_code(error.code());
    }
    let topics = request.topics.iter().flatten().map(|topic| {
        let mut topic = unknown(topic).with_name(topic.name.clone());
        for partition in &mut topic.partitions {
            partition.error_code = error.code();
        }
        topic
    });
    group.with_topics(topics.collect())
}

/// `None` in v10 if the topic is gone: there is no id to name it by.
fn committed(
    topic: &CommittedTopic,
    version: i16,
    image: &MetadataImage,
) -> Option<OffsetFetchResponseTopics> {
    let mut id = topic.topic_id;
    if version >= TOPIC_IDS && id == TopicId::ZERO {
        id = image.topic(&topic.name)?.id;
    }
    let partitions = topic.partitions.iter().map(|partition| {
        OffsetFetchResponsePartitions::default()
            .with_partition_index(partition.partition)
            .with_committed_offset(partition.offset.get())
            .with_committed_leader_epoch(partition.leader_epoch.get())
            .with_metadata(Some(wire(&partition.metadata)))
    });
    let topic = OffsetFetchResponseTopics::default()
        .with_name(TopicName(wire(&topic.name)))
        .with_topic_id(id.0)
        .with_partitions(partitions.collect());
    Some(topic)
}

fn respond(groups: Vec<OffsetFetchResponseGroup>, version: i16) -> OffsetFetchResponse {
    if version >= GROUPS {
        return OffsetFetchResponse::default().with_groups(groups);
    }
    let Some(group) = groups.into_iter().next() else { return OffsetFetchResponse::default() };
    let topics = group.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter().map(|partition| {
            OffsetFetchResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_committed_offset(partition.committed_offset)
                .with_committed_leader_epoch(partition.committed_leader_epoch)
                .with_metadata(partition.metadata)
                .with_error_code(partition.error_code)
        });
        OffsetFetchResponseTopic::default().with_name(topic.name).with_partitions(partitions.collect())
    });
    OffsetFetchResponse::default().with_error_code(group.error_code).with_topics(topics.collect())
}
