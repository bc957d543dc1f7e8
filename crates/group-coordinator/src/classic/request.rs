//! Requests and responses of classic groups, without versions.

use std::sync::Arc;

use bytes::Bytes;
use ottla_model::TopicId;

use super::member::Protocol;
use crate::error::GroupError;
use crate::ids::{GroupId, InstanceId, MemberId};

#[derive(Clone, Debug)]
pub struct JoinRequest {
    pub group: GroupId,
    /// Empty: not a member yet.
    pub member_id: MemberId,
    pub instance_id: Option<InstanceId>,
    pub client_id: Arc<str>,
    /// As Kafka writes it: `/127.0.0.1`.
    pub client_host: Arc<str>,
    pub session_timeout_ms: i32,
    pub rebalance_timeout_ms: i32,
    pub protocol_type: Arc<str>,
    /// In the member's order of preference.
    pub protocols: Vec<Protocol>,
    /// A dynamic member without id is told one and must come back with it (KIP-394, version 4).
    pub requires_known_member_id: bool,
    /// The leader can be told to skip the assignment (KIP-814, version 9).
    pub supports_skipping_assignment: bool,
    /// For the id of a new member.
    pub uuid: uuid::Uuid,
}

impl JoinRequest {
    /// Client (or instance) id and a random part, as Kafka makes them.
    pub(super) fn new_member_id(&self) -> MemberId {
        let name = self.instance_id.as_deref().unwrap_or(&self.client_id);
        MemberId::from(format!("{name}-{}", self.uuid))
    }

    /// In a consumer group it is the random part alone, as Kafka prints an id.
    pub(crate) fn new_consumer_member_id(&self) -> MemberId {
        MemberId::from(TopicId(self.uuid).to_base64())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinResponse {
    pub error: Option<GroupError>,
    /// -1 with an error.
    pub generation: i32,
    pub protocol_type: Option<Arc<str>>,
    /// `None` with an error.
    pub protocol: Option<Arc<str>>,
    /// Empty with an error.
    pub leader: MemberId,
    pub skip_assignment: bool,
    pub member_id: MemberId,
    /// To the leader only.
    pub members: Vec<JoinMember>,
}

impl JoinResponse {
    #[must_use]
    pub fn error(member_id: MemberId, error: GroupError) -> Self {
        Self {
            error: Some(error),
            generation: -1,
            protocol_type: None,
            protocol: None,
            leader: MemberId::default(),
            skip_assignment: false,
            member_id,
            members: Vec::new(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinMember {
    pub member_id: MemberId,
    pub instance_id: Option<InstanceId>,
    /// What the member said for the selected protocol.
    pub metadata: Bytes,
}

#[derive(Clone, Debug)]
pub struct SyncRequest {
    pub group: GroupId,
    pub generation: i32,
    pub member_id: MemberId,
    pub instance_id: Option<InstanceId>,
    /// `None` from versions that do not say (before 5).
    pub protocol_type: Option<Arc<str>>,
    pub protocol: Option<Arc<str>>,
    /// From the leader only.
    pub assignments: Vec<(MemberId, Bytes)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncResponse {
    pub error: Option<GroupError>,
    pub protocol_type: Option<Arc<str>>,
    pub protocol: Option<Arc<str>>,
    pub assignment: Bytes,
}

impl SyncResponse {
    #[must_use]
    pub const fn error(error: GroupError) -> Self {
        Self { error: Some(error), protocol_type: None, protocol: None, assignment: Bytes::new() }
    }
}

#[derive(Clone, Debug)]
pub struct HeartbeatRequest {
    pub group: GroupId,
    pub generation: i32,
    pub member_id: MemberId,
    pub instance_id: Option<InstanceId>,
}

#[derive(Clone, Debug)]
pub struct LeaveRequest {
    pub group: GroupId,
    pub members: Vec<LeavingMember>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeavingMember {
    /// Empty: only the instance id counts.
    pub member_id: MemberId,
    pub instance_id: Option<InstanceId>,
}

/// One entry a leaving member, or the error of the whole request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaveResponse(pub Result<Vec<LeftMember>, GroupError>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftMember {
    pub member_id: MemberId,
    pub instance_id: Option<InstanceId>,
    pub error: Option<GroupError>,
}
