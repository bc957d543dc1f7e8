//! AlterConfigs, the older form: what is not listed is deleted.

use ottla_protocol::messages::alter_configs_request::AlterConfigsResource;
use ottla_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use ottla_protocol::messages::{AlterConfigsRequest, AlterConfigsResponse};

use crate::configs::{Alterer, Refused, Wanted, WantedChange};
use crate::dispatch::{Handler, Reply, RequestContext};

/// Has configs replaced.
#[derive(Debug)]
pub(crate) struct AlterConfigs {
    pub alterer: Alterer,
}

impl Handler for AlterConfigs {
    type Request = AlterConfigsRequest;

    fn handle(&self, _: &RequestContext, request: AlterConfigsRequest) -> Reply<AlterConfigsResponse> {
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
            AlterConfigsResponse::default().with_responses(responses.collect())
        })
    }
}

fn wanted(resource: AlterConfigsResource) -> Wanted {
    let configs = resource.configs.into_iter().map(|config| (config.name, config.value));
    Wanted {
        kind: resource.resource_type,
        name: resource.resource_name,
        change: WantedChange::Replacement(configs.collect()),
    }
}
