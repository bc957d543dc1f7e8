//! A leader's part of a replica: what followers' fetches say, and what the controller answers about the in-sync set.

use std::cmp::Ordering;
use std::sync::{Arc, atomic};

use ottla_model::{BrokerId, MonoMs, Offset, PartitionEpoch};
use ottla_replication::{AlterPartitionAnswer, FollowerFetch, Ticket};
use tokio::sync::Notify;

use super::super::error::PartitionError;
use super::{Partition, State, Woken};
use crate::partitions::waiter::Waiter;

impl Partition {
    /// Wakes `waiter` when there is something behind `offset` for a follower, or the role changes.
    pub(crate) fn park_follower(&self, offset: Offset, waiter: Arc<Notify>) -> Option<Ticket> {
        self.lock().follower_fetches.park(offset, waiter.into()).ok()
    }

    /// Takes a follower's parked fetch back.
    pub(crate) fn cancel_follower(&self, ticket: Ticket) {
        let mut state = self.lock();
        if let Some(waiter) = state.follower_fetches.cancel(ticket) {
            state.note_settled(&waiter);
        }
    }

    /// The controller has answered what was proposed at `proposed_at`; how the in-sync set is now, against before.
    pub(crate) fn isr_answered(
        &self,
        proposed_at: PartitionEpoch,
        answer: AlterPartitionAnswer,
        now: MonoMs,
    ) -> Ordering {
        let mut state = self.lock();
        let before = state.machine.isr().to_vec();
        let effects = state.machine.alter_partition_answered(proposed_at, answer, now);
        let mut woken = state.woken(&effects);
        woken.0.extend(state.all_followers());
        let change = state.machine.isr().len().cmp(&before.len());
        if change != Ordering::Equal {
            let (partition, isr) = (&self.name, state.machine.isr());
            tracing::info!(%partition, ?before, ?isr, "in-sync replicas");
        }
        drop(state);
        woken.wake();
        change
    }

    /// The replica that a consumer at `offset` is to read from (KIP-392): of those near it that are in sync and have what
    /// it wants, the one that has most; `None` is this one, the leader.
    pub(crate) fn closest_replica(
        &self,
        offset: Offset,
        is_near: impl Fn(BrokerId) -> bool,
    ) -> Option<BrokerId> {
        let state = self.lock();
        let machine = &state.machine;
        if !machine.is_leader() || is_near(machine.leader()?) {
            return None;
        }
        let near = machine.followers().filter(|follower| {
            let has_offset = follower.leo.is_some_and(|leo| leo >= offset) && follower.log_start <= offset;
            has_offset && machine.isr().contains(&follower.broker) && is_near(follower.broker)
        });
        near.max_by_key(|follower| (follower.leo, follower.last_caught_up)).map(|follower| follower.broker)
    }

    /// Where all replicas on live brokers begin, as far as this leader has heard.
    pub(crate) fn low_watermark(
        &self,
        is_alive: impl Fn(BrokerId) -> bool,
    ) -> Result<Offset, PartitionError> {
        let state = self.lock();
        state.machine.check_epoch(None, true)?;
        Ok(state.machine.low_watermark(is_alive))
    }

    /// Wakes `waiter` when a follower has told where its log begins, or the role changes.
    pub(crate) fn park_deletion(&self, waiter: Arc<Notify>) -> Option<Ticket> {
        self.lock().deletions.park(Offset::ZERO, waiter.into()).ok()
    }

    /// Takes a parked deletion back.
    pub(crate) fn cancel_deletion(&self, ticket: Ticket) {
        self.lock().deletions.cancel(ticket);
    }

    /// Whether copies to a follower are throttled: while it is not in sync, where the topic says so.
    pub(crate) fn is_throttled_to(&self, follower: BrokerId) -> bool {
        self.throttled.0.load(atomic::Ordering::Relaxed) && !self.lock().machine.isr().contains(&follower)
    }

    /// Looks for followers that lag. To be called at least twice in `replica.lag.time.max.ms`.
    pub(crate) fn look_for_lag(&self, now: MonoMs) {
        let mut state = self.lock();
        let effects = state.machine.tick(now);
        let woken = state.woken(&effects);
        drop(state);
        woken.wake();
    }

    /// A broker that is fenced, or about to stop, keeps no high watermark back that it has not promised to follow.
    pub(crate) fn follower_ineligible(&self, broker: BrokerId, now: MonoMs) {
        let mut state = self.lock();
        let effects = state.machine.follower_ineligible(broker, now);
        let woken = state.woken(&effects);
        drop(state);
        woken.wake();
    }
}

impl State {
    /// Those of followers that wait for a record behind `end`, or less.
    pub(super) fn followers_before(&mut self, end: Offset) -> Vec<Waiter> {
        let waiting = self.follower_fetches.passed(end);
        waiting.inspect(|waiter| self.note_settled(waiter)).collect()
    }

    /// What followers may be told, or have to tell, has changed.
    pub(super) fn all_followers(&mut self) -> Vec<Waiter> {
        let waiting = self.follower_fetches.all();
        waiting.inspect(|waiter| self.note_settled(waiter)).collect()
    }

    /// A follower that needed not be read is waited for no more: until it last asked it had all.
    fn note_settled(&mut self, waiter: &Waiter) {
        if let Some((settled, at)) = waiter.settled() {
            self.machine.follower_stayed(settled.broker, settled.offset, at);
        }
    }

    /// A follower's fetch, after its epochs were looked at: everything below its offset is on its disk, or in its memory.
    pub(in super::super) fn follower_fetched(
        &mut self,
        fetch: &FollowerFetch,
        now: MonoMs,
    ) -> Result<Woken, PartitionError> {
        if fetch.fetch_offset < self.log.log_start_offset() {
            return Err(PartitionError::OffsetOutOfRange);
        }
        let effects = self.machine.follower_fetched(fetch, now)?;
        if let Some(broker) = effects.lost_committed {
            let (topic_partition, offset) = (self.log.topic_partition(), fetch.fetch_offset);
            tracing::warn!(partition = %topic_partition, %broker, %offset, "an in-sync replica fetches from below the high watermark");
        }
        let mut woken = self.woken(&effects);
        woken.0.extend(self.deletions.all());
        Ok(woken)
    }
}
