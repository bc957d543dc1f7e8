//! Why the coordinator refuses a request about a classic group or about offsets.

use ottla_coordinator::{NotActive, WriteError};
use ottla_protocol::ErrorCode;

use crate::consumer::OffsetAccessError;
use crate::ids::GroupId;

/// What the member does next is in the variant; the texts are those that Kafka's users see.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    #[error("The group id is invalid.")]
    InvalidGroupId,
    #[error("The session timeout is not within the range allowed by the broker.")]
    InvalidSessionTimeout,
    #[error("The coordinator is not aware of this member.")]
    UnknownMemberId,
    #[error("The static member's instance id belongs to another member now.")]
    FencedInstanceId,
    #[error("The generation is not the group's.")]
    IllegalGeneration,
    #[error("The member's state was written by another version; it must start over.")]
    FencedMemberEpoch,
    #[error("The coordinator cannot make sense of the group's state.")]
    UnknownServer,
    #[error("The group is rebalancing, so a rejoin is needed.")]
    RebalanceInProgress,
    #[error("The member's protocols are not compatible with those of the group's members.")]
    InconsistentGroupProtocol,
    #[error("The member must rejoin with the id it was given.")]
    MemberIdRequired,
    #[error("The group has reached its maximum size.")]
    GroupMaxSizeReached,
    #[error("Group {0} not found.")]
    GroupIdNotFound(GroupId),
    #[error("Group {0} is not a classic group.")]
    NotAClassicGroup(GroupId),
    #[error("The group is not empty.")]
    NonEmptyGroup,
    #[error("The group is subscribed to the topic.")]
    GroupSubscribedToTopic,
    #[error("The committed metadata is too large.")]
    OffsetMetadataTooLarge,
    /// `COORDINATOR_NOT_AVAILABLE`, with which clients try again.
    #[error("There is no memory for more groups, members or offsets now.")]
    OutOfMemory,
    #[error(transparent)]
    OffsetAccess(#[from] OffsetAccessError),
    #[error(transparent)]
    NotActive(#[from] NotActive),
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl GroupError {
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::InvalidGroupId => ErrorCode::InvalidGroupId,
            Self::InvalidSessionTimeout => ErrorCode::InvalidSessionTimeout,
            Self::UnknownMemberId => ErrorCode::UnknownMemberId,
            Self::FencedInstanceId => ErrorCode::FencedInstanceId,
            Self::IllegalGeneration => ErrorCode::IllegalGeneration,
            Self::FencedMemberEpoch => ErrorCode::FencedMemberEpoch,
            Self::UnknownServer => ErrorCode::UnknownServerError,
            Self::RebalanceInProgress => ErrorCode::RebalanceInProgress,
            Self::InconsistentGroupProtocol => ErrorCode::InconsistentGroupProtocol,
            Self::MemberIdRequired => ErrorCode::MemberIdRequired,
            Self::GroupMaxSizeReached => ErrorCode::GroupMaxSizeReached,
            Self::GroupIdNotFound(_) | Self::NotAClassicGroup(_) => ErrorCode::GroupIdNotFound,
            Self::NonEmptyGroup => ErrorCode::NonEmptyGroup,
            Self::GroupSubscribedToTopic => ErrorCode::GroupSubscribedToTopic,
            Self::OffsetMetadataTooLarge => ErrorCode::OffsetMetadataTooLarge,
            Self::OutOfMemory => ErrorCode::CoordinatorNotAvailable,
            Self::OffsetAccess(error) => error.code(),
            Self::NotActive(NotActive::Loading) => ErrorCode::CoordinatorLoadInProgress,
            Self::NotActive(NotActive::Closed) => ErrorCode::NotCoordinator,
            Self::Write(error) => write_error_code(error),
        }
    }
}

/// What a failed write looks like to a client (Kafka's `CoordinatorOperationExceptionHelper`).
#[must_use]
pub const fn write_error_code(error: &WriteError) -> ErrorCode {
    match error {
        // Kafka's log dir goes offline when it is full, and its coordinators with it. Ours are where they were, and wait.
        WriteError::NotEnoughReplicas | WriteError::TimedOut | WriteError::NoRoom => {
            ErrorCode::CoordinatorNotAvailable
        }
        WriteError::NotLeader | WriteError::Storage | WriteError::Closed => ErrorCode::NotCoordinator,
        WriteError::TooLarge { .. } | WriteError::Replay(_) | WriteError::Batch | WriteError::Unwritable => {
            ErrorCode::UnknownServerError
        }
    }
}
