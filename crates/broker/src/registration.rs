//! How this broker introduces itself to the controller.

use ottla_config::BrokerConfig;
use ottla_controller::{BrokerRegistrationRequest, Controller, ControllerConfig};
use ottla_metadata::{BrokerEndpoint, BrokerFeature, FEATURES, SecurityProtocol};
use uuid::Uuid;

use crate::home::Home;
use crate::identity::Identity;
use crate::net::Listener;
use crate::start_error::StartError;

/// Entries of the metadata log between two snapshots.
const SNAPSHOT_EVERY_ENTRIES: u64 = 10_000;

pub(crate) fn controller_config(config: &BrokerConfig, identity: &Identity, home: &Home) -> ControllerConfig {
    ControllerConfig {
        dir: config.controller.metadata_dir.clone(),
        node_id: identity.node_id,
        cluster_id: identity.cluster_id.to_string(),
        directory_id: home.directory_ids.first().copied().unwrap_or_default(),
        broker: config.clone(),
        snapshot_every_entries: SNAPSHOT_EVERY_ENTRIES,
    }
}

/// Registers the broker with what its listeners are advertised as; gives its broker epoch.
pub(crate) async fn register(
    controller: &Controller,
    config: &BrokerConfig,
    listeners: &[Listener],
    home: &Home,
) -> Result<i64, StartError> {
    let features = FEATURES.iter().map(|feature| BrokerFeature {
        name: feature.name.to_owned(),
        min_supported_version: feature.min_supported,
        max_supported_version: feature.max_supported,
    });
    let request = BrokerRegistrationRequest {
        broker_id: config.node.node_id,
        incarnation_id: Uuid::new_v4(),
        endpoints: endpoints(config, listeners),
        features: features.collect(),
        rack: config.node.rack.clone(),
        log_dirs: home.directory_ids.clone(),
        fenced: false,
    };
    let answer =
        controller.register_broker(request).await.map_err(|error| StartError::Refused(error.to_string()))?;
    answer.map_err(|error| StartError::Refused(error.to_string()))
}

/// The advertised listeners; a port of 0 is the one that was bound, a host that means "all" is this machine's name.
fn endpoints(config: &BrokerConfig, listeners: &[Listener]) -> Vec<BrokerEndpoint> {
    let advertised = config.net.advertised_listeners.iter().zip(listeners);
    let endpoints = advertised.map(|(advertised, listener)| {
        let bound_port = listener.local_addr().map_or(0, |address| address.port());
        BrokerEndpoint {
            name: advertised.name.clone(),
            host: if advertised.host.is_empty() { hostname() } else { advertised.host.clone() },
            port: if advertised.port == 0 { bound_port } else { advertised.port },
            security_protocol: SecurityProtocol::Plaintext,
        }
    });
    endpoints.collect()
}

fn hostname() -> String {
    let name = rustix::system::uname();
    name.nodename().to_str().map_or_else(|_| "localhost".to_owned(), str::to_owned)
}
