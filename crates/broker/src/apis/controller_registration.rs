//! ControllerRegistration (KIP-919): a controller introduces itself to the active one.

use ottla_controller::Controller;
use ottla_metadata::RegisterControllerRecord;
use ottla_model::BrokerId;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{ControllerRegistrationRequest, ControllerRegistrationResponse, StrBytes};

use super::broker_registration::{endpoint, feature};
use crate::dispatch::{Handler, Reply, RequestContext};
use crate::error_map;

/// Registers controllers.
#[derive(Debug)]
pub(crate) struct ControllerRegistration {
    pub controller: Controller,
}

impl Handler for ControllerRegistration {
    type Request = ControllerRegistrationRequest;

    fn handle(
        &self,
        _: &RequestContext,
        request: ControllerRegistrationRequest,
    ) -> Reply<ControllerRegistrationResponse> {
        let Some(registration) = registration(&request) else {
            return Reply::Ready(answer(ErrorCode::InvalidRegistration, None));
        };
        let controller = self.controller.clone();
        Reply::ordered(async move {
            match controller.register_controller(registration).await {
                Ok(Ok(())) => answer(ErrorCode::None, None),
                Ok(Err(error)) => answer(error_map::registration(&error), Some(error.to_string())),
                Err(error) => answer(error_map::controller(&error), Some(error.to_string())),
            }
        })
    }
}

fn answer(code: ErrorCode, message: Option<String>) -> ControllerRegistrationResponse {
    ControllerRegistrationResponse::default()
        .with_error_code(code.code())
        .with_error_message(message.map(StrBytes::from_string))
}

/// `None` of a listener whose protocol does not exist.
fn registration(request: &ControllerRegistrationRequest) -> Option<RegisterControllerRecord> {
    let endpoints =
        request.listeners.iter().map(|it| endpoint(&it.name, &it.host, it.port, it.security_protocol));
    let features = request
        .features
        .iter()
        .map(|it| feature(&it.name, it.min_supported_version, it.max_supported_version));
    Some(RegisterControllerRecord {
        controller_id: BrokerId(request.controller_id),
        incarnation_id: request.incarnation_id,
        endpoints: endpoints.collect::<Option<Vec<_>>>()?,
        features: features.collect(),
    })
}
