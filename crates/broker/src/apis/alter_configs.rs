//! AlterConfigs, the older form: what is not listed is deleted.

use std::sync::Arc;

use ottla_controller::{AlterConfigs as Command, ConfigReplacement, Controller};
use ottla_model::BrokerId;
use ottla_protocol::messages::alter_configs_request::AlterConfigsResource;
use ottla_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use ottla_protocol::messages::{AlterConfigsRequest, AlterConfigsResponse, StrBytes};

use crate::config_resource::{Refused, alterable};
use crate::dispatch::{Handler, Reply, RequestContext};
use crate::error_map;
use crate::identity::Identity;
use crate::metadata_view::MetadataView;

/// Has configs replaced.
#[derive(Debug)]
pub(crate) struct AlterConfigs {
    pub controller: Controller,
    pub view: Arc<MetadataView>,
    pub identity: Arc<Identity>,
}

impl Handler for AlterConfigs {
    type Request = AlterConfigsRequest;

    fn handle(&self, _: &RequestContext, request: AlterConfigsRequest) -> Reply<AlterConfigsResponse> {
        let (controller, view) = (self.controller.clone(), Arc::clone(&self.view));
        let node_id = self.identity.node_id;
        Reply::ordered(async move {
            let wanted: Vec<_> =
                request.resources.iter().map(|resource| replacement(resource, node_id)).collect();
            let resources = wanted.iter().filter_map(|wanted| wanted.as_ref().ok().cloned()).collect();
            let command = Command { resources, validate_only: request.validate_only };
            let answers = controller.alter_configs(command).await;
            view.catch_up(&controller).await;
            let results = error_map::reassemble(wanted.iter().map(|wanted| wanted.as_ref().err()), answers);
            let responses = request.resources.into_iter().zip(results).map(|(resource, result)| {
                AlterConfigsResourceResponse::default()
                    .with_error_code(result.as_ref().map_or(0, |refused| refused.code.code()))
                    .with_error_message(result.map(|refused| StrBytes::from_string(refused.message)))
                    .with_resource_type(resource.resource_type)
                    .with_resource_name(resource.resource_name)
            });
            AlterConfigsResponse::default().with_responses(responses.collect())
        })
    }
}

fn replacement(resource: &AlterConfigsResource, node_id: BrokerId) -> Result<ConfigReplacement, Refused> {
    let target = alterable(resource.resource_type, &resource.resource_name, node_id)?;
    let configs = resource.configs.iter();
    let configs =
        configs.map(|config| (config.name.to_string(), config.value.as_ref().map(ToString::to_string)));
    Ok(ConfigReplacement { resource: target, configs: configs.collect() })
}
