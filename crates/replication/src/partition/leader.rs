//! What only a leader does: the high watermark, the ISR, and who has acknowledged.

use ottla_model::{BrokerId, LeaderEpoch, MonoMs, Offset, PartitionEpoch};
use ottla_planted::planted;

use super::effects::{Effects, IsrMember, IsrProposal, RoleChange};
use super::error::{AcksError, AppendError, FollowerFetchError};
use super::event::{AlterPartitionAnswer, Durability, FollowerFetch, Registration};
use super::follower::Follower;
use super::isr::{Change, Isr, Pending};
use super::machine::{PartitionMachine, Role};

impl PartitionMachine {
    /// Whether a producer may append now; the leader epoch to stamp on the batch. `acks_all` refuses an ISR that is
    /// smaller than `min.insync.replicas` before anything is written.
    pub fn begin_append(&self, acks_all: bool) -> Result<LeaderEpoch, AppendError> {
        if !self.is_leader() {
            return Err(AppendError::NotLeader);
        }
        let (isr, min) = (self.isr.committed.len(), self.effective_min_isr());
        if acks_all && isr < min {
            return Err(AppendError::NotEnoughReplicas { isr, min });
        }
        Ok(self.leader_epoch)
    }

    /// Like [`begin_append`](Self::begin_append) with acks=all, for somebody who acts for one leadership: it ends when this
    /// replica leads in another epoch, as it does when it follows.
    pub fn begin_append_in(&self, leader_epoch: LeaderEpoch) -> Result<LeaderEpoch, AppendError> {
        let begun = self.begin_append(true)?;
        if begun == leader_epoch { Ok(begun) } else { Err(AppendError::NotLeader) }
    }

    /// The high watermark, as long as this replica leads in that epoch. Afterwards it says nothing of what was appended in that
    /// epoch: that may be cut off, and something else be committed in its place.
    #[must_use]
    pub fn high_watermark_in(&self, leader_epoch: LeaderEpoch) -> Option<Offset> {
        let is_led = self.is_leader() && self.leader_epoch == leader_epoch;
        (is_led || planted!("coordinator_outlives_leadership")).then_some(self.log.high_watermark)
    }

    /// Whether everything below `required` (the offset after an acks=all produce's last record) is acknowledged:
    /// `None` while it must wait.
    #[must_use]
    pub fn acknowledged(&self, required: Offset) -> Option<Result<(), AcksError>> {
        if !self.is_leader() {
            return Some(Err(AcksError::NotLeader));
        }
        if self.log.high_watermark < required && !planted!("ack_before_hw") {
            return None;
        }
        let (isr, min) = (self.isr.maximal_len(), self.effective_min_isr());
        if isr < min {
            return Some(Err(AcksError::NotEnoughReplicasAfterAppend { isr, min }));
        }
        Some(Ok(()))
    }

    /// A follower's fetch, after the read found no divergence: records its position, may move the HW, may propose it
    /// for the ISR.
    pub fn follower_fetched(
        &mut self,
        fetch: &FollowerFetch,
        now: MonoMs,
    ) -> Result<Effects, FollowerFetchError> {
        self.check_follower(fetch)?;
        let (leo, high_watermark) = (self.log.leo, self.log.high_watermark);
        let mut effects = Effects::default();
        let mut moved = false;
        if let Some(follower) = self.followers.iter_mut().find(|follower| follower.id == fetch.broker) {
            moved = follower.leo != fetch.fetch_offset;
            follower.fetched(fetch, leo, now);
            let behind = follower.in_maximal_isr && follower.leo < high_watermark;
            effects.lost_committed = (behind && !follower.regressed).then_some(fetch.broker);
            follower.regressed = behind;
        }
        effects.alter_partition = self.expand_isr(fetch.broker);
        if moved {
            effects.high_watermark = self.advance_high_watermark(now);
        }
        self.debug_check();
        Ok(effects)
    }

    /// Whether a follower's next fetch would tell nothing and be told nothing: it is in sync, has the whole log, and all of it
    /// is committed. It stays so until something is appended, or an update says otherwise.
    #[must_use]
    pub fn is_settled(&self, broker: BrokerId) -> bool {
        let all = self.log.leo;
        self.is_leader()
            && self.log.high_watermark == all
            && self.isr.pending.is_none()
            && self.isr.contains(broker)
            && self.followers.iter().any(|follower| follower.id == broker && follower.leo == all)
    }

    /// A settled follower has gone on fetching from `offset`, the end of the log, until `at`. To be told once it is settled no
    /// more, before the next [`tick`](Self::tick): how long it lags counts from then.
    pub fn follower_stayed(&mut self, broker: BrokerId, offset: Offset, at: MonoMs) {
        if let Some(follower) = self.followers.iter_mut().find(|follower| follower.id == broker) {
            follower.stayed(offset, at);
        }
    }

    /// The broker's registration no longer lets it join the ISR (fenced, shutting down).
    pub fn follower_ineligible(&mut self, broker: BrokerId, now: MonoMs) -> Effects {
        if let Some(follower) = self.followers.iter_mut().find(|follower| follower.id == broker) {
            follower.eligible = false;
        }
        let high_watermark = if self.is_leader() { self.advance_high_watermark(now) } else { None };
        Effects { high_watermark, ..Effects::default() }
    }

    /// Proposes to drop members that have not been caught up for `replica.lag.time.max.ms`. To be called at least twice
    /// in that time.
    pub fn tick(&mut self, now: MonoMs) -> Effects {
        let mut effects = Effects::default();
        if self.is_leader() && !self.followers.is_empty() {
            effects.alter_partition = self.shrink_isr(now);
            effects.high_watermark = self.advance_high_watermark(now);
            self.debug_check();
        }
        effects
    }

    /// This leader can append no more. Proposes an ISR without it, so that another member leads, as soon as each of them has
    /// all that is in this log; to be asked again until then.
    pub fn hand_over(&mut self) -> Effects {
        let mut effects = Effects::default();
        let leo = self.log.leo;
        let has_all =
            |id: &BrokerId| self.followers.iter().any(|follower| follower.id == *id && follower.leo == leo);
        let mut heirs = self.isr.committed.iter().filter(|id| **id != self.local).peekable();
        let is_ready = heirs.peek().is_some() && heirs.all(has_all);
        if self.is_leader() && self.isr.pending.is_none() && is_ready {
            effects.alter_partition = Some(self.propose(Change::Shrink(vec![self.local])));
        }
        self.debug_check();
        effects
    }

    /// The answer to the proposal that was made at `proposed_at` (its `partition_epoch`). An answer to anything but the
    /// change in flight is ignored.
    pub fn alter_partition_answered(
        &mut self,
        proposed_at: PartitionEpoch,
        answer: AlterPartitionAnswer,
        now: MonoMs,
    ) -> Effects {
        let mut effects = Effects::default();
        let in_flight = self.isr.pending.as_ref().is_some_and(|pending| {
            (pending.partition_epoch == proposed_at || planted!("answer_of_another_proposal"))
                && pending.leader_epoch == self.leader_epoch
        });
        if !in_flight || !self.is_leader() {
            return effects;
        }
        match answer {
            AlterPartitionAnswer::Committed { leader_epoch, partition_epoch, isr } => {
                let current = leader_epoch == self.leader_epoch && partition_epoch >= self.partition_epoch;
                if current && self.is_possible_isr(&isr) {
                    self.partition_epoch = partition_epoch;
                    self.set_isr(isr);
                }
            }
            AlterPartitionAnswer::Rejected => self.set_isr(self.isr.committed.clone()),
            AlterPartitionAnswer::Stale => {}
            AlterPartitionAnswer::Retry => effects.alter_partition = Some(Box::new(self.proposal())),
        }
        effects.high_watermark = self.advance_high_watermark(now);
        self.debug_check();
        effects
    }

    /// The smallest log start of the live replicas: what DeleteRecords waits for. `is_alive` knows the brokers.
    #[must_use]
    pub fn low_watermark(&self, is_alive: impl Fn(BrokerId) -> bool) -> Offset {
        let live = self.followers.iter().filter(|follower| is_alive(follower.id));
        live.map(|follower| follower.log_start).fold(self.log.log_start, Offset::min)
    }

    /// Fewer in-sync replicas than assigned ones.
    #[must_use]
    pub fn is_under_replicated(&self) -> bool {
        self.is_leader() && self.isr.committed.len() < self.replicas.len()
    }

    /// Fewer in-sync replicas than `min.insync.replicas`.
    #[must_use]
    pub fn is_under_min_isr(&self) -> bool {
        self.is_leader() && self.isr.committed.len() < self.effective_min_isr()
    }

    pub(super) fn effective_min_isr(&self) -> usize {
        self.config.min_insync_replicas.min(self.replicas.len())
    }

    pub(super) fn lead(&mut self, registration: &Registration, now: MonoMs) -> Option<RoleChange> {
        // Every change of leader is an epoch: of some that this replica has not heard of, others have led, to whom followers may have cut.
        let others_led = registration.leader_epoch.get() > self.leader_epoch.get().saturating_add(1);
        let new_leader = !self.is_leader() || others_led;
        let new_epoch = registration.leader_epoch > self.leader_epoch;
        self.replicas.clone_from(&registration.replicas);
        self.leader_epoch = registration.leader_epoch;
        self.partition_epoch = registration.partition_epoch;
        self.assign_followers();
        self.set_isr(registration.isr.clone());
        if !new_leader && !new_epoch {
            return None;
        }
        let epoch_start = self.log.leo;
        for follower in &mut self.followers {
            follower.reset(epoch_start, new_leader, registration.isr.contains(&follower.id), now);
        }
        // Resetting forgets membership with the rest.
        self.set_isr(registration.isr.clone());
        self.role = Role::Leader { epoch_start };
        Some(RoleChange::Leader { leader_epoch: self.leader_epoch, epoch_start })
    }

    /// KIP-966: HW moves only while the ISR has `min.insync.replicas`. It also waits for a replica that is about to join
    /// the ISR, which else could never catch up with a HW that follows the leader alone.
    pub(super) fn advance_high_watermark(&mut self, now: MonoMs) -> Option<Offset> {
        let mut high_watermark = match self.config.durability {
            Durability::Appended => self.log.leo,
            Durability::Flushed if planted!("ack_before_flush") => self.log.leo,
            Durability::Flushed => self.log.flushed,
        };
        if self.is_under_min_isr() && !planted!("hw_below_min_isr") {
            return None;
        }
        let max_lag_ms = self.config.replica_lag_time_max_ms;
        for follower in &self.followers {
            let joining = follower.eligible && follower.is_caught_up(self.log.leo, now, max_lag_ms);
            if follower.leo < high_watermark && (follower.in_maximal_isr || joining) {
                high_watermark = follower.leo;
            }
        }
        if self.is_about_to_be_alone() && !planted!("hw_unflushed_before_alone") {
            // What a follower has acknowledged since the flush that came with the proposal is here only, once that is committed.
            high_watermark = high_watermark.min(self.log.flushed);
        }
        if high_watermark <= self.log.high_watermark {
            return None;
        }
        self.log.high_watermark = high_watermark;
        Some(high_watermark)
    }

    /// Whether a fetch is of a follower in the assignment, and of the broker's incarnation that is registered.
    pub fn check_replica(&self, fetch: &FollowerFetch) -> Result<(), FollowerFetchError> {
        if !self.followers.iter().any(|follower| follower.id == fetch.broker) {
            let epoch_given = fetch.leader_epoch.is_some();
            return Err(FollowerFetchError::NotReplica { broker: fetch.broker, epoch_given });
        }
        if let (Some(requested), Some(registered)) = (fetch.broker_epoch, fetch.standing.epoch)
            && registered > requested
        {
            return Err(FollowerFetchError::StaleBroker { requested, registered });
        }
        Ok(())
    }

    fn check_follower(&self, fetch: &FollowerFetch) -> Result<(), FollowerFetchError> {
        self.check_epoch(fetch.leader_epoch, true)?;
        self.check_replica(fetch)?;
        if fetch.fetch_offset > self.log.leo || fetch.fetch_offset < Offset::ZERO {
            let (requested, leo) = (fetch.fetch_offset, self.log.leo);
            return Err(FollowerFetchError::OutOfRange { requested, leo });
        }
        Ok(())
    }

    /// KIP-101: a replica that has not reached this epoch's start may lack committed records above the HW it knows.
    fn expand_isr(&mut self, broker: BrokerId) -> Option<Box<IsrProposal>> {
        let Role::Leader { epoch_start } = self.role else { return None };
        let follower = self.followers.iter().find(|follower| follower.id == broker)?;
        let in_sync = (follower.leo >= self.log.high_watermark || planted!("isr_join_below_hw"))
            && (follower.leo >= epoch_start || planted!("isr_join_below_epoch_start"));
        if self.isr.pending.is_some() || self.isr.contains(broker) || !follower.eligible || !in_sync {
            return None;
        }
        Some(self.propose(Change::Expand(broker)))
    }

    fn shrink_isr(&mut self, now: MonoMs) -> Option<Box<IsrProposal>> {
        if self.isr.pending.is_some() {
            return None;
        }
        let (leo, max_lag_ms) = (self.log.leo, self.config.replica_lag_time_max_ms);
        let lagging = self.followers.iter().filter(|follower| {
            self.isr.contains(follower.id) && !follower.is_caught_up(leo, now, max_lag_ms)
        });
        let out: Vec<_> = lagging.map(|follower| follower.id).collect();
        if out.is_empty() { None } else { Some(self.propose(Change::Shrink(out))) }
    }

    fn propose(&mut self, change: Change) -> Box<IsrProposal> {
        let (leader_epoch, partition_epoch) = (self.leader_epoch, self.partition_epoch);
        self.isr.pending = Some(Pending { leader_epoch, partition_epoch, change });
        self.mark_members();
        Box::new(self.proposal())
    }

    fn proposal(&self) -> IsrProposal {
        let members = self.isr.proposed();
        let alone = self.is_about_to_be_alone();
        let in_order = self.replicas.iter().filter(|broker| members.contains(broker));
        let isr = in_order.map(|broker| {
            let follower = self.followers.iter().find(|follower| follower.id == *broker);
            IsrMember { broker: *broker, broker_epoch: follower.and_then(|follower| follower.broker_epoch) }
        });
        IsrProposal {
            leader_epoch: self.leader_epoch,
            partition_epoch: self.partition_epoch,
            isr: isr.collect(),
            flush_first: (alone && self.log.flushed < self.log.leo && !planted!("shrinks_unflushed"))
                .then_some(self.log.leo),
        }
    }

    /// Whether an ISR of this leader only is on its way to the controller.
    fn is_about_to_be_alone(&self) -> bool {
        let (isr, others) = (&self.isr, self.isr.committed.len() > 1);
        isr.pending.is_some() && others && isr.proposed() == [self.local]
    }

    /// A reassignment may have removed this leader from the replicas: then the metadata is on its way, and says so.
    fn is_possible_isr(&self, isr: &[BrokerId]) -> bool {
        isr.contains(&self.local) && isr.iter().all(|member| self.replicas.contains(member))
    }

    fn set_isr(&mut self, committed: Vec<BrokerId>) {
        self.isr = Isr { committed, pending: None };
        self.mark_members();
    }

    fn mark_members(&mut self) {
        let (isr, high_watermark) = (&self.isr, self.log.high_watermark);
        for follower in &mut self.followers {
            follower.in_maximal_isr = isr.maximal_contains(follower.id);
            let behind = follower.leo != Offset::NONE && follower.leo < high_watermark;
            follower.regressed = follower.in_maximal_isr && behind;
        }
    }

    fn assign_followers(&mut self) {
        let (replicas, local) = (&self.replicas, self.local);
        self.followers.retain(|follower| replicas.contains(&follower.id));
        for broker in replicas.iter().filter(|broker| **broker != local) {
            if !self.followers.iter().any(|follower| follower.id == *broker) {
                self.followers.push(Follower::new(*broker));
            }
        }
    }
}
