//! What the active controller does at intervals (`QuorumController`'s periodic tasks).

use std::time::Duration;

use tokio::time::sleep;

use crate::decision;
use crate::decision_loop::Need;
use crate::handle::Controller;

/// How often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upkeep {
    /// `leader.imbalance.check.interval.seconds`; `None` without `auto.leader.rebalance.enable`.
    pub balance_leaders: Option<Duration>,
    /// `unclean.leader.election.interval.ms`.
    pub elect_uncleanly: Duration,
}

impl Controller {
    /// Does it while this node is the active controller, until it is aborted.
    pub async fn keep_up(self, upkeep: Upkeep) {
        let balancing = async {
            match upkeep.balance_leaders {
                Some(interval) => self.repeat(interval, decision::balance_leaders).await,
                None => std::future::pending().await,
            }
        };
        tokio::join!(balancing, self.repeat(upkeep.elect_uncleanly, decision::elect_uncleanly));
    }

    /// Decides at each interval, and again at once where there may be more to decide.
    async fn repeat(
        &self,
        interval: Duration,
        decide: impl Fn(&decision::Context<'_>) -> decision::Decision<bool> + Copy + Send + 'static,
    ) {
        loop {
            sleep(interval).await;
            while self.is_active()
                && matches!(self.decide(Need::Relief, move |context| decide(context)).await, Ok(true))
            {
            }
        }
    }
}
