//! A node of either role, or of both.

use std::sync::Arc;

use ottla_config::BrokerConfig;

use crate::controller_server::ControllerServer;
use crate::server::Server;
use crate::start_error::StartError;
use crate::telemetry::{Health, Loggers, Metrics};

/// A running node.
#[derive(Debug)]
pub enum Node {
    /// It serves clients; it may be a controller, too.
    Broker(Box<Server>),
    /// It is a controller, and nothing else.
    Controller(Box<ControllerServer>),
}

impl Node {
    /// Starts what `process.roles` says.
    ///
    /// # Errors
    /// Whatever keeps the node from serving; its text is one clear line.
    pub async fn start(
        config: BrokerConfig,
        loggers: Arc<Loggers>,
        metrics: Arc<Metrics>,
        health: Arc<Health>,
    ) -> Result<Self, StartError> {
        let config = crate::join::learn(config).await?;
        if config.node.roles.broker {
            Server::start(config, loggers, metrics, health).await.map(|server| Self::Broker(Box::new(server)))
        } else {
            ControllerServer::start(config, loggers, metrics, health)
                .await
                .map(|server| Self::Controller(Box::new(server)))
        }
    }

    /// Where it serves.
    #[must_use]
    pub fn addresses(&self) -> &[String] {
        match self {
            Self::Broker(server) => server.addresses(),
            Self::Controller(server) => server.addresses(),
        }
    }

    /// The cluster's id.
    #[must_use]
    pub fn cluster_id(&self) -> &str {
        match self {
            Self::Broker(server) => server.cluster_id(),
            Self::Controller(server) => server.cluster_id(),
        }
    }

    /// Ends when the node cannot go on, and says why.
    pub async fn failed(&self) -> String {
        match self {
            Self::Broker(server) => server.failed().await,
            Self::Controller(server) => server.failed().await,
        }
    }

    /// Stops it in order.
    pub async fn stop(self) {
        match self {
            Self::Broker(server) => server.stop().await,
            Self::Controller(server) => server.stop().await,
        }
    }
}
