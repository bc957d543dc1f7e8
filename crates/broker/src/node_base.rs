//! What every node has, whatever its roles: its place in the cluster, its directories, the way to the controllers, and their
//! metadata, which it keeps itself or watches.

use std::sync::Arc;
use std::time::Duration;

use ottla_config::BrokerConfig;
use ottla_controller::{Controller, ObserverConfig, Peers, Upkeep};
use ottla_metadata::RegisterControllerRecord;
use ottla_storage::Disk;
use tokio::task::JoinSet;

use crate::cluster::{self, ControllerChannel, Links};
use crate::dispatch::Dispatcher;
use crate::home::Home;
use crate::identity::Identity;
use crate::net::Listener;
use crate::registration;
use crate::serving::{Door, Serving, bind};
use crate::start_error::StartError;

/// A node that knows its cluster.
#[derive(Debug)]
pub(crate) struct NodeBase {
    pub home: Home,
    pub identity: Arc<Identity>,
    pub controller: Controller,
    pub channel: ControllerChannel,
    /// The other controllers, where there are or may be some.
    pub peers: Option<Peers>,
    /// The controller's listeners. Nobody is served there but other controllers, until all that they ask for is there.
    pub gate: Option<Serving>,
    /// What this node's controller says of itself, where it can be reached.
    own: Option<RegisterControllerRecord>,
}

impl NodeBase {
    /// Opens the controller's listeners and the directories, and begins to take part in the quorum, or to watch it.
    pub(crate) async fn start(
        disk: Arc<dyn Disk>,
        config: &BrokerConfig,
        door: &Door,
    ) -> Result<Self, StartError> {
        let links = Links::default();
        let listeners = controller_listeners(config).await?;
        let address = registration::controller_address(config, &listeners);
        let peers = cluster::peers(config, address, &links);
        let is_reached = config.node.roles.controller && peers.is_some() && !listeners.is_empty();
        let own = is_reached.then(|| registration::of_controller(config, &listeners));
        let gate = match &peers {
            Some(peers) if config.node.roles.controller => {
                let dispatcher = Dispatcher::of_controller(peers.clone(), Arc::clone(&door.metrics));
                Some(Serving::start(listeners, Arc::new(dispatcher), door))
            }
            _ => None,
        };
        let cluster_id = cluster_id(&disk, config, peers.as_ref()).await?;
        let home = Home::open(&disk, config, cluster_id)?;
        let node_id = config.node.node_id;
        let identity = Arc::new(Identity { cluster_id: Arc::clone(&home.cluster_id), node_id });
        let controller = match &peers {
            Some(peers) if !config.node.roles.controller => Controller::observe(ObserverConfig {
                cluster_id: identity.cluster_id.to_string(),
                directory_id: home.directory_ids.first().copied().unwrap_or_default(),
                peers: peers.clone(),
            }),
            peers => {
                let config = registration::controller_config(config, &identity, &home, peers.clone());
                Controller::start_on(disk, config).await?
            }
        };
        let channel = ControllerChannel::new(controller.clone(), peers.clone(), links);
        Ok(Self { home, identity, controller, channel, peers, gate, own })
    }

    /// Whether this node decides alone, unless others join it.
    pub(crate) fn is_alone(&self) -> bool {
        self.peers.as_ref().is_none_or(Peers::is_alone)
    }

    /// What a controller does beside its log: it registers, holds on to the other nodes' processes, and fences brokers that are
    /// silent.
    pub(crate) fn watch_nodes(&self, config: &BrokerConfig, background: &mut JoinSet<()>) {
        let Some(peers) = self.peers.as_ref().filter(|_| config.node.roles.controller) else { return };
        let session_ms = u64::try_from(config.controller.session_timeout_ms).unwrap_or(0);
        background.spawn(self.controller.clone().keep_up(upkeep(config)));
        if let Some(own) = &self.own {
            background.spawn(cluster::keep_registered(self.channel.clone(), own.clone()));
        }
        background.spawn(cluster::hold_lifelines(peers.clone(), self.controller.clone()));
        background.spawn(self.controller.clone().watch_brokers(Duration::from_millis(session_ms)));
    }
}

/// Binds the controller's listeners. Where no file has named one, another port than the first choice does as well: the log says
/// which.
async fn controller_listeners(config: &BrokerConfig) -> Result<Vec<Listener>, StartError> {
    if !config.node.roles.controller {
        return Ok(Vec::new());
    }
    match bind(&config.net.controller_listeners, config).await {
        Err(error) if config.controller.listener_is_implied => {
            tracing::warn!(%error, "controllers are served at another port");
            let mut any = config.net.controller_listeners.clone();
            any.iter_mut().for_each(|listener| listener.port = 0);
            bind(&any, config).await
        }
        bound => bound,
    }
}

fn upkeep(config: &BrokerConfig) -> Upkeep {
    let settings = &config.controller;
    let interval_ms = u64::try_from(settings.elect_uncleanly_interval_ms).unwrap_or(u64::MAX);
    let balance_leaders = settings.balance_leaders_interval_s.and_then(|s| u64::try_from(s).ok());
    Upkeep {
        balance_leaders: balance_leaders.map(Duration::from_secs),
        elect_uncleanly: Duration::from_millis(interval_ms),
    }
}

/// What the cluster is called: as is known here, or as the voters agree.
async fn cluster_id(
    disk: &Arc<dyn Disk>,
    config: &BrokerConfig,
    peers: Option<&Peers>,
) -> Result<String, StartError> {
    match (Home::cluster_id(disk, config)?, peers) {
        (Some(known), _) => Ok(known),
        (None, Some(peers)) if !peers.is_alone() => Ok(peers.agree_on_cluster_id(Home::new_cluster_id).await),
        (None, _) => Ok(Home::new_cluster_id()),
    }
}
