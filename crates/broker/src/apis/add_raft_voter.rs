//! AddRaftVoter (KIP-853): a controller that follows the metadata log comes to vote.

use std::sync::Arc;

use ottla_controller::{Controller, Peer, VoterError};
use ottla_metadata::DirectoryId;
use ottla_model::BrokerId;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::add_raft_voter_request::VoterListener;
use ottla_protocol::messages::{AddRaftVoterRequest, AddRaftVoterResponse, StrBytes};

use crate::dispatch::{Handler, Reply, RequestContext};
use crate::error_map;
use crate::identity::Identity;

/// Has voters added.
#[derive(Debug)]
pub(crate) struct AddRaftVoter {
    pub controller: Controller,
    pub identity: Arc<Identity>,
    /// The listener that controllers talk over.
    pub listener: Option<String>,
}

impl Handler for AddRaftVoter {
    type Request = AddRaftVoterRequest;

    fn handle(&self, _: &RequestContext, request: AddRaftVoterRequest) -> Reply<AddRaftVoterResponse> {
        if let Some(message) = foreign(request.cluster_id.as_deref(), &self.identity) {
            return Reply::Ready(answer(ErrorCode::InconsistentClusterId, Some(message)));
        }
        let (controller, listener) = (self.controller.clone(), self.listener.clone());
        Reply::ordered(async move {
            // Whoever is not the controller says so first.
            let voter = match asked_voter(&request, listener.as_deref()) {
                Err(message) if controller.is_active() => {
                    return answer(ErrorCode::InvalidRequest, Some(message));
                }
                Err(_) => return answer(ErrorCode::NotController, None),
                Ok(voter) => voter,
            };
            if request.ack_when_committed {
                return done(controller.add_voter(&voter).await);
            }
            // What is refused is refused within moments; what is written goes on without anybody.
            let mut adding = tokio::spawn(async move { controller.add_voter(&voter).await });
            match tokio::time::timeout(UNCOMMITTED_WAIT, &mut adding).await {
                Ok(Ok(added)) => done(added),
                Ok(Err(_)) => answer(ErrorCode::UnknownServerError, None),
                Err(_) => answer(ErrorCode::None, None),
            }
        })
    }
}

/// How long an answer waits that need not wait for the change to be committed.
const UNCOMMITTED_WAIT: std::time::Duration = std::time::Duration::from_secs(1);

/// What is wrong with the cluster that a request is meant for.
pub(super) fn foreign(asked: Option<&str>, identity: &Identity) -> Option<String> {
    let own = &*identity.cluster_id;
    let asked = asked.filter(|asked| *asked != own)?;
    Some(format!("The given id \"{asked}\" doesn't match the cluster id \"{own}\""))
}

fn asked_voter(request: &AddRaftVoterRequest, listener: Option<&str>) -> Result<Peer, String> {
    let directory_id = DirectoryId(request.voter_directory_id);
    if request.voter_id < 0 || directory_id == DirectoryId::UNASSIGNED {
        return Err("Add voter request didn't include a valid voter".to_owned());
    }
    let name = listener.unwrap_or_default();
    let Some(VoterListener { host, port, .. }) =
        request.listeners.iter().find(|listener| listener.name.eq_ignore_ascii_case(name))
    else {
        return Err(format!(
            "Add voter request didn't include the endpoint (Endpoints(endpoints={{{}}})) for the default listener ListenerName({name})",
            shown(&request.listeners)
        ));
    };
    Ok(Peer { directory_id, ..Peer::of_id(BrokerId(request.voter_id), host, *port) })
}

fn shown(listeners: &[VoterListener]) -> String {
    let shown = listeners
        .iter()
        .map(|one| format!("ListenerName({})={}/<unresolved>:{}", one.name, one.host, one.port));
    shown.collect::<Vec<_>>().join(", ")
}

fn done(added: Result<(), VoterError>) -> AddRaftVoterResponse {
    match added {
        Ok(()) => answer(ErrorCode::None, None),
        Err(error) => answer(error_map::voter(&error), Some(error.to_string())),
    }
}

fn answer(code: ErrorCode, message: Option<String>) -> AddRaftVoterResponse {
    AddRaftVoterResponse::default()
        .with_error_code(code.code())
        .with_error_message(message.map(StrBytes::from_string))
}
