//! A node that is a controller and no broker: it keeps the cluster's metadata, and serves no clients but those that ask for a
//! controller (`--bootstrap-controller`, KIP-919).

use std::sync::Arc;

use arc_swap::ArcSwap;
use ottla_config::BrokerConfig;
use ottla_controller::MetadataSubscription;
use ottla_metadata::MetadataImage;
use ottla_storage::RealDisk;
use tokio::task::JoinSet;

use crate::metadata_view::MetadataView;
use crate::node_base::NodeBase;
use crate::services::ControllerServices;
use crate::serving::Door;
use crate::start_error::StartError;
use crate::telemetry::{Health, Loggers, Metrics};

/// A running controller.
#[derive(Debug)]
pub struct ControllerServer {
    base: NodeBase,
    addresses: Vec<String>,
    health: Arc<Health>,
    background: JoinSet<()>,
}

impl ControllerServer {
    /// Binds the controller's listeners, opens the metadata log and takes part in the quorum.
    ///
    /// # Errors
    /// Whatever keeps the controller from serving; its text is one clear line.
    pub async fn start(
        config: BrokerConfig,
        loggers: Arc<Loggers>,
        metrics: Arc<Metrics>,
        health: Arc<Health>,
    ) -> Result<Self, StartError> {
        let door = Door::new(&config, metrics);
        let base = NodeBase::start(Arc::new(RealDisk), &config, &door).await?;
        let mut background = JoinSet::new();
        base.watch_nodes(&config, &mut background);
        let image = MetadataImage::new(Arc::clone(&base.identity.cluster_id));
        let metadata = Arc::new(MetadataView::new(Arc::new(image)));
        let subscription = base.controller.subscribe();
        metadata.publish(Arc::clone(subscription.current()));
        metadata.followed();
        background.spawn(follow(Arc::clone(&metadata), subscription));
        let services = ControllerServices {
            controller: base.controller.clone(),
            peers: base.peers.clone(),
            identity: Arc::clone(&base.identity),
            loggers,
            metadata,
            config: Arc::new(ArcSwap::from_pointee(config)),
        };
        let apis = crate::apis::controller_table(&services);
        base.channel.serve_locally(apis.clone());
        let mut addresses = Vec::new();
        if let Some(gate) = &base.gate {
            gate.dispatcher.open(apis);
            addresses.clone_from(&gate.addresses);
        }
        health.ready();
        Ok(Self { base, addresses, health, background })
    }

    /// Where controllers and brokers are served.
    #[must_use]
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// The cluster's id.
    #[must_use]
    pub fn cluster_id(&self) -> &str {
        &self.base.identity.cluster_id
    }

    /// Ends when the metadata log cannot go on, and says why.
    pub async fn failed(&self) -> String {
        let why = self.base.controller.failed().await;
        format!("Shutdown controller because the metadata log has failed: {why}")
    }

    /// Leaves the quorum and closes everything.
    pub async fn stop(mut self) {
        self.health.stopping();
        self.background.shutdown().await;
        self.base.controller.shutdown().await;
        if let Some(gate) = &mut self.base.gate {
            gate.tell();
            gate.ended().await;
        }
    }
}

/// Shows every image as soon as it is there: no logs of a controller's have to follow it.
async fn follow(view: Arc<MetadataView>, mut subscription: MetadataSubscription) {
    while let Some(update) = subscription.next().await {
        view.publish(update.image);
        view.followed();
    }
}
