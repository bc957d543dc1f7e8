//! OffsetCommit and OffsetDelete.

use std::fmt::Debug;
use std::sync::Arc;

use ottla_coordinator::Outcome;
use ottla_model::{Now, TimestampMs, TopicId, TopicPartition};
use ottla_planted::planted;

use super::request::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetCommitTopic, OffsetDeleteRequest, OffsetDeleteResponse,
    OffsetToCommit, PartitionResult, TopicResults,
};
use super::store::View;
use crate::classic::{ClassicGroup, ClassicState};
use crate::consumer::CommitCheck;
use crate::error::GroupError;
use crate::ids::GroupId;
use crate::records::{GroupRecord, OffsetCommitKey, OffsetCommitValue};
use crate::response::GroupResponse;
use crate::shard::{Group, GroupShard};

impl<T: Debug> GroupShard<T> {
    /// Stores offsets; the answer follows when they are committed.
    pub fn offset_commit(
        &mut self,
        now: Now,
        request: &OffsetCommitRequest,
        token: T,
        out: &mut Outcome<Self>,
    ) {
        let result = self.commit_offsets(now, request).map(|(records, response)| {
            out.records(records);
            response
        });
        out.reply(token, GroupResponse::OffsetCommit(result));
    }

    fn commit_offsets(
        &mut self,
        now: Now,
        request: &OffsetCommitRequest,
    ) -> Result<(Vec<GroupRecord>, OffsetCommitResponse), GroupError> {
        let check = self.check_commit(request)?;
        let mut records = Vec::new();
        let mut response = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in &topic.partitions {
                let error =
                    self.is_metadata_too_large(partition).then_some(GroupError::OffsetMetadataTooLarge);
                if error.is_none() {
                    check.partition(&topic.name, topic.topic_id, partition.partition)?;
                    records.push(commit_record(now.wall, request, topic, partition));
                }
                partitions.push(PartitionResult { partition: partition.partition, error });
            }
            response.push(TopicResults { name: topic.name.clone(), topic_id: topic.topic_id, partitions });
        }
        self.member_shows_life(now, request);
        Ok((records, response))
    }

    /// Whether the request's member may commit. A group that does not exist comes to be with its first offset, if the
    /// client manages its partitions itself.
    fn check_commit(&self, request: &OffsetCommitRequest) -> Result<CommitCheck<'_>, GroupError> {
        if let Some(Group::Consumer(group)) = self.groups.get(&request.group) {
            let (member, has_instance) = (&request.member_id, request.instance_id.is_some());
            let checked =
                group.check_commit(member, has_instance, request.generation, false, request.knows_epochs);
            return Ok(checked?);
        }
        match self.classic.get(&request.group) {
            Some(group) => check_classic_commit(group, request)?,
            None if request.generation < 0 => {}
            None if request.knows_epochs => return Err(GroupError::GroupIdNotFound(request.group.clone())),
            None => return Err(GroupError::IllegalGeneration),
        }
        Ok(CommitCheck::Pass)
    }

    fn member_shows_life(&mut self, now: Now, request: &OffsetCommitRequest) {
        let mut unused = Outcome::default();
        if let Some(mut group) = self.rebalance(now, &request.group, &mut unused) {
            group.reset_session(&request.member_id);
        }
    }

    fn is_metadata_too_large(&self, partition: &OffsetToCommit) -> bool {
        let metadata = partition.metadata.as_deref().unwrap_or_default();
        // Bytes bound UTF-16 units from above: most need no count.
        metadata.len() > self.config.offset_metadata_max
            && metadata.encode_utf16().count() > self.config.offset_metadata_max
    }

    /// Removes offsets of topics that the group is not subscribed to.
    pub fn offset_delete(&mut self, request: &OffsetDeleteRequest, token: T, out: &mut Outcome<Self>) {
        let result = self.delete_offsets(request).map(|(records, response)| {
            out.records(records);
            response
        });
        out.reply(token, GroupResponse::OffsetDelete(result));
    }

    fn delete_offsets(
        &self,
        request: &OffsetDeleteRequest,
    ) -> Result<(Vec<GroupRecord>, OffsetDeleteResponse), GroupError> {
        self.check_offset_delete(&request.group)?;
        let mut records = Vec::new();
        let mut response = Vec::with_capacity(request.topics.len());
        for (topic, partitions) in &request.topics {
            let subscribed = self.is_subscribed(&request.group, topic);
            let error = subscribed.then_some(GroupError::GroupSubscribedToTopic);
            for partition in partitions.iter().filter(|_| !subscribed) {
                let at = TopicPartition::new(topic.clone(), *partition);
                if self.offsets.get(&request.group, at.clone(), View::Latest).is_some() {
                    records.push(offset_tombstone(&request.group, at));
                }
            }
            let result = |partition: &i32| PartitionResult { partition: *partition, error: error.clone() };
            response.push(TopicResults {
                name: topic.clone(),
                topic_id: TopicId::ZERO,
                partitions: partitions.iter().map(result).collect(),
            });
        }
        Ok((records, response))
    }

    fn check_offset_delete(&self, id: &GroupId) -> Result<(), GroupError> {
        if let Some(Group::Consumer(_)) = self.groups.get(id) {
            return Ok(());
        }
        let group = self.classic.get(id).ok_or_else(|| GroupError::GroupIdNotFound(id.clone()))?;
        // Whose subscriptions are not known must be empty.
        if group.is_empty() || group.is_consumer_protocol() { Ok(()) } else { Err(GroupError::NonEmptyGroup) }
    }

    pub(crate) fn is_subscribed(&self, group: &GroupId, topic: &str) -> bool {
        match self.groups.get(group) {
            Some(Group::Consumer(group)) => group.is_subscribed_to(topic),
            _ => self.classic.get(group).is_some_and(|group| group.is_subscribed_to(topic)),
        }
    }
}

fn check_classic_commit<T>(group: &ClassicGroup<T>, request: &OffsetCommitRequest) -> Result<(), GroupError> {
    if request.generation < 0 && group.is_empty() {
        return Ok(());
    }
    if request.generation >= 0 || !request.member_id.is_empty() || request.instance_id.is_some() {
        group.validate_member(&request.member_id, request.instance_id.as_ref())?;
        if request.generation != group.generation() && !planted!("stale_generation_commits") {
            return Err(GroupError::IllegalGeneration);
        }
    } else if !group.is_empty() {
        // Somebody without a membership commits into a group that has members.
        return Err(GroupError::UnknownMemberId);
    }
    if group.state() == ClassicState::CompletingRebalance {
        return Err(GroupError::RebalanceInProgress);
    }
    Ok(())
}

fn commit_record(
    now: TimestampMs,
    request: &OffsetCommitRequest,
    topic: &OffsetCommitTopic,
    partition: &OffsetToCommit,
) -> GroupRecord {
    let at = TopicPartition::new(topic.name.clone(), partition.partition);
    let key = OffsetCommitKey { group: request.group.clone(), topic_partition: at };
    let value = OffsetCommitValue {
        offset: partition.offset,
        leader_epoch: partition.leader_epoch,
        metadata: partition.metadata.clone().unwrap_or_else(|| Arc::from("")),
        commit_timestamp: now,
        expire_timestamp: request.retention_ms.map(|ms| TimestampMs(now.get().saturating_add(ms))),
        topic_id: topic.topic_id,
    };
    GroupRecord::OffsetCommit(key, Some(value))
}

pub(crate) fn offset_tombstone(group: &GroupId, at: TopicPartition) -> GroupRecord {
    GroupRecord::OffsetCommit(OffsetCommitKey { group: group.clone(), topic_partition: at }, None)
}
