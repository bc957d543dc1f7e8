//! ApiVersions (KIP-35, KIP-511, KIP-584, KIP-1242): what this broker speaks, and the cluster's features.

use std::sync::Arc;

use ottla_metadata::FEATURES;
use ottla_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use ottla_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse, StrBytes};
use ottla_protocol::{ApiKey, ErrorCode};

use crate::dispatch::{ClientSoftware, Handler, Reply, RequestContext};
use crate::identity::Identity;
use crate::metadata_view::MetadataView;

/// Holds what the listener advertises.
#[derive(Debug)]
pub(crate) struct ApiVersions {
    pub metadata: Arc<MetadataView>,
    pub identity: Arc<Identity>,
    pub advertised: Vec<ApiKey>,
}

impl Handler for ApiVersions {
    type Request = ApiVersionsRequest;

    fn handle(&self, context: &RequestContext, request: ApiVersionsRequest) -> Reply<ApiVersionsResponse> {
        if context.version < 3 || is_named(&request) {
            context.connection.set_software(software(&request));
        }
        Reply::Ready(match self.refusal(context.version, &request) {
            Some(error) => ApiVersionsResponse::default().with_error_code(error.code()),
            None => self.answer(context.version),
        })
    }
}

impl ApiVersions {
    fn refusal(&self, version: i16, request: &ApiVersionsRequest) -> Option<ErrorCode> {
        if version >= 3 && !is_named(request) {
            return Some(ErrorCode::InvalidRequest);
        }
        match (request.cluster_id.as_deref(), request.node_id) {
            _ if version < 5 => None,
            (None, -1) => None,
            (Some(_), -1) | (None, _) => Some(ErrorCode::InvalidRequest),
            (Some(cluster_id), node_id) => {
                let here = cluster_id == &*self.identity.cluster_id && node_id == self.identity.node_id.get();
                (!here).then_some(ErrorCode::RebootstrapRequired)
            }
        }
    }

    fn answer(&self, version: i16) -> ApiVersionsResponse {
        let image = self.metadata.image();
        let api_keys = self.advertised.iter().map(|key| {
            let spec = key.spec();
            ApiVersion::default()
                .with_api_key(key.code())
                .with_min_version(spec.advertised_min())
                .with_max_version(spec.max)
        });
        // KAFKA-17011: clients that speak up to version 3 cannot read a feature whose range begins at 0.
        let supported =
            FEATURES.iter().filter(|feature| version > 3 || feature.min_supported > 0).map(|feature| {
                SupportedFeatureKey::default()
                    .with_name(StrBytes::from_static_str(feature.name))
                    .with_min_version(feature.min_supported)
                    .with_max_version(feature.max_supported)
            });
        let finalized = image.features().iter().map(|(name, level)| {
            FinalizedFeatureKey::default()
                .with_name(StrBytes::from_string(name.to_owned()))
                .with_min_version_level(level)
                .with_max_version_level(level)
        });
        ApiVersionsResponse::default()
            .with_api_keys(api_keys.collect())
            .with_supported_features(supported.collect())
            .with_finalized_features_epoch(image.provenance().offset.get())
            .with_finalized_features(finalized.collect())
    }
}

fn is_named(request: &ApiVersionsRequest) -> bool {
    is_software_word(&request.client_software_name) && is_software_word(&request.client_software_version)
}

/// What the client calls itself; a connection keeps no more of it than names have.
fn software(request: &ApiVersionsRequest) -> ClientSoftware {
    let kept = |text: &StrBytes| text[..text.floor_char_boundary(SOFTWARE_LEN_MAX)].into();
    ClientSoftware {
        name: kept(&request.client_software_name),
        version: kept(&request.client_software_version),
    }
}

const SOFTWARE_LEN_MAX: usize = 256;

/// KIP-511: `[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?`.
fn is_software_word(text: &str) -> bool {
    let inner = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'.';
    let bytes = text.as_bytes();
    match (bytes.first(), bytes.last()) {
        (Some(first), Some(last)) => {
            first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() && bytes.iter().all(|c| inner(*c))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_software_word;

    #[test]
    fn software_words_follow_kip_511() {
        for good in ["a", "apache-kafka-java", "4.4.0", "a.b-c"] {
            assert!(is_software_word(good), "{good}");
        }
        for bad in ["", "-a", "a-", "a b", ".", "ä"] {
            assert!(!is_software_word(bad), "{bad}");
        }
    }
}
