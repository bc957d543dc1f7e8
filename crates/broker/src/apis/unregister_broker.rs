//! UnregisterBroker (KIP-631): the cluster forgets a broker that will not come back.

use std::sync::Arc;

use ottla_controller::Controller;
use ottla_model::BrokerId;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{StrBytes, UnregisterBrokerRequest, UnregisterBrokerResponse};

use crate::dispatch::{Handler, Reply, RequestContext};
use crate::error_map;
use crate::metadata_view::MetadataView;

/// Has brokers forgotten.
#[derive(Debug)]
pub(crate) struct UnregisterBroker {
    pub controller: Controller,
    pub view: Arc<MetadataView>,
}

impl Handler for UnregisterBroker {
    type Request = UnregisterBrokerRequest;

    fn handle(
        &self,
        _: &RequestContext,
        request: UnregisterBrokerRequest,
    ) -> Reply<UnregisterBrokerResponse> {
        let (controller, view) = (self.controller.clone(), Arc::clone(&self.view));
        Reply::ordered(async move {
            let answer = controller.unregister_broker(BrokerId(request.broker_id.0)).await;
            view.catch_up(&controller).await;
            let (code, message) = match answer {
                Ok(Ok(())) => (ErrorCode::None, None),
                Ok(Err(error)) => (error_map::broker(&error), Some(error.to_string())),
                Err(error) => (error_map::controller(&error), Some(error.to_string())),
            };
            UnregisterBrokerResponse::default()
                .with_error_code(code.code())
                .with_error_message(message.map(StrBytes::from_string))
        })
    }
}
