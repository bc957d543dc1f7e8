//! UpdateFeatures (KIP-584, KIP-778, KIP-1022).

use std::sync::Arc;

use ottla_controller::{Controller, FeatureUpdate, FeatureUpgrade, UpdateFeatures as Command};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::update_features_request::FeatureUpdateKey;
use ottla_protocol::messages::update_features_response::UpdatableFeatureResult;
use ottla_protocol::messages::{StrBytes, UpdateFeaturesRequest, UpdateFeaturesResponse};

use crate::dispatch::{Handler, Reply, RequestContext};
use crate::error_map;
use crate::metadata_view::MetadataView;

/// Has features finalized at other levels.
#[derive(Debug)]
pub(crate) struct UpdateFeatures {
    pub controller: Controller,
    pub view: Arc<MetadataView>,
}

impl Handler for UpdateFeatures {
    type Request = UpdateFeaturesRequest;

    fn handle(
        &self,
        context: &RequestContext,
        request: UpdateFeaturesRequest,
    ) -> Reply<UpdateFeaturesResponse> {
        let (controller, view, version) = (self.controller.clone(), Arc::clone(&self.view), context.version);
        Reply::ordered(async move {
            let updates = request.feature_updates.iter().map(|update| wanted(update, version)).collect();
            let command = Command { updates, validate_only: request.validate_only };
            let answer = controller.update_features(command).await;
            view.catch_up(&controller).await;
            match answer {
                Ok(Ok(())) => {
                    let results = if version <= 1 { results(&request) } else { Vec::new() };
                    UpdateFeaturesResponse::default().with_error_message(None).with_results(results)
                }
                Ok(Err(error)) => refused(
                    error_map::feature(&error),
                    format!(
                        "The update failed for all features since the following feature had an error: {error}"
                    ),
                ),
                Err(error) => refused(error_map::controller(&error), error.to_string()),
            }
        })
    }
}

/// Version 0's AllowDowngrade says nothing to Kafka's controller, which is handed an upgrade.
fn wanted(update: &FeatureUpdateKey, version: i16) -> FeatureUpdate {
    let upgrade = match update.upgrade_type {
        _ if version == 0 => Some(FeatureUpgrade::Upgrade),
        1 => Some(FeatureUpgrade::Upgrade),
        2 => Some(FeatureUpgrade::SafeDowngrade),
        3 => Some(FeatureUpgrade::UnsafeDowngrade),
        _ => None,
    };
    FeatureUpdate { feature: update.feature.to_string(), level: update.max_version_level, upgrade }
}

/// Versions 0 and 1 list each feature again, with this for a message.
fn results(request: &UpdateFeaturesRequest) -> Vec<UpdatableFeatureResult> {
    let updates = request.feature_updates.iter().map(|update| {
        UpdatableFeatureResult::default()
            .with_feature(update.feature.clone())
            .with_error_message(Some(StrBytes::from_static_str("NONE")))
    });
    updates.collect()
}

fn refused(code: ErrorCode, message: String) -> UpdateFeaturesResponse {
    UpdateFeaturesResponse::default()
        .with_error_code(code.code())
        .with_error_message(Some(StrBytes::from_string(message)))
}
