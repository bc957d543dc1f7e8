//! How this broker introduces itself to the controller.

use ottla_config::BrokerConfig;
use ottla_controller::{BrokerRegistrationRequest, Controller, ControllerConfig, ControllerError, Peers};
use ottla_metadata::{
    BrokerEndpoint, BrokerFeature, DirectoryId, FEATURES, RegisterControllerRecord, SecurityProtocol,
};
use uuid::Uuid;

use crate::cluster::Introduction;
use crate::home::Home;
use crate::identity::Identity;
use crate::net::Listener;
use crate::start_error::StartError;

/// Entries of the metadata log between two snapshots.
const SNAPSHOT_EVERY_ENTRIES: u64 = 10_000;

pub(crate) fn controller_config(
    config: &BrokerConfig,
    identity: &Identity,
    home: &Home,
    peers: Option<Peers>,
) -> ControllerConfig {
    ControllerConfig {
        dir: config.controller.metadata_dir.clone(),
        node_id: identity.node_id,
        cluster_id: identity.cluster_id.to_string(),
        directory_id: home.directory_ids.first().copied().unwrap_or_default(),
        broker: config.clone(),
        snapshot_every_entries: SNAPSHOT_EVERY_ENTRIES,
        peers,
    }
}

/// Registers the only broker of a cluster with its own controller: it is ready at once. Gives its broker epoch; `None` where others have
/// come meanwhile, and one of them leads.
pub(crate) async fn register_alone(
    controller: &Controller,
    config: &BrokerConfig,
    listeners: &[Listener],
    log_dirs: &[DirectoryId],
) -> Result<Option<i64>, StartError> {
    let request = BrokerRegistrationRequest {
        broker_id: config.node.node_id,
        incarnation_id: Uuid::new_v4(),
        endpoints: endpoints(config, listeners),
        features: features(),
        rack: config.node.rack.clone(),
        log_dirs: log_dirs.to_vec(),
        previous_broker_epoch: -1,
        fenced: false,
    };
    match controller.register_broker(request).await {
        Ok(answer) => answer.map(Some).map_err(|error| StartError::Refused(error.to_string())),
        Err(ControllerError::NotController { .. }) => Ok(None),
        Err(error) => Err(StartError::Refused(error.to_string())),
    }
}

/// What the broker says of itself to a controller that is elsewhere.
pub(crate) fn introduction(
    config: &BrokerConfig,
    identity: &Identity,
    listeners: &[Listener],
    log_dirs: &[DirectoryId],
    previous_broker_epoch: i64,
) -> Introduction {
    Introduction {
        broker_id: identity.node_id,
        cluster_id: identity.cluster_id.to_string(),
        endpoints: endpoints(config, listeners),
        rack: config.node.rack.clone(),
        log_dirs: log_dirs.iter().map(|dir| dir.0).collect(),
        previous_broker_epoch,
    }
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

/// Where other nodes reach this one's controller; `None` of a node that has no listener for it.
pub(crate) fn controller_address(config: &BrokerConfig, listeners: &[Listener]) -> Option<(String, u16)> {
    let advertised = config.net.advertised_controller_listeners.first()?;
    let port = controller_port(config, advertised, listeners.first()?);
    let host = if advertised.host.is_empty() { hostname() } else { advertised.host.clone() };
    Some((host, port))
}

/// What this node's controller says of itself to the active one (KIP-919).
pub(crate) fn of_controller(config: &BrokerConfig, listeners: &[Listener]) -> RegisterControllerRecord {
    let advertised = config.net.advertised_controller_listeners.iter().zip(listeners);
    let endpoints = advertised.map(|(advertised, listener)| BrokerEndpoint {
        name: advertised.name.clone(),
        host: if advertised.host.is_empty() { hostname() } else { advertised.host.clone() },
        port: controller_port(config, advertised, listener),
        security_protocol: SecurityProtocol::Plaintext,
    });
    RegisterControllerRecord {
        controller_id: config.node.node_id,
        incarnation_id: Uuid::new_v4(),
        endpoints: endpoints.collect(),
        features: features(),
    }
}

/// That of a listener that no file has named is the one that was bound.
fn controller_port(config: &BrokerConfig, advertised: &ottla_config::Listener, bound: &Listener) -> u16 {
    if config.controller.listener_is_implied || advertised.port == 0 {
        bound.local_addr().map_or(0, |address| address.port())
    } else {
        advertised.port
    }
}

fn features() -> Vec<BrokerFeature> {
    let features = FEATURES.iter().map(|feature| BrokerFeature {
        name: feature.name.to_owned(),
        min_supported_version: feature.min_supported,
        max_supported_version: feature.max_supported,
    });
    features.collect()
}

fn hostname() -> String {
    let name = rustix::system::uname();
    name.nodename().to_str().map_or_else(|_| "localhost".to_owned(), str::to_owned)
}
