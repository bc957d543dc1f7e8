//! What a leader knows of one follower.

use ottla_model::{BrokerId, MonoMs, Offset};

use super::event::FollowerFetch;

/// A follower's fetch state, from its last fetch in this leader epoch.
#[derive(Clone, Debug)]
pub(super) struct Follower {
    pub(super) id: BrokerId,
    /// [`Offset::NONE`] until it has fetched.
    pub(super) leo: Offset,
    pub(super) log_start: Offset,
    pub(super) broker_epoch: Option<i64>,
    /// May join the ISR, as far as its broker is concerned.
    pub(super) eligible: bool,
    /// Cached membership of the maximal ISR, for the HW's sake.
    pub(super) in_maximal_isr: bool,
    /// Fetched from below the HW while in the ISR; exempt from the invariant that this breaks.
    pub(super) regressed: bool,
    last_fetch_leader_leo: Offset,
    last_fetch: Option<MonoMs>,
    last_caught_up: Option<MonoMs>,
}

impl Follower {
    pub(super) fn new(id: BrokerId) -> Self {
        Self {
            id,
            leo: Offset::NONE,
            log_start: Offset::NONE,
            broker_epoch: None,
            eligible: false,
            in_maximal_isr: false,
            regressed: false,
            last_fetch_leader_leo: Offset::NONE,
            last_fetch: None,
            last_caught_up: None,
        }
    }

    /// A new leader epoch: one in the ISR gets `replica.lag.time.max.ms` to show up.
    pub(super) fn reset(&mut self, leader_leo: Offset, new_leader: bool, in_isr: bool, now: MonoMs) {
        let in_sync_since = in_isr.then_some(now);
        if new_leader {
            *self = Self::new(self.id);
        } else {
            self.last_fetch_leader_leo = leader_leo;
            self.last_fetch = in_sync_since;
        }
        self.last_caught_up = in_sync_since;
    }

    /// Takes in a fetch. It is caught up as of now if it asks from the leader's LEO, and as of its previous fetch if it
    /// asks from what was the LEO then: a busy leader's LEO has always moved on.
    pub(super) fn fetched(&mut self, fetch: &FollowerFetch, leader_leo: Offset, now: MonoMs) {
        if fetch.fetch_offset >= leader_leo {
            self.last_caught_up = self.last_caught_up.max(Some(now));
        } else if fetch.fetch_offset >= self.last_fetch_leader_leo {
            self.last_caught_up = self.last_caught_up.max(self.last_fetch);
        }
        self.leo = fetch.fetch_offset;
        self.log_start = fetch.log_start;
        self.broker_epoch = fetch.broker_epoch;
        self.eligible = eligible(fetch);
        self.last_fetch_leader_leo = self.last_fetch_leader_leo.max(leader_leo);
        self.last_fetch = Some(now);
    }

    /// It has gone on asking from `offset`, where the log ended, until `at`: in a session that need not say so each time.
    pub(super) fn stayed(&mut self, offset: Offset, at: MonoMs) {
        if self.leo == offset {
            self.last_fetch = self.last_fetch.max(Some(at));
            self.last_caught_up = self.last_caught_up.max(Some(at));
        }
    }

    pub(super) fn is_caught_up(&self, leader_leo: Offset, now: MonoMs, max_lag_ms: u64) -> bool {
        self.leo == leader_leo || self.last_caught_up.is_some_and(|at| now.since_ms(at) <= max_lag_ms)
    }

    pub(super) fn view(&self) -> FollowerView {
        FollowerView {
            broker: self.id,
            leo: (self.leo != Offset::NONE).then_some(self.leo),
            log_start: self.log_start,
            last_fetch: self.last_fetch,
            last_caught_up: self.last_caught_up,
        }
    }
}

/// A follower as a leader describes it (metrics, DescribeQuorum-like answers).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerView {
    pub broker: BrokerId,
    /// `None` until it has fetched in this leader epoch.
    pub leo: Option<Offset>,
    pub log_start: Offset,
    pub last_fetch: Option<MonoMs>,
    pub last_caught_up: Option<MonoMs>,
}

/// KIP-841, KIP-903: neither fenced nor shutting down, and of the incarnation that is registered.
fn eligible(fetch: &FollowerFetch) -> bool {
    let standing = fetch.standing;
    let same_incarnation = match (fetch.broker_epoch, standing.epoch) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(requested), Some(registered)) => requested == registered,
    };
    !standing.fenced && !standing.in_controlled_shutdown && same_incarnation
}
