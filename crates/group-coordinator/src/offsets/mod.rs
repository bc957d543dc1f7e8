//! Committed offsets of all groups of a shard.

pub(crate) mod commit;
mod expire;
mod fetch;
mod request;
mod store;

pub use request::{
    CommittedPartition, CommittedTopic, OffsetCommitRequest, OffsetCommitResponse, OffsetCommitTopic,
    OffsetDeleteRequest, OffsetDeleteResponse, OffsetFetchRequest, OffsetFetchResponse, OffsetFetchTopic,
    OffsetToCommit, PartitionResult, TopicResults,
};
pub(crate) use store::{Offsets, View};

use std::fmt::Debug;

use ottla_model::{Offset, TopicPartition};

use crate::ids::GroupId;
use crate::shard::GroupShard;

/// What a group has committed of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    pub group: GroupId,
    pub at: TopicPartition,
    pub offset: Offset,
}

impl<T: Debug> GroupShard<T> {
    /// All committed offsets, for metrics.
    #[must_use]
    pub fn committed_offsets(&self) -> Vec<CommittedOffset> {
        let committed = self.offsets.iter_committed().map(|(group, at, value)| CommittedOffset {
            group: group.clone(),
            at: at.clone(),
            offset: value.offset,
        });
        committed.collect()
    }
}
