//! IncrementalAlterConfigs (KIP-339).

use std::sync::Arc;

use ottla_controller::{
    AlterConfigOp, ConfigAlteration, ConfigOp, Controller, IncrementalAlterConfigs as Command,
};
use ottla_model::BrokerId;
use ottla_protocol::messages::incremental_alter_configs_request::AlterConfigsResource;
use ottla_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use ottla_protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse, StrBytes};

use crate::config_resource::{Refused, alterable};
use crate::dispatch::{Handler, Reply, RequestContext};
use crate::error_map;
use crate::identity::Identity;
use crate::metadata_view::MetadataView;

/// Has configs changed.
#[derive(Debug)]
pub(crate) struct IncrementalAlterConfigs {
    pub controller: Controller,
    pub view: Arc<MetadataView>,
    pub identity: Arc<Identity>,
}

impl Handler for IncrementalAlterConfigs {
    type Request = IncrementalAlterConfigsRequest;

    fn handle(
        &self,
        _: &RequestContext,
        request: IncrementalAlterConfigsRequest,
    ) -> Reply<IncrementalAlterConfigsResponse> {
        let (controller, view) = (self.controller.clone(), Arc::clone(&self.view));
        let node_id = self.identity.node_id;
        Reply::ordered(async move {
            let wanted: Vec<_> =
                request.resources.iter().map(|resource| alteration(resource, node_id)).collect();
            let resources = wanted.iter().filter_map(|wanted| wanted.as_ref().ok().cloned()).collect();
            let command = Command { resources, validate_only: request.validate_only };
            let answers = controller.incremental_alter_configs(command).await;
            view.catch_up(&controller).await;
            let results = error_map::reassemble(wanted.iter().map(|wanted| wanted.as_ref().err()), answers);
            let responses = request.resources.into_iter().zip(results).map(|(resource, result)| {
                AlterConfigsResourceResponse::default()
                    .with_error_code(result.as_ref().map_or(0, |refused| refused.code.code()))
                    .with_error_message(result.map(|refused| StrBytes::from_string(refused.message)))
                    .with_resource_type(resource.resource_type)
                    .with_resource_name(resource.resource_name)
            });
            IncrementalAlterConfigsResponse::default().with_responses(responses.collect())
        })
    }
}

fn alteration(resource: &AlterConfigsResource, node_id: BrokerId) -> Result<ConfigAlteration, Refused> {
    let target = alterable(resource.resource_type, &resource.resource_name, node_id)?;
    let ops = resource.configs.iter().map(|config| {
        let op = AlterConfigOp::from_id(config.config_operation).ok_or_else(|| {
            Refused::invalid_request(format!("Unknown operations type {}", config.config_operation))
        })?;
        let value = config.value.as_ref().map(ToString::to_string);
        Ok(ConfigOp { name: config.name.to_string(), op, value })
    });
    Ok(ConfigAlteration { resource: target, ops: ops.collect::<Result<_, Refused>>()? })
}
