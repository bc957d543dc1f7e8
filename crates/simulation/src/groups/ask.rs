//! What clients ask a group's coordinator.

use ottla_group_coordinator::classic::{HeartbeatRequest, JoinRequest, LeaveRequest, SyncRequest};
use ottla_group_coordinator::consumer::HeartbeatRequest as ConsumerHeartbeatRequest;
use ottla_group_coordinator::offsets::{OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest};

#[derive(Clone, Debug)]
pub(crate) enum GroupAsk {
    Commit(OffsetCommitRequest),
    Delete(OffsetDeleteRequest),
    Fetch(OffsetFetchRequest),
    /// With what is on its way (`require_stable`).
    FetchStable(OffsetFetchRequest),
    Join(JoinRequest),
    Sync(SyncRequest),
    Beat(HeartbeatRequest),
    Leave(LeaveRequest),
    ConsumerBeat(ConsumerHeartbeatRequest),
}

impl GroupAsk {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Commit(_) => "group: offset commit",
            Self::Delete(_) => "group: offset deletion",
            Self::Fetch(_) => "group: offset fetch",
            Self::FetchStable(_) => "group: stable offset fetch",
            Self::Join(_) => "group: join",
            Self::Sync(_) => "group: sync",
            Self::Beat(_) => "group: heartbeat",
            Self::Leave(_) => "group: leave",
            Self::ConsumerBeat(_) => "group: consumer heartbeat",
        }
    }
}
