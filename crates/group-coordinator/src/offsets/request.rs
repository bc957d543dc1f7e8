//! Requests and responses about offsets, without versions.

use std::sync::Arc;

use ottla_model::{LeaderEpoch, Offset, TopicId};

use crate::error::GroupError;
use crate::ids::{GroupId, InstanceId, MemberId};

#[derive(Clone, Debug)]
pub struct OffsetCommitRequest {
    pub group: GroupId,
    /// Empty where an administrator or a consumer without group management commits.
    pub member_id: MemberId,
    pub instance_id: Option<InstanceId>,
    /// Generation or member epoch; negative without group management.
    pub generation: i32,
    /// The client knows member epochs and `GROUP_ID_NOT_FOUND` (version 9).
    pub knows_epochs: bool,
    /// From clients that set a retention time (versions 2 to 4).
    pub retention_ms: Option<i64>,
    pub topics: Vec<OffsetCommitTopic>,
}

#[derive(Clone, Debug)]
pub struct OffsetCommitTopic {
    pub name: Arc<str>,
    /// [`TopicId::ZERO`] where it is not known.
    pub topic_id: TopicId,
    pub partitions: Vec<OffsetToCommit>,
}

#[derive(Clone, Debug)]
pub struct OffsetToCommit {
    pub partition: i32,
    pub offset: Offset,
    pub leader_epoch: LeaderEpoch,
    pub metadata: Option<Arc<str>>,
}

/// Results in the order of the request.
pub type OffsetCommitResponse = Vec<TopicResults>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicResults {
    pub name: Arc<str>,
    pub topic_id: TopicId,
    pub partitions: Vec<PartitionResult>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionResult {
    pub partition: i32,
    pub error: Option<GroupError>,
}

/// One group's part of an OffsetFetch.
#[derive(Clone, Debug)]
pub struct OffsetFetchRequest {
    pub group: GroupId,
    pub member_id: Option<MemberId>,
    /// -1 where the client does not say.
    pub member_epoch: i32,
    /// `None`: all that the group has committed.
    pub topics: Option<Vec<OffsetFetchTopic>>,
}

#[derive(Clone, Debug)]
pub struct OffsetFetchTopic {
    pub name: Arc<str>,
    /// [`TopicId::ZERO`] where it is not known.
    pub topic_id: TopicId,
    pub partitions: Vec<i32>,
}

pub type OffsetFetchResponse = Vec<CommittedTopic>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedTopic {
    pub name: Arc<str>,
    /// The request's; zero if all were asked for.
    pub topic_id: TopicId,
    pub partitions: Vec<CommittedPartition>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedPartition {
    pub partition: i32,
    /// [`Offset::NONE`] if nothing was committed.
    pub offset: Offset,
    pub leader_epoch: LeaderEpoch,
    pub metadata: Arc<str>,
}

#[derive(Clone, Debug)]
pub struct OffsetDeleteRequest {
    pub group: GroupId,
    pub topics: Vec<(Arc<str>, Vec<i32>)>,
}

/// Topic ids are zero: the request has none.
pub type OffsetDeleteResponse = Vec<TopicResults>;
