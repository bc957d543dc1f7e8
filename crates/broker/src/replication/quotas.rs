//! How fast replicas that are not in sync are copied (KIP-73): on either side all that is throttled together.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use ottla_config::BrokerConfig;
use parking_lot::Mutex;

use crate::throttle::Throttle;

/// Which end of a copy this broker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Leader,
    Follower,
}

/// `leader.replication.throttled.rate` and `follower.replication.throttled.rate`.
#[derive(Debug)]
pub(crate) struct ReplicationQuotas {
    config: Arc<ArcSwap<BrokerConfig>>,
    leader: Mutex<Throttle>,
    follower: Mutex<Throttle>,
}

impl ReplicationQuotas {
    pub(crate) fn new(config: Arc<ArcSwap<BrokerConfig>>) -> Self {
        let throttle = || Mutex::new(Throttle::new(Instant::now()));
        Self { config, leader: throttle(), follower: throttle() }
    }

    /// Bytes of a throttled replica were copied.
    pub(crate) fn spend(&self, side: Side, bytes: usize) {
        self.throttle(side).lock().spend(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// How long throttled replicas wait from now on.
    pub(crate) fn due_in(&self, side: Side) -> Duration {
        let replication = &self.config.load().replication;
        let rate = match side {
            Side::Leader => replication.leader_throttled_rate,
            Side::Follower => replication.follower_throttled_rate,
        };
        self.throttle(side).lock().due_in(rate, Instant::now())
    }

    fn throttle(&self, side: Side) -> &Mutex<Throttle> {
        match side {
            Side::Leader => &self.leader,
            Side::Follower => &self.follower,
        }
    }
}
