//! Heartbeat: a member of a classic group is alive, and learns of rebalances.

use std::sync::Arc;

use ottla_coordinator::NotActive;
use ottla_group_coordinator::{GroupError, GroupResponse, classic};
use ottla_protocol::messages::{HeartbeatRequest, HeartbeatResponse};

use crate::dispatch::{Handler, Reply, RequestContext};
use crate::groups::{Groups, answer, misplaced};

/// Serves members of classic groups.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    pub groups: Arc<Groups>,
}

impl Handler for Heartbeat {
    type Request = HeartbeatRequest;

    fn handle(&self, _: &RequestContext, request: HeartbeatRequest) -> Reply<HeartbeatResponse> {
        let heartbeat = classic::HeartbeatRequest {
            group: request.group_id.as_str().into(),
            generation: request.generation_id,
            member_id: request.member_id.as_str().into(),
            instance_id: request.group_instance_id.as_deref().map(Into::into),
        };
        let asked = self
            .groups
            .ask(&request.group_id, |shard, now, token, out| shard.heartbeat(now, &heartbeat, token, out));
        answer(asked, |answer| {
            let result = match answer {
                Ok(GroupResponse::Heartbeat(result)) => result,
                Ok(_) => Err(misplaced()),
                // While groups are loaded all members live.
                Err(GroupError::NotActive(NotActive::Loading)) => Ok(()),
                Err(error) => Err(error),
            };
            let code = result.err().map_or(0, |error| error.code().code());
            HeartbeatResponse::default().with_error_code(code)
        })
    }
}
