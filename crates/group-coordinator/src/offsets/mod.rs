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
