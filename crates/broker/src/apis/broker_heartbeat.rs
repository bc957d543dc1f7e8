//! BrokerHeartbeat (KIP-631): a broker is there, has come so far, or wants to go; and which of its log dirs have failed
//! (KIP-858).

use ottla_controller::{BrokerError, BrokerHeartbeat as Beat, Controller, ControllerError, HeartbeatAnswer};
use ottla_metadata::DirectoryId;
use ottla_model::{BrokerId, Offset};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{BrokerHeartbeatRequest, BrokerHeartbeatResponse};

use crate::dispatch::{Handler, Reply, RequestContext};
use crate::error_map;

/// Hears brokers.
#[derive(Debug)]
pub(crate) struct BrokerHeartbeat {
    pub controller: Controller,
}

impl Handler for BrokerHeartbeat {
    type Request = BrokerHeartbeatRequest;

    fn handle(&self, _: &RequestContext, request: BrokerHeartbeatRequest) -> Reply<BrokerHeartbeatResponse> {
        let controller = self.controller.clone();
        Reply::ordered(async move {
            match beat(&controller, &request).await {
                Ok(Ok(answer)) => BrokerHeartbeatResponse::default()
                    .with_is_caught_up(answer.is_caught_up)
                    .with_is_fenced(answer.is_fenced)
                    .with_should_shut_down(answer.should_shut_down),
                Ok(Err(error)) => refused(error_map::broker(&error)),
                Err(error) => refused(error_map::controller(&error)),
            }
        })
    }
}

async fn beat(
    controller: &Controller,
    request: &BrokerHeartbeatRequest,
) -> Result<Result<HeartbeatAnswer, BrokerError>, ControllerError> {
    let (broker_id, broker_epoch) = (BrokerId(request.broker_id.0), request.broker_epoch);
    if !request.offline_log_dirs.is_empty() {
        let image = controller.image();
        let known = image.brokers().get(broker_id).map(|broker| broker.log_dirs.clone()).unwrap_or_default();
        let failed: Vec<DirectoryId> = request.offline_log_dirs.iter().copied().map(DirectoryId).collect();
        let online: Vec<DirectoryId> = known.iter().copied().filter(|dir| !failed.contains(dir)).collect();
        if online.len() < known.len()
            && let Err(error) = controller.set_online_log_dirs(broker_id, broker_epoch, online).await?
        {
            return Ok(Err(error));
        }
    }
    controller
        .broker_heartbeat(Beat {
            broker_id,
            broker_epoch,
            current_metadata_offset: Offset(request.current_metadata_offset),
            want_fence: request.want_fence,
            want_shut_down: request.want_shut_down,
        })
        .await
}

fn refused(error: ErrorCode) -> BrokerHeartbeatResponse {
    BrokerHeartbeatResponse::default().with_error_code(error.code()).with_is_fenced(true)
}
