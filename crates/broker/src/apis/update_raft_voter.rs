//! UpdateRaftVoter (KIP-853): a voter is reached elsewhere. Our own controllers tell it in frames of their own.

use std::sync::Arc;

use ottla_controller::{Controller, Peer, QuorumStatus};
use ottla_metadata::{DirectoryId, KRAFT_VERSION, feature};
use ottla_model::BrokerId;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::update_raft_voter_response::CurrentLeader;
use ottla_protocol::messages::{StrBytes, UpdateRaftVoterRequest, UpdateRaftVoterResponse};

use super::add_raft_voter::foreign;
use crate::dispatch::{Handler, Reply, RequestContext};
use crate::error_map;
use crate::identity::Identity;

/// Has voters updated.
#[derive(Debug)]
pub(crate) struct UpdateRaftVoter {
    pub controller: Controller,
    pub identity: Arc<Identity>,
    /// The listener that controllers talk over.
    pub listener: Option<String>,
}

impl Handler for UpdateRaftVoter {
    type Request = UpdateRaftVoterRequest;

    fn handle(&self, _: &RequestContext, request: UpdateRaftVoterRequest) -> Reply<UpdateRaftVoterResponse> {
        if foreign(request.cluster_id.as_deref(), &self.identity).is_some() {
            return Reply::Ready(answer(ErrorCode::InconsistentClusterId, None));
        }
        let (controller, listener) = (self.controller.clone(), self.listener.clone());
        Reply::ordered(async move {
            let Ok(status) = controller.describe_quorum().await else {
                return answer(ErrorCode::NotLeaderOrFollower, None);
            };
            let code = match check(&request, &status, listener.as_deref()) {
                Err(code) => code,
                Ok(voter) => match controller.update_voter(&voter).await {
                    Ok(()) => ErrorCode::None,
                    Err(error) => error_map::voter(&error),
                },
            };
            answer(code, Some(&status))
        })
    }
}

/// In Kafka's order (`KafkaRaftClient.handleUpdateVoterRequest`, `UpdateVoterHandler`).
fn check(
    request: &UpdateRaftVoterRequest,
    status: &QuorumStatus,
    listener: Option<&str>,
) -> Result<Peer, ErrorCode> {
    if request.current_leader_epoch < status.leader_epoch {
        return Err(ErrorCode::FencedLeaderEpoch);
    }
    if request.current_leader_epoch > status.leader_epoch {
        return Err(ErrorCode::UnknownLeaderEpoch);
    }
    let directory_id = DirectoryId(request.voter_directory_id);
    if request.voter_id < 0 || directory_id == DirectoryId::UNASSIGNED {
        return Err(ErrorCode::InvalidRequest);
    }
    let named = |name: &str| listener.is_some_and(|listener| name.eq_ignore_ascii_case(listener));
    let Some(at) = request.listeners.iter().find(|listener| named(&listener.name)) else {
        return Err(ErrorCode::InvalidRequest);
    };
    let (theirs, ours) = (&request.k_raft_version_feature, feature(KRAFT_VERSION));
    let level = ours.map_or(0, |ours| ours.max_supported);
    if theirs.min_supported_version > theirs.max_supported_version || theirs.max_supported_version < level {
        return Err(ErrorCode::InvalidRequest);
    }
    Ok(Peer { directory_id, ..Peer::of_id(BrokerId(request.voter_id), &at.host, at.port) })
}

fn answer(code: ErrorCode, status: Option<&QuorumStatus>) -> UpdateRaftVoterResponse {
    let mut leader = CurrentLeader::default();
    if let Some(status) = status {
        leader = leader.with_leader_id(status.leader.get().into()).with_leader_epoch(status.leader_epoch);
        if let Some(node) = status.nodes.iter().find(|node| node.id == status.leader) {
            leader =
                leader.with_host(StrBytes::from_string(node.host.clone())).with_port(i32::from(node.port));
        }
    }
    UpdateRaftVoterResponse::default().with_error_code(code.code()).with_current_leader(leader)
}
