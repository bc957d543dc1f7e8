//! The answers of the shard.

use ottla_coordinator::WriteError;

use crate::classic::{JoinResponse, LeaveResponse, SyncResponse};
use crate::consumer;
use crate::error::GroupError;
use crate::ids::{GroupId, MemberId};
use crate::manage::DeletedGroup;
use crate::offsets::{OffsetCommitResponse, OffsetDeleteResponse, OffsetFetchResponse};

/// An answer to a parked request: the variant is that of the request.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupResponse {
    Join(JoinResponse),
    Sync(SyncResponse),
    Heartbeat(Result<(), GroupError>),
    Leave(LeaveResponse),
    OffsetCommit(Result<OffsetCommitResponse, GroupError>),
    OffsetFetch(Result<OffsetFetchResponse, GroupError>),
    OffsetDelete(Result<OffsetDeleteResponse, GroupError>),
    DeleteGroups(Vec<DeletedGroup>),
    ConsumerHeartbeat(Result<consumer::HeartbeatResponse, ConsumerHeartbeatError>),
}

/// Why a KIP-848 heartbeat is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConsumerHeartbeatError {
    #[error(transparent)]
    Group(#[from] consumer::ConsumerGroupError),
    #[error(transparent)]
    Coordinator(#[from] GroupError),
}

impl GroupResponse {
    /// The same kind of answer, saying that the write failed.
    pub(crate) fn failed(self, error: &WriteError) -> Self {
        let error = GroupError::Write(error.clone());
        match self {
            Self::Join(_) => Self::Join(JoinResponse::error(MemberId::default(), error)),
            Self::Sync(_) => Self::Sync(SyncResponse::error(error)),
            Self::Heartbeat(_) => Self::Heartbeat(Err(error)),
            Self::Leave(_) => Self::Leave(LeaveResponse(Err(error))),
            Self::OffsetCommit(_) => Self::OffsetCommit(Err(error)),
            Self::OffsetFetch(_) => Self::OffsetFetch(Err(error)),
            Self::OffsetDelete(_) => Self::OffsetDelete(Err(error)),
            Self::DeleteGroups(groups) => {
                let failed = |group: GroupId| DeletedGroup { group, error: Some(error.clone()) };
                Self::DeleteGroups(groups.into_iter().map(|deleted| failed(deleted.group)).collect())
            }
            Self::ConsumerHeartbeat(_) => Self::ConsumerHeartbeat(Err(error.into())),
        }
    }
}
