//! The machine itself: role, epochs, and the local log's offsets.

use ottla_model::{BrokerId, LeaderEpoch, MonoMs, Offset, PartitionEpoch};
use ottla_planted::planted;

use super::effects::{Effects, RoleChange};
use super::error::{EpochError, NotFollower, RegistrationError};
use super::event::{Durability, LogOffsets, PartitionConfig, Registration};
use super::follower::{Follower, FollowerView};
use super::isr::Isr;

/// What this broker is to the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `epoch_start` is the LEO at the start of this leader epoch: a follower joins the ISR only beyond it.
    Leader { epoch_start: Offset },
    /// `None` while the partition has no leader.
    Follower { leader: Option<BrokerId> },
    /// Not yet told what it is, or failed.
    Offline,
}

/// One partition as one broker sees it. The shell owns the log and reports what happened to it; the machine says what
/// follows. A partition with one replica goes the same way, without a loop and without an allocation.
///
/// Whoever appends checks [`begin_append`](Self::begin_append) first and reports [`appended`](Self::appended) after,
/// under one lock.
#[derive(Clone, Debug)]
pub struct PartitionMachine {
    pub(super) local: BrokerId,
    pub(super) config: PartitionConfig,
    pub(super) role: Role,
    pub(super) leader_epoch: LeaderEpoch,
    pub(super) partition_epoch: PartitionEpoch,
    pub(super) replicas: Vec<BrokerId>,
    pub(super) isr: Isr,
    /// Empty unless leader.
    pub(super) followers: Vec<Follower>,
    pub(super) log: LogOffsets,
}

impl PartitionMachine {
    /// A machine for a log that was just opened; offline until [`update`](Self::update) gives it a role.
    #[must_use]
    pub fn new(local: BrokerId, config: PartitionConfig, mut log: LogOffsets) -> Self {
        log.leo = log.leo.max(log.log_start);
        log.flushed = log.flushed.min(log.leo);
        log.high_watermark = log.high_watermark.max(log.log_start).min(log.leo);
        Self {
            local,
            config,
            role: Role::Offline,
            leader_epoch: LeaderEpoch::NONE,
            partition_epoch: PartitionEpoch(-1),
            replicas: Vec::new(),
            isr: Isr::default(),
            followers: Vec::new(),
            log,
        }
    }

    /// Takes in what the metadata says. One that is not newer than what is known (by partition epoch; the answer to
    /// AlterPartition may have come first) changes nothing.
    pub fn update(&mut self, registration: &Registration, now: MonoMs) -> Result<Effects, RegistrationError> {
        if registration.partition_epoch <= self.partition_epoch && !planted!("old_registration_taken") {
            return Ok(Effects::default());
        }
        self.refuse_impossible(registration)?;
        let mut effects = Effects::default();
        if registration.leader == Some(self.local) {
            effects.role = self.lead(registration, now);
            effects.high_watermark = self.advance_high_watermark(now);
        } else {
            effects.role = self.follow(registration);
        }
        self.debug_check();
        Ok(effects)
    }

    /// The log failed or the replica is being deleted. There is no way back: build a new machine.
    pub fn offline(&mut self) -> Effects {
        self.role = Role::Offline;
        self.isr = Isr::default();
        self.followers.clear();
        Effects { role: Some(RoleChange::Offline), ..Effects::default() }
    }

    /// New settings; a lower `min.insync.replicas` may let the HW go on.
    pub fn configure(&mut self, config: PartitionConfig, now: MonoMs) -> Effects {
        self.config = config;
        let high_watermark = if self.is_leader() { self.advance_high_watermark(now) } else { None };
        self.debug_check();
        Effects { high_watermark, ..Effects::default() }
    }

    /// The log's end offset is now `leo`, by the leader's own append or by a follower's.
    pub fn appended(&mut self, leo: Offset, now: MonoMs) -> Effects {
        let mut effects = Effects::default();
        if leo > self.log.leo {
            self.log.leo = leo;
            effects.log_end = Some(leo);
            if self.is_leader() {
                effects.high_watermark = self.advance_high_watermark(now);
            }
        }
        self.debug_check();
        effects
    }

    /// Everything below `end` is on the disk. Late and repeated reports are harmless.
    pub fn flushed(&mut self, end: Offset, now: MonoMs) -> Effects {
        let end = end.min(self.log.leo);
        let mut effects = Effects::default();
        if end > self.log.flushed {
            self.log.flushed = end;
            if self.is_leader() {
                effects.high_watermark = self.advance_high_watermark(now);
            }
        }
        self.debug_check();
        effects
    }

    /// The log now starts at `log_start` (retention, DeleteRecords). The HW never stays behind it.
    pub fn log_start_advanced(&mut self, log_start: Offset) -> Effects {
        let mut effects = Effects::default();
        if log_start > self.log.log_start {
            self.log.log_start = log_start;
            if self.log.leo < log_start {
                self.log.leo = log_start;
                self.log.flushed = log_start;
                effects.log_end = Some(log_start);
            }
            if self.log.high_watermark < log_start {
                self.log.high_watermark = log_start;
                effects.high_watermark = Some(log_start);
            }
        }
        self.debug_check();
        effects
    }

    /// A follower learns the leader's HW from a fetch answer, after it has appended what came with it.
    pub fn leader_high_watermark(&mut self, high_watermark: Offset) -> Effects {
        let mut effects = Effects::default();
        let reachable = high_watermark.min(self.log.leo);
        if matches!(self.role, Role::Follower { .. }) && reachable > self.log.high_watermark {
            self.log.high_watermark = reachable;
            effects.high_watermark = Some(reachable);
        }
        self.debug_check();
        effects
    }

    /// A follower has cut its log to end at `to` (see [`truncation`](crate::truncation)). Returns whether that was below
    /// the HW, which only an unclean election explains.
    pub fn truncated(&mut self, to: Offset) -> Result<bool, NotFollower> {
        if self.is_leader() {
            return Err(NotFollower);
        }
        let below_high_watermark = to < self.log.high_watermark;
        self.log.leo = self.log.leo.min(to);
        self.log.flushed = self.log.flushed.min(to);
        self.log.high_watermark = self.log.high_watermark.min(to);
        self.log.log_start = self.log.log_start.min(to);
        self.debug_check();
        Ok(below_high_watermark)
    }

    /// A follower has dropped its log and begins again at `offset`: the leader no longer has what it wanted.
    pub fn restarted_at(&mut self, offset: Offset) -> Result<(), NotFollower> {
        if self.is_leader() {
            return Err(NotFollower);
        }
        self.log = LogOffsets::empty_at(offset);
        Ok(())
    }

    /// Checks a request's `current_leader_epoch` (KIP-320), then, if it must be, that this is the leader.
    pub fn check_epoch(
        &self,
        requested: Option<LeaderEpoch>,
        leader_only: bool,
    ) -> Result<LeaderEpoch, EpochError> {
        let current = self.leader_epoch;
        match requested {
            Some(requested) if requested < current && !planted!("stale_fetch_accepted") => {
                Err(EpochError::Fenced { requested, current })
            }
            Some(requested) if requested > current => Err(EpochError::Unknown { requested, current }),
            _ if self.role == Role::Offline || (leader_only && !self.is_leader()) => {
                Err(EpochError::NotLeader)
            }
            _ => Ok(current),
        }
    }

    #[must_use]
    pub const fn is_leader(&self) -> bool {
        matches!(self.role, Role::Leader { .. })
    }

    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// The leader, as far as this replica knows.
    #[must_use]
    pub const fn leader(&self) -> Option<BrokerId> {
        match self.role {
            Role::Leader { .. } => Some(self.local),
            Role::Follower { leader } => leader,
            Role::Offline => None,
        }
    }

    #[must_use]
    pub const fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    #[must_use]
    pub const fn partition_epoch(&self) -> PartitionEpoch {
        self.partition_epoch
    }

    #[must_use]
    pub const fn log(&self) -> LogOffsets {
        self.log
    }

    #[must_use]
    pub const fn high_watermark(&self) -> Offset {
        self.log.high_watermark
    }

    #[must_use]
    pub const fn durability(&self) -> Durability {
        self.config.durability
    }

    #[must_use]
    pub fn replicas(&self) -> &[BrokerId] {
        &self.replicas
    }

    /// The committed ISR; empty unless leader.
    #[must_use]
    pub fn isr(&self) -> &[BrokerId] {
        &self.isr.committed
    }

    /// The followers, if leader.
    pub fn followers(&self) -> impl Iterator<Item = FollowerView> {
        self.followers.iter().map(Follower::view)
    }

    fn refuse_impossible(&self, registration: &Registration) -> Result<(), RegistrationError> {
        if registration.leader_epoch < self.leader_epoch {
            return Err(RegistrationError::LeaderEpochWentBack {
                current: self.leader_epoch,
                new: registration.leader_epoch,
            });
        }
        for member in &registration.isr {
            if !registration.replicas.contains(member) {
                return Err(RegistrationError::IsrNotReplica(*member));
            }
        }
        match registration.leader {
            Some(leader) if !registration.isr.contains(&leader) => {
                Err(RegistrationError::LeaderNotInIsr(leader))
            }
            _ => Ok(()),
        }
    }

    fn follow(&mut self, registration: &Registration) -> Option<RoleChange> {
        let leader = registration.leader;
        let unchanged =
            registration.leader_epoch == self.leader_epoch && self.role == (Role::Follower { leader });
        self.role = Role::Follower { leader };
        self.leader_epoch = registration.leader_epoch;
        self.partition_epoch = registration.partition_epoch;
        self.replicas.clone_from(&registration.replicas);
        self.isr = Isr::default();
        self.followers.clear();
        (!unchanged).then_some(RoleChange::Follower { leader_epoch: self.leader_epoch, leader })
    }
}
