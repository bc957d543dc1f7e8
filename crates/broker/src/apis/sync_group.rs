//! SyncGroup: the leader brings the assignments of a generation, every member gets its own.

use std::sync::Arc;

use bytes::Bytes;
use ottla_group_coordinator::classic::{SyncRequest, SyncResponse};
use ottla_group_coordinator::{GroupError, GroupResponse, GroupShard};
use ottla_protocol::messages::{SyncGroupRequest, SyncGroupResponse};

use crate::dispatch::{Handler, Reply, RequestContext};
use crate::groups::{Groups, answer, misplaced, shared, wire};

/// Serves members of classic groups.
#[derive(Debug)]
pub(crate) struct SyncGroup {
    pub groups: Arc<Groups>,
}

impl Handler for SyncGroup {
    type Request = SyncGroupRequest;

    fn handle(&self, context: &RequestContext, request: SyncGroupRequest) -> Reply<SyncGroupResponse> {
        // From v5 on a member must say what it takes the group's protocol to be.
        if context.version >= 5 && (request.protocol_type.is_none() || request.protocol_name.is_none()) {
            let response = SyncResponse::error(GroupError::InconsistentGroupProtocol);
            return Reply::Ready(respond(&response));
        }
        let assignments = request.assignments.iter().map(|assignment| {
            (assignment.member_id.as_str().into(), Bytes::copy_from_slice(&assignment.assignment))
        });
        let sync = SyncRequest {
            group: request.group_id.as_str().into(),
            generation: request.generation_id,
            member_id: request.member_id.as_str().into(),
            instance_id: request.group_instance_id.as_deref().map(Into::into),
            protocol_type: request.protocol_type.as_ref().map(shared),
            protocol: request.protocol_name.as_ref().map(shared),
            assignments: assignments.collect(),
        };
        let len: usize = request.assignments.iter().map(|assignment| assignment.assignment.len()).sum();
        let sync =
            |shard: &mut _, now, token, out: &mut _| GroupShard::sync_group(shard, now, sync, token, out);
        // Who brings nothing only asks.
        let asked = match len {
            0 => self.groups.ask(&request.group_id, sync),
            len => self.groups.ask_for_more(len, &request.group_id, sync),
        };
        answer(asked, |answer| {
            respond(&match answer {
                Ok(GroupResponse::Sync(response)) => response,
                Ok(_) => SyncResponse::error(misplaced()),
                Err(error) => SyncResponse::error(error),
            })
        })
    }
}

fn respond(response: &SyncResponse) -> SyncGroupResponse {
    SyncGroupResponse::default()
        .with_error_code(response.error.as_ref().map_or(0, |error| error.code().code()))
        .with_protocol_type(response.protocol_type.as_deref().map(wire))
        .with_protocol_name(response.protocol.as_deref().map(wire))
        .with_assignment(response.assignment.clone())
}
