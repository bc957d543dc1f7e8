//! UnregisterController: the cluster forgets a controller that will not come back. One that lives registers again.

use std::sync::Arc;

use ottla_controller::Controller;
use ottla_model::BrokerId;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{StrBytes, UnregisterControllerRequest, UnregisterControllerResponse};

use crate::dispatch::{Handler, Reply, RequestContext};
use crate::error_map;
use crate::metadata_view::MetadataView;

/// Has controllers forgotten.
#[derive(Debug)]
pub(crate) struct UnregisterController {
    pub controller: Controller,
    pub view: Arc<MetadataView>,
}

impl Handler for UnregisterController {
    type Request = UnregisterControllerRequest;

    fn handle(
        &self,
        _: &RequestContext,
        request: UnregisterControllerRequest,
    ) -> Reply<UnregisterControllerResponse> {
        let (controller, view) = (self.controller.clone(), Arc::clone(&self.view));
        Reply::ordered(async move {
            let answer = controller.unregister_controller(BrokerId(request.controller_id)).await;
            view.catch_up(&controller).await;
            let (code, message) = match answer {
                Ok(Ok(())) => (ErrorCode::None, None),
                Ok(Err(error)) => (error_map::registration(&error), Some(error.to_string())),
                Err(error) => (error_map::controller(&error), Some(error.to_string())),
            };
            UnregisterControllerResponse {
                throttle_time_ms: 0,
                error_code: code.code(),
                error_message: message.map(StrBytes::from_string),
            }
        })
    }
}
