//! LeaveGroup: one member before v3, several (also by instance id, for administrators) from it on.

use std::sync::Arc;

use ottla_group_coordinator::classic::{LeaveRequest, LeaveResponse, LeavingMember};
use ottla_group_coordinator::{GroupError, GroupResponse};
use ottla_protocol::messages::leave_group_response::MemberResponse;
use ottla_protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};

use crate::dispatch::{Handler, Reply, RequestContext};
use crate::groups::{Groups, answer, misplaced, wire};

/// Serves members of classic groups, and administrators.
#[derive(Debug)]
pub(crate) struct LeaveGroup {
    pub groups: Arc<Groups>,
}

impl Handler for LeaveGroup {
    type Request = LeaveGroupRequest;

    fn handle(&self, context: &RequestContext, request: LeaveGroupRequest) -> Reply<LeaveGroupResponse> {
        let version = context.version;
        let members = if version < 3 {
            vec![LeavingMember { member_id: request.member_id.as_str().into(), instance_id: None }]
        } else {
            let member = request.members.iter().map(|member| LeavingMember {
                member_id: member.member_id.as_str().into(),
                instance_id: member.group_instance_id.as_deref().map(Into::into),
            });
            member.collect()
        };
        let leave = LeaveRequest { group: request.group_id.as_str().into(), members };
        let asked = self
            .groups
            .ask(&request.group_id, |shard, now, token, out| shard.leave_group(now, leave, token, out));
        answer(asked, move |answer| {
            let response = match answer {
                Ok(GroupResponse::Leave(response)) => response,
                Ok(_) => LeaveResponse(Err(misplaced())),
                Err(error) => LeaveResponse(Err(error)),
            };
            respond(response, version)
        })
    }
}

fn respond(LeaveResponse(result): LeaveResponse, version: i16) -> LeaveGroupResponse {
    let code = |error: Option<&GroupError>| error.map_or(0, |error| error.code().code());
    let members = match result {
        Ok(members) => members,
        Err(error) => return LeaveGroupResponse::default().with_error_code(code(Some(&error))),
    };
    if version < 3 {
        let error = members.first().and_then(|member| member.error.as_ref());
        return LeaveGroupResponse::default().with_error_code(code(error));
    }
    let members = members.iter().map(|member| {
        MemberResponse::default()
            .with_member_id(wire(&member.member_id))
            .with_group_instance_id(member.instance_id.as_deref().map(wire))
            .with_error_code(code(member.error.as_ref()))
    });
    LeaveGroupResponse::default().with_members(members.collect())
}
