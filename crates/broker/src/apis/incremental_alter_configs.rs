//! IncrementalAlterConfigs (KIP-339).

use ottla_protocol::messages::incremental_alter_configs_request::AlterConfigsResource;
use ottla_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use ottla_protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};

use crate::configs::{Alterer, Refused, Wanted, WantedChange, WantedOp};
use crate::dispatch::{Handler, Reply, RequestContext};

/// Has configs changed.
#[derive(Debug)]
pub(crate) struct IncrementalAlterConfigs {
    pub alterer: Alterer,
}

impl Handler for IncrementalAlterConfigs {
    type Request = IncrementalAlterConfigsRequest;

    fn handle(
        &self,
        _: &RequestContext,
        request: IncrementalAlterConfigsRequest,
    ) -> Reply<IncrementalAlterConfigsResponse> {
        let alterer = self.alterer.clone();
        Reply::ordered(async move {
            let wanted: Vec<Wanted> = request.resources.into_iter().map(wanted).collect();
            let results = alterer.alter(&wanted, request.validate_only).await;
            let responses = wanted.into_iter().zip(results).map(|(wanted, refused)| {
                AlterConfigsResourceResponse::default()
                    .with_error_code(refused.as_ref().map_or(0, |refused| refused.code.code()))
                    .with_error_message(refused.as_ref().and_then(Refused::message))
                    .with_resource_type(wanted.kind)
                    .with_resource_name(wanted.name)
            });
            IncrementalAlterConfigsResponse::default().with_responses(responses.collect())
        })
    }
}

fn wanted(resource: AlterConfigsResource) -> Wanted {
    let ops = resource.configs.into_iter().map(|config| WantedOp {
        name: config.name,
        op: config.config_operation,
        value: config.value,
    });
    Wanted {
        kind: resource.resource_type,
        name: resource.resource_name,
        change: WantedChange::Operations(ops.collect()),
    }
}
