//! RemoveRaftVoter (KIP-853): a controller votes no more.

use std::sync::Arc;

use ottla_controller::Controller;
use ottla_metadata::DirectoryId;
use ottla_model::BrokerId;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{RemoveRaftVoterRequest, RemoveRaftVoterResponse, StrBytes};

use super::add_raft_voter::foreign;
use crate::dispatch::{Handler, Reply, RequestContext};
use crate::error_map;
use crate::identity::Identity;

/// Has voters removed.
#[derive(Debug)]
pub(crate) struct RemoveRaftVoter {
    pub controller: Controller,
    pub identity: Arc<Identity>,
}

impl Handler for RemoveRaftVoter {
    type Request = RemoveRaftVoterRequest;

    fn handle(&self, _: &RequestContext, request: RemoveRaftVoterRequest) -> Reply<RemoveRaftVoterResponse> {
        if let Some(message) = foreign(request.cluster_id.as_deref(), &self.identity) {
            return Reply::Ready(answer(ErrorCode::InconsistentClusterId, Some(message)));
        }
        let controller = self.controller.clone();
        Reply::ordered(async move {
            let directory_id = DirectoryId(request.voter_directory_id);
            if !controller.is_active() {
                return answer(ErrorCode::NotController, None);
            }
            if request.voter_id < 0 || directory_id == DirectoryId::UNASSIGNED {
                let message = "Remove voter request didn't include a valid voter".to_owned();
                return answer(ErrorCode::InvalidRequest, Some(message));
            }
            match controller.remove_voter(BrokerId(request.voter_id), directory_id).await {
                Ok(()) => answer(ErrorCode::None, None),
                Err(error) => answer(error_map::voter(&error), Some(error.to_string())),
            }
        })
    }
}

fn answer(code: ErrorCode, message: Option<String>) -> RemoveRaftVoterResponse {
    RemoveRaftVoterResponse::default()
        .with_error_code(code.code())
        .with_error_message(message.map(StrBytes::from_string))
}
