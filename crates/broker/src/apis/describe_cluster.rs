//! DescribeCluster (KIP-700): the brokers that a client of this listener can reach.

use std::sync::Arc;

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use ottla_protocol::messages::{DescribeClusterRequest, DescribeClusterResponse, StrBytes};

use crate::authorized_operations as operations;
use crate::dispatch::{Handler, Reply, RequestContext};
use crate::metadata_view::MetadataView;

/// `EndpointType` of KIP-919.
const BROKER_ENDPOINT: i8 = 1;
pub(super) const CONTROLLER_ENDPOINT: i8 = 2;

/// Answers from the published image.
#[derive(Debug)]
pub(crate) struct DescribeCluster {
    pub view: Arc<MetadataView>,
}

impl Handler for DescribeCluster {
    type Request = DescribeClusterRequest;

    fn handle(
        &self,
        context: &RequestContext,
        request: DescribeClusterRequest,
    ) -> Reply<DescribeClusterResponse> {
        if request.endpoint_type != BROKER_ENDPOINT {
            return Reply::Ready(wrong_endpoint(context.version, request.endpoint_type, BROKER_ENDPOINT));
        }
        let image = self.view.image();
        let listener = &context.connection.listener;
        let shown = image.brokers().iter().filter(|broker| !broker.fenced || request.include_fenced_brokers);
        let brokers = shown.filter_map(|broker| {
            let endpoint = broker.endpoint(listener)?;
            let described = DescribeClusterBroker::default()
                .with_broker_id(broker.id.get().into())
                .with_host(StrBytes::from_string(endpoint.host.clone()))
                .with_port(i32::from(endpoint.port))
                .with_rack(broker.rack.clone().map(StrBytes::from_string))
                .with_is_fenced(broker.fenced);
            Some(described)
        });
        let asked = request.include_cluster_authorized_operations;
        let response = DescribeClusterResponse::default()
            .with_error_message(None)
            .with_endpoint_type(BROKER_ENDPOINT)
            .with_cluster_id(StrBytes::from_string(image.cluster_id().to_string()))
            .with_controller_id(image.controller_id().get().into())
            .with_brokers(brokers.collect())
            .with_cluster_authorized_operations(operations::if_asked(asked, operations::CLUSTER));
        Reply::Ready(response)
    }
}

/// Version 0 does not know the error codes of KIP-919.
pub(super) fn wrong_endpoint(version: i16, wanted: i8, own: i8) -> DescribeClusterResponse {
    let name = |endpoint| if endpoint == CONTROLLER_ENDPOINT { "CONTROLLER" } else { "BROKER" };
    let (code, message) = match wanted {
        BROKER_ENDPOINT | CONTROLLER_ENDPOINT => (
            ErrorCode::MismatchedEndpointType,
            format!(
                "The request was sent to an endpoint of type {}, but we wanted an endpoint of type {}",
                name(own),
                name(wanted)
            ),
        ),
        _ => (ErrorCode::UnsupportedEndpointType, format!("Unsupported endpoint type {wanted}")),
    };
    let code = if version == 0 { ErrorCode::InvalidRequest } else { code };
    DescribeClusterResponse::default()
        .with_error_code(code.code())
        .with_error_message(Some(StrBytes::from_string(message)))
}
