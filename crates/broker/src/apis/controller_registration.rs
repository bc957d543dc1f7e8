//! ControllerRegistration (KIP-919): a controller introduces itself to the active one.

use ottla_controller::Controller;
use ottla_metadata::{BrokerEndpoint, BrokerFeature, RegisterControllerRecord, SecurityProtocol};
use ottla_model::BrokerId;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{ControllerRegistrationRequest, ControllerRegistrationResponse, StrBytes};

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
    let endpoints = request.listeners.iter().map(|listener| {
        Some(BrokerEndpoint {
            name: listener.name.to_string(),
            host: listener.host.to_string(),
            port: listener.port,
            security_protocol: SecurityProtocol::from_id(listener.security_protocol)?,
        })
    });
    let features = request.features.iter().map(|feature| BrokerFeature {
        name: feature.name.to_string(),
        min_supported_version: feature.min_supported_version,
        max_supported_version: feature.max_supported_version,
    });
    Some(RegisterControllerRecord {
        controller_id: BrokerId(request.controller_id),
        incarnation_id: request.incarnation_id,
        endpoints: endpoints.collect::<Option<Vec<_>>>()?,
        features: features.collect(),
    })
}
