//! DescribeCluster on a controller's listener (KIP-919): the controllers, as `--bootstrap-controller` asks for them.

use std::sync::Arc;

use ottla_controller::Peers;
use ottla_metadata::MetadataImage;
use ottla_model::BrokerId;
use ottla_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use ottla_protocol::messages::{DescribeClusterRequest, DescribeClusterResponse, StrBytes};

use super::describe_cluster::{CONTROLLER_ENDPOINT, wrong_endpoint};
use crate::authorized_operations as operations;
use crate::dispatch::{Handler, Reply, RequestContext};
use crate::metadata_view::MetadataView;

/// Answers on any controller: who has registered a listener of this name. Where nobody has, as in a cluster that began before
/// controllers did, the voters.
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
            .with_brokers(self.controllers(&image, &context.connection.listener))
            .with_cluster_authorized_operations(operations::if_asked(asked, operations::CLUSTER));
        Reply::Ready(response)
    }
}

impl DescribeControllers {
    fn controllers(&self, image: &MetadataImage, listener: &str) -> Vec<DescribeClusterBroker> {
        if image.controllers().is_empty() {
            let voters = self.peers.voters();
            return voters.iter().map(|voter| described(voter.id, &voter.host, voter.port)).collect();
        }
        let registered = image.controllers().iter().filter_map(|controller| {
            let endpoint = controller.endpoint(listener)?;
            Some(described(controller.id, &endpoint.host, endpoint.port))
        });
        registered.collect()
    }
}

fn described(id: BrokerId, host: &str, port: u16) -> DescribeClusterBroker {
    DescribeClusterBroker::default()
        .with_broker_id(id.get().into())
        .with_host(StrBytes::from_string(host.to_owned()))
        .with_port(i32::from(port))
}
