//! Why a consumer group refuses, in Kafka's words: clients log these messages.

use ottla_model::wire::WireError;
use ottla_protocol::ErrorCode;

use super::regex::InvalidRegex;
use crate::assignor::AssignError;
use crate::{GroupId, InstanceId, MemberId};

/// Why a heartbeat is refused. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConsumerGroupError {
    #[error("{0}")]
    InvalidRequest(&'static str),
    #[error("ServerAssignor {name} is not supported. Supported assignors: {supported}.")]
    UnsupportedAssignor { name: String, supported: String },
    #[error("Consumer group {0} not found.")]
    ConsumerGroupNotFound(GroupId),
    #[error("Group {0} not found.")]
    GroupNotFound(GroupId),
    #[error("Group {0} is not a consumer group.")]
    NotAConsumerGroup(GroupId),
    #[error("Cannot upgrade classic group {0} to consumer group because online upgrade is disabled.")]
    UpgradeDisabled(GroupId),
    #[error(
        "Cannot upgrade classic group {0} to consumer group because the group does not use the consumer embedded \
         protocol."
    )]
    UpgradeOfOtherProtocol(GroupId),
    #[error(
        "Cannot upgrade classic group {0} to consumer group because the group size exceeds the consumer group maximum \
         size."
    )]
    UpgradeTooLarge(GroupId),
    #[error(
        "Cannot upgrade classic group {0} to consumer group because the embedded consumer protocol is malformed."
    )]
    UpgradeMalformed(GroupId),
    #[error(
        "Cannot upgrade classic group {0} to consumer group because an unsupported custom assignor is in use. Please \
         refer to the documentation or switch to a default assignor before re-attempting the upgrade."
    )]
    UpgradeOfCustomAssignor(GroupId),
    /// Before the classic group's first generation, or while members do not support its protocol.
    #[error("The classic group has no generation that could be taken over.")]
    UpgradeImpossible,
    #[error("Cannot downgrade the classic group {group_id}: {reason}.")]
    DowngradeMalformed { group_id: GroupId, reason: WireError },
    #[error("Member {member_id} is not a member of group {group_id}.")]
    UnknownMember { group_id: GroupId, member_id: MemberId },
    #[error("Instance id {0} is unknown.")]
    UnknownInstance(InstanceId),
    #[error(
        "The consumer group member has a greater member epoch ({received}) than the one known by the group \
         coordinator ({known}). The member must abandon all its partitions and rejoin."
    )]
    GreaterEpoch { received: i32, known: i32 },
    #[error(
        "The consumer group member has a smaller member epoch ({received}) than the one known by the group \
         coordinator ({known}). The member must abandon all its partitions and rejoin."
    )]
    SmallerEpoch { received: i32, known: i32 },
    #[error(
        "The consumer group member is in a unknown state. The member must abandon all its partitions and rejoin."
    )]
    UnknownState,
    #[error(
        "Static member {member_id} with instance id {instance_id} cannot join the group because the instance id is \
         owned by {owner} member."
    )]
    UnreleasedInstance { member_id: MemberId, instance_id: InstanceId, owner: MemberId },
    #[error("Static member {member_id} with instance id {instance_id} was fenced by member {owner}.")]
    FencedInstance { member_id: MemberId, instance_id: InstanceId, owner: MemberId },
    #[error("The consumer group has reached its maximum capacity of {max} members.")]
    GroupFull { max: usize },
    #[error("SubscribedTopicRegex `{regex}` is not a valid regular expression: {reason}.")]
    InvalidRegex { regex: String, reason: InvalidRegex },
    #[error("Failed to compute a new target assignment for epoch {epoch}: {cause}")]
    Assignor { epoch: i32, cause: AssignError },
}

impl ConsumerGroupError {
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::InvalidRequest(_) => ErrorCode::InvalidRequest,
            Self::UnsupportedAssignor { .. } => ErrorCode::UnsupportedAssignor,
            Self::ConsumerGroupNotFound(_)
            | Self::GroupNotFound(_)
            | Self::NotAConsumerGroup(_)
            | Self::UpgradeDisabled(_)
            | Self::UpgradeOfOtherProtocol(_)
            | Self::UpgradeTooLarge(_)
            | Self::UpgradeMalformed(_)
            | Self::UpgradeOfCustomAssignor(_)
            | Self::DowngradeMalformed { .. } => ErrorCode::GroupIdNotFound,
            Self::UnknownMember { .. } | Self::UnknownInstance(_) => ErrorCode::UnknownMemberId,
            Self::GreaterEpoch { .. } | Self::SmallerEpoch { .. } | Self::UnknownState => {
                ErrorCode::FencedMemberEpoch
            }
            Self::UnreleasedInstance { .. } => ErrorCode::UnreleasedInstanceId,
            Self::FencedInstance { .. } => ErrorCode::FencedInstanceId,
            Self::GroupFull { .. } => ErrorCode::GroupMaxSizeReached,
            Self::InvalidRegex { .. } => ErrorCode::InvalidRegularExpression,
            Self::Assignor { .. } | Self::UpgradeImpossible => ErrorCode::UnknownServerError,
        }
    }
}

/// Why a member may not commit or fetch offsets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OffsetAccessError {
    #[error("Member {member_id} is not a member of group {group_id}.")]
    UnknownMember { group_id: GroupId, member_id: MemberId },
    /// An epoch without a member: Kafka fails over it.
    #[error("The request has a member epoch and no member.")]
    NoMember,
    #[error("OffsetCommit version 9 or above must be used by members using the consumer group protocol")]
    TooOldToCommit,
    #[error("{message}")]
    StaleEpoch { message: String },
    /// The same for a member that speaks the classic protocol.
    #[error("{message}")]
    IllegalGeneration { message: String },
}

impl OffsetAccessError {
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownMember { .. } => ErrorCode::UnknownMemberId,
            Self::NoMember => ErrorCode::UnknownServerError,
            Self::TooOldToCommit => ErrorCode::UnsupportedVersion,
            Self::StaleEpoch { .. } => ErrorCode::StaleMemberEpoch,
            Self::IllegalGeneration { .. } => ErrorCode::IllegalGeneration,
        }
    }
}
