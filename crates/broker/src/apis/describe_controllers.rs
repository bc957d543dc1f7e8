//! DescribeCluster on a controller's listener (KIP-919): the controllers, as `--bootstrap-controller` asks for them.

use std::sync::Arc;

use ottla_controller::{Peer, Peers};
use ottla_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use ottla_protocol::messages::{DescribeClusterRequest, DescribeClusterResponse, StrBytes};

use super::describe_cluster::{CONTROLLER_ENDPOINT, wrong_endpoint};
use crate::authorized_operations as operations;
use crate::dispatch::{Handler, Reply, RequestContext};
use crate::metadata_view::MetadataView;

/// Answers on any controller, from what it knows of the others.
#[derive(Debug)]
pub(crate) struct DescribeControllers {
    pub view: Arc<MetadataView>,
    pub peers: Peers,
}

impl Handler for DescribeControllers {
    type Request = DescribeClusterRequest;

    fn handle(
        &self,
        context: &RequestContext,
        request: DescribeClusterRequest,
    ) -> Reply<DescribeClusterResponse> {
        if request.endpoint_type != CONTROLLER_ENDPOINT {
            let refused = wrong_endpoint(context.version, request.endpoint_type, CONTROLLER_ENDPOINT);
            return Reply::Ready(refused);
        }
        let image = self.view.image();
        let asked = request.include_cluster_authorized_operations;
        let response = DescribeClusterResponse::default()
            .with_error_message(None)
            .with_endpoint_type(CONTROLLER_ENDPOINT)
            .with_cluster_id(StrBytes::from_string(image.cluster_id().to_string()))
            .with_controller_id(image.controller_id().get().into())
            .with_brokers(self.peers.voters().iter().map(described).collect())
            .with_cluster_authorized_operations(operations::if_asked(asked, operations::CLUSTER));
        Reply::Ready(response)
    }
}

fn described(voter: &Peer) -> DescribeClusterBroker {
    DescribeClusterBroker::default()
        .with_broker_id(voter.id.get().into())
        .with_host(StrBytes::from_string(voter.host.clone()))
        .with_port(i32::from(voter.port))
}
