//! JoinGroup: a member enters a classic group, or comes back for its next generation.

use std::sync::Arc;

use bytes::Bytes;
use ottla_group_coordinator::classic::{JoinRequest, JoinResponse, Protocol};
use ottla_group_coordinator::{GroupError, GroupResponse, MemberId};
use ottla_protocol::messages::join_group_response::JoinGroupResponseMember;
use ottla_protocol::messages::{JoinGroupRequest, JoinGroupResponse};

use crate::dispatch::{Handler, Reply, RequestContext};
use crate::groups::{Groups, answer, client_host, misplaced, shared, wire};

/// Serves members of classic groups.
#[derive(Debug)]
pub(crate) struct JoinGroup {
    pub groups: Arc<Groups>,
}

impl Handler for JoinGroup {
    type Request = JoinGroupRequest;

    fn handle(&self, context: &RequestContext, request: JoinGroupRequest) -> Reply<JoinGroupResponse> {
        let version = context.version;
        let join = join_request(context, &request);
        let len =
            request.protocols.iter().map(|protocol| protocol.name.len() + protocol.metadata.len()).sum();
        let asked = self.groups.ask_for_more(len, &request.group_id, |shard, now, token, out| {
            shard.join_group(now, join, token, out)
        });
        answer(asked, move |answer| {
            let response = match answer {
                Ok(GroupResponse::Join(response)) => response,
                Ok(_) => JoinResponse::error(MemberId::default(), misplaced()),
                Err(error) => JoinResponse::error(MemberId::default(), error),
            };
            respond(response, version)
        })
    }
}

fn join_request(context: &RequestContext, request: &JoinGroupRequest) -> JoinRequest {
    let protocols = request.protocols.iter().map(|protocol| Protocol {
        name: shared(&protocol.name),
        metadata: Bytes::copy_from_slice(&protocol.metadata),
    });
    JoinRequest {
        group: request.group_id.as_str().into(),
        member_id: request.member_id.as_str().into(),
        instance_id: request.group_instance_id.as_deref().map(Into::into),
        client_id: context.client_id.as_ref().map_or_else(|| Arc::from(""), shared),
        client_host: client_host(context.connection.peer),
        session_timeout_ms: request.session_timeout_ms,
        rebalance_timeout_ms: match context.version {
            0 => request.session_timeout_ms,
            _ => request.rebalance_timeout_ms,
        },
        protocol_type: shared(&request.protocol_type),
        protocols: protocols.collect(),
        requires_known_member_id: context.version >= 4,
        supports_skipping_assignment: context.version >= 9,
        uuid: uuid::Uuid::new_v4(),
    }
}

fn respond(response: JoinResponse, version: i16) -> JoinGroupResponse {
    // Before v7 it could not be null.
    let protocol = response.protocol.as_deref().map(wire);
    let protocol = if version < 7 { Some(protocol.unwrap_or_default()) } else { protocol };
    let members = response.members.into_iter().map(|member| {
        JoinGroupResponseMember::default()
            .with_member_id(wire(&member.member_id))
            .with_group_instance_id(member.instance_id.as_deref().map(wire))
            .with_metadata(member.metadata)
    });
    JoinGroupResponse::default()
        .with_error_code(response.error.as_ref().map(GroupError::code).map_or(0, |code| code.code()))
        .with_generation_id(response.generation)
        .with_protocol_type(response.protocol_type.as_deref().map(wire))
        .with_protocol_name(protocol)
        .with_leader(wire(&response.leader))
        .with_skip_assignment(response.skip_assignment)
        .with_member_id(wire(&response.member_id))
        .with_members(members.collect())
}
