//! Classic groups (the protocol before KIP-848): the coordinator orders, the members assign.
//!
//! ```text
//!            join                all joined, or timeout            leader's sync stored
//!   Empty ---------> Preparing ------------------------> Completing ------------------> Stable
//!     ^              Rebalance <------------------------ Rebalance  <--- join, leave,     |
//!     |                  |  ^        join, leave, timeout                timeout          |
//!     +--- all left -----+  +------------------------------------------------------------+
//! ```
//! The model is Kafka 4.4's `GroupMetadataManager` and `ClassicGroup`. What a record carries (generation, members,
//! assignments) is written once per generation, when the leader's assignment arrives; everything between is soft state
//! that a new coordinator does without: members then keep their ids and rejoin.

mod downgraded;
mod group;
mod join;
mod member;
mod membership;
mod rebalance;
mod record;
mod request;
mod sync;

pub use group::{ClassicGroup, ClassicState};
pub use member::{ClassicMember, Protocol};
pub(crate) use rebalance::Rebalance;
pub use request::{
    HeartbeatRequest, JoinMember, JoinRequest, JoinResponse, LeaveRequest, LeaveResponse, LeavingMember,
    LeftMember, SyncRequest, SyncResponse,
};

use bytes::Bytes;
use std::collections::BTreeMap;

use crate::ids::{GroupId, InstanceId, MemberId};

/// What is left to do once a classic group's record is stored, or was not.
#[derive(Debug)]
pub enum Completion<T> {
    /// The leader's assignment of this generation.
    Synced { group: GroupId, generation: i32, assignment: BTreeMap<MemberId, Bytes> },
    /// A static member came back under a new id while the group was stable.
    Replaced(Box<Replacement<T>>),
}

/// A static member's old and new face.
#[derive(Debug)]
pub struct Replacement<T> {
    pub group: GroupId,
    pub instance_id: InstanceId,
    pub old_member_id: MemberId,
    pub new_member_id: MemberId,
    pub old_leader: Option<MemberId>,
    pub old_protocols: Vec<Protocol>,
    pub old_rebalance_timeout_ms: i32,
    pub old_session_timeout_ms: i32,
    pub supports_skipping_assignment: bool,
    pub token: T,
}
