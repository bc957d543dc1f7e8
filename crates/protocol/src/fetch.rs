//! Fetch on the hot path: a response gathered around slices of files (`FetchResponse` v4-18, 4.4.0).
//!
//! The caller's slices are never read here: the encoder writes what goes around them and says where they go in. A client
//! decodes `messages::FetchResponse`; the request is `messages::FetchRequest`.

mod encode;
mod gather;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

pub use crate::messages::produce_response::NodeEndpoint;
pub use gather::{Gathered, Segment};

/// A run of records that stands ready somewhere, of a length that is known and does not change.
pub trait RecordsSlice {
    /// Bytes.
    fn len(&self) -> usize;

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl RecordsSlice for Bytes {
    fn len(&self) -> usize {
        self.len()
    }
}

/// The answer to a fetch; `F` is the caller's slice of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct FetchResponse<F> {
    pub throttle_time_ms: i32,
    /// From v7; dropped before.
    pub error_code: i16,
    /// From v7; an error before, unless 0.
    pub session_id: i32,
    pub responses: Vec<FetchTopicResponse<F>>,
    /// From v16 (KIP-951): where the current leaders named in the partitions can be reached.
    pub node_endpoints: Vec<NodeEndpoint>,
}

/// A topic by name (to v12) or by id (from v13).
#[derive(Clone, Debug, PartialEq)]
pub struct FetchTopicResponse<F> {
    pub topic: StrBytes,
    pub topic_id: Uuid,
    pub partitions: Vec<FetchPartitionResponse<F>>,
}

/// One partition's share. `Default` is an answer without records or offsets, as errors are sent: offsets -1.
#[derive(Clone, Debug, PartialEq)]
pub struct FetchPartitionResponse<F> {
    pub partition_index: i32,
    pub error_code: i16,
    pub high_watermark: i64,
    pub last_stable_offset: i64,
    /// From v5; dropped before.
    pub log_start_offset: i64,
    /// From v12 (KIP-595): the follower's log parts from the leader's here.
    pub diverging_epoch: Option<EpochEndOffset>,
    /// From v12, sent with NOT_LEADER_OR_FOLLOWER and FENCED_LEADER_EPOCH (KIP-951).
    pub current_leader: Option<LeaderIdAndEpoch>,
    /// From v12 (KIP-630): the snapshot to fetch instead.
    pub snapshot_id: Option<EpochEndOffset>,
    /// `None` travels as null: what read_uncommitted gets; read_committed gets a list, even if it is empty.
    pub aborted_transactions: Option<Vec<AbortedTransaction>>,
    /// From v11 (KIP-392); -1 for none.
    pub preferred_read_replica: i32,
    /// One after the other these are the records. None at all travels as length 0, never as null, which librdkafka refuses.
    pub records: Vec<F>,
}

impl<F> Default for FetchResponse<F> {
    fn default() -> Self {
        Self {
            throttle_time_ms: 0,
            error_code: 0,
            session_id: 0,
            responses: Vec::new(),
            node_endpoints: Vec::new(),
        }
    }
}

impl<F> Default for FetchPartitionResponse<F> {
    fn default() -> Self {
        Self {
            partition_index: 0,
            error_code: 0,
            high_watermark: -1,
            last_stable_offset: -1,
            log_start_offset: -1,
            diverging_epoch: None,
            current_leader: None,
            snapshot_id: None,
            aborted_transactions: None,
            preferred_read_replica: -1,
            records: Vec::new(),
        }
    }
}

/// An epoch and the offset behind its last record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEndOffset {
    pub epoch: i32,
    pub end_offset: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaderIdAndEpoch {
    /// -1 if it is not known.
    pub leader_id: i32,
    pub leader_epoch: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTransaction {
    pub producer_id: i64,
    pub first_offset: i64,
}
