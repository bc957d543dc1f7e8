//! ListConfigResources (KIP-1142): what has configs to describe. Version 0 is ListClientMetricsResources (KIP-714).

use std::sync::Arc;

use ottla_metadata::{ConfigResourceType, MetadataImage};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::list_config_resources_response::ConfigResource;
use ottla_protocol::messages::{ListConfigResourcesRequest, ListConfigResourcesResponse, StrBytes};

use crate::dispatch::{Handler, Reply, RequestContext};
use crate::metadata_view::MetadataView;

/// Every type there is, in the order in which Kafka lists them.
const TYPES: [ConfigResourceType; 5] = [
    ConfigResourceType::Group,
    ConfigResourceType::ClientMetrics,
    ConfigResourceType::BrokerLogger,
    ConfigResourceType::Broker,
    ConfigResourceType::Topic,
];

/// Answers from the published image.
#[derive(Debug)]
pub(crate) struct ListConfigResources {
    pub view: Arc<MetadataView>,
}

impl Handler for ListConfigResources {
    type Request = ListConfigResourcesRequest;

    fn handle(
        &self,
        context: &RequestContext,
        request: ListConfigResourcesRequest,
    ) -> Reply<ListConfigResourcesResponse> {
        let asked = match (context.version, request.resource_types.as_slice()) {
            (0, _) => vec![ConfigResourceType::ClientMetrics.id()],
            (_, []) => TYPES.map(ConfigResourceType::id).to_vec(),
            (_, types) => types.to_vec(),
        };
        if asked.iter().any(|kind| ConfigResourceType::from_id(*kind).is_none()) {
            let code = ErrorCode::UnsupportedVersion.code();
            return Reply::Ready(ListConfigResourcesResponse::default().with_error_code(code));
        }
        let image = self.view.image();
        let listener = &context.connection.listener;
        let shown = TYPES.into_iter().filter(|kind| asked.contains(&kind.id()));
        let resources = shown.flat_map(|kind| {
            let names = names(kind, &image, listener);
            names.into_iter().map(move |name| {
                ConfigResource::default()
                    .with_resource_name(StrBytes::from_string(name))
                    .with_resource_type(kind.id())
            })
        });
        Reply::Ready(ListConfigResourcesResponse::default().with_config_resources(resources.collect()))
    }
}

/// Topics and brokers are listed whether they have configs of their own or not, the others by what is set on them.
fn names(kind: ConfigResourceType, image: &MetadataImage, listener: &str) -> Vec<String> {
    match kind {
        ConfigResourceType::Topic => image.topics().iter().map(|topic| topic.name.to_string()).collect(),
        ConfigResourceType::Broker | ConfigResourceType::BrokerLogger => {
            let reached = image.brokers().unfenced().filter(|broker| broker.endpoint(listener).is_some());
            reached.map(|broker| broker.id.to_string()).collect()
        }
        ConfigResourceType::Group | ConfigResourceType::ClientMetrics => {
            image.configs().resources(kind).map(|(name, _)| name.to_string()).collect()
        }
    }
}
