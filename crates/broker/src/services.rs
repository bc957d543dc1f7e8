//! What the composition root makes once and the handlers share, each taking only the one it needs.

use std::sync::Arc;

use arc_swap::ArcSwap;
use ottla_config::BrokerConfig;
use ottla_controller::{Controller, Peers};
use parking_lot::Mutex;

use crate::apis::FetchSessions;
use crate::auto_topics::AutoTopics;
use crate::client_metrics::ClientMetrics;
use crate::clock::Clock;
use crate::cluster::ControllerChannel;
use crate::cold_reads::ColdReads;
use crate::groups::Groups;
use crate::identity::Identity;
use crate::memory::Memory;
use crate::metadata_view::MetadataView;
use crate::partitions::{Checker, Cleaner, DirAssignments, Flusher, LogHome, LogMoves, Partitions};
use crate::producer_ids::ProducerIds;
use crate::replication::{Fetchers, IsrProposals, ReplicationQuotas};
use crate::telemetry::{Loggers, Metrics};

/// What the controller's APIs are made of, on a node that may be no broker.
#[derive(Clone, Debug)]
pub(crate) struct ControllerServices {
    pub identity: Arc<Identity>,
    pub loggers: Arc<Loggers>,
    pub config: Arc<ArcSwap<BrokerConfig>>,
    pub metadata: Arc<MetadataView>,
    pub controller: Controller,
    /// The controllers; `None` of a node that is none and has none.
    pub peers: Option<Peers>,
}

impl Services {
    pub(crate) fn of_controller(&self) -> ControllerServices {
        ControllerServices {
            identity: Arc::clone(&self.identity),
            loggers: Arc::clone(&self.loggers),
            config: Arc::clone(&self.config),
            metadata: Arc::clone(&self.metadata),
            controller: self.controller.clone(),
            peers: self.channel.peers().cloned(),
        }
    }
}

/// The broker's services.
#[derive(Debug)]
pub(crate) struct Services {
    pub identity: Arc<Identity>,
    pub loggers: Arc<Loggers>,
    pub clock: Clock,
    /// Effective settings; replaced when a dynamic one changes.
    pub config: Arc<ArcSwap<BrokerConfig>>,
    pub metrics: Arc<Metrics>,
    pub memory: Arc<Memory>,
    pub cold_reads: ColdReads,
    pub metadata: Arc<MetadataView>,
    pub controller: Controller,
    pub channel: ControllerChannel,
    pub auto_topics: Arc<AutoTopics>,
    pub producer_ids: Arc<ProducerIds>,
    pub partitions: Arc<Partitions>,
    pub logs: Arc<LogHome>,
    pub log_moves: Arc<LogMoves>,
    pub dir_assignments: Arc<DirAssignments>,
    pub flusher: Arc<Flusher>,
    pub cleaner: Arc<Cleaner>,
    pub checker: Arc<Checker>,
    pub fetch_sessions: Arc<Mutex<FetchSessions>>,
    pub groups: Arc<Groups>,
    pub client_metrics: Arc<ClientMetrics>,
    pub fetchers: Arc<Fetchers>,
    pub isr_proposals: Arc<IsrProposals>,
    pub replication_quotas: Arc<ReplicationQuotas>,
}
