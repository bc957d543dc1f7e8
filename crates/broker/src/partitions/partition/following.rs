//! A follower's part of a replica: it takes what its leader has answered, and cuts where their logs part.

use std::sync::Arc;

use ottla_model::{BrokerId, LeaderEpoch, Now, Offset, TopicPartition};
use ottla_replication::session::FetchPartition;
use ottla_replication::truncation::{EpochEnd, EpochHistory, truncate_to};
use ottla_replication::{Durability, Role, Ticket};
use ottla_storage::{AppendError, PartitionLog, StorageError, Writeback};
use tokio::sync::Notify;

use super::{Partition, State, Woken};

/// What a leader has answered for this partition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FetchedRecords<'a> {
    /// Of the leader that was asked, as it was known when it was.
    pub leader_epoch: LeaderEpoch,
    /// Where the fetch began.
    pub fetch_offset: Offset,
    pub records: &'a [u8],
    pub high_watermark: Offset,
    pub log_start: Offset,
}

/// What follows for the disk.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// `flush.messages` or `flush.ms` ask for a flush, or the next fetch waits for it.
    pub flush_due: bool,
    pub writeback: Option<Writeback>,
}

/// A log as truncation sees it.
struct Epochs<'a>(&'a PartitionLog);

impl EpochHistory for Epochs<'_> {
    fn end_of(&self, epoch: LeaderEpoch) -> Option<EpochEnd> {
        let end = self.0.end_offset_for_epoch(epoch)?;
        Some(EpochEnd { epoch: end.epoch, end_offset: end.end_offset })
    }
}

impl Partition {
    /// The leader that this replica follows, and in which epoch.
    pub(crate) fn followed(&self) -> Option<(BrokerId, LeaderEpoch)> {
        let state = self.lock();
        match state.machine.role() {
            Role::Follower { leader } => Some((leader?, state.machine.leader_epoch())),
            _ => None,
        }
    }

    /// Where the next fetch from the leader of `leader_epoch` begins; `None` once this replica follows no such leader.
    pub(crate) fn fetch_position(&self, leader_epoch: LeaderEpoch, max_bytes: i32) -> Option<FetchPartition> {
        let state = self.lock();
        state.follows(leader_epoch).then(|| FetchPartition {
            fetch_offset: state.log.log_end_offset(),
            log_start: state.log.log_start_offset(),
            max_bytes,
            current_leader_epoch: Some(leader_epoch),
            last_fetched_epoch: state.log.latest_epoch(),
        })
    }

    /// Appends what a leader has sent, as it is, then moves high watermark and log start up to the leader's. An answer that
    /// is out of date changes nothing.
    pub(crate) fn take_fetched(&self, fetched: &FetchedRecords<'_>, now: Now) -> Result<Taken, AppendError> {
        let mut state = self.lock();
        if !state.follows(fetched.leader_epoch) || state.log.log_end_offset() != fetched.fetch_offset {
            return Ok(Taken::default());
        }
        let (appended, mut woken) = if fetched.records.is_empty() {
            (Ok(()), Woken::default())
        } else {
            state.append_fetched(self, fetched.records, now)
        };
        if appended.is_ok() {
            woken.and(state.follow_offsets(fetched));
        }
        let taken = appended.map(|()| state.taken(now));
        drop(state);
        woken.wake();
        taken
    }

    /// Cuts the log where its leader says that the two part (KIP-101, KIP-279), never by the high watermark. Whether what was
    /// cut had been flushed: then the recovery points are to be written down before anything takes its place.
    pub(crate) fn truncate_diverging(
        &self,
        leader_epoch: LeaderEpoch,
        end: EpochEnd,
        now: Now,
    ) -> Result<bool, StorageError> {
        let mut state = self.lock();
        if !state.follows(leader_epoch) {
            return Ok(false);
        }
        let leo = state.log.log_end_offset();
        let cut = truncate_to(&Epochs(&state.log), end, leo);
        let outcome = state.cut(&self.name, cut.offset, now);
        drop(state);
        outcome
    }

    /// The leader's log ends before this one, of whose records neither knows an epoch: only so far they may agree. Answers
    /// as [`Partition::truncate_diverging`].
    pub(crate) fn truncate_to_end(
        &self,
        leader_epoch: LeaderEpoch,
        leader_end: Offset,
        now: Now,
    ) -> Result<bool, StorageError> {
        let mut state = self.lock();
        if !state.follows(leader_epoch) {
            return Ok(false);
        }
        state.cut(&self.name, leader_end, now)
    }

    /// The leader no longer has what is wanted: drops the log, which goes on where the leader's begins. Answers as
    /// [`Partition::truncate_diverging`].
    pub(crate) fn restart_at(
        &self,
        leader_epoch: LeaderEpoch,
        log_start: Offset,
        now: Now,
    ) -> Result<bool, StorageError> {
        let mut state = self.lock();
        if !state.follows(leader_epoch) {
            return Ok(false);
        }
        let recovery_point = state.log.recovery_point();
        tracing::info!(partition = %self.name, %log_start, "the leader's log begins later: this one begins anew there");
        state.cuts += 1;
        if let Err(cause) = state.log.truncate_fully(log_start, now) {
            let woken = state.fail(&self.name, &cause);
            drop(state);
            woken.wake();
            return Err(cause);
        }
        // It follows, as was seen under this lock.
        let _ = state.machine.restarted_at(log_start);
        Ok(log_start < recovery_point)
    }

    /// Where the log ends, if its topic says that it is not to be fetched on before all up to there is on the disk.
    pub(crate) fn unflushed(&self) -> Option<Offset> {
        self.lock().unflushed()
    }

    /// Whether everything below `offset` is on the disk.
    pub(crate) fn is_flushed(&self, offset: Offset) -> bool {
        self.lock().machine.log().flushed >= offset
    }

    /// Wakes `waiter` when everything below `offset` is on the disk, or the role changes; `None` if it is there already.
    pub(crate) fn park_flush(&self, offset: Offset, waiter: Arc<Notify>) -> Option<Ticket> {
        let mut state = self.lock();
        if state.machine.log().flushed >= offset || state.machine.role() == Role::Offline {
            return None;
        }
        state.flushes.park(offset, waiter.into()).ok()
    }
}

impl State {
    fn follows(&self, leader_epoch: LeaderEpoch) -> bool {
        let machine = &self.machine;
        matches!(machine.role(), Role::Follower { leader: Some(_) }) && machine.leader_epoch() == leader_epoch
    }

    fn append_fetched(
        &mut self,
        partition: &Partition,
        records: &[u8],
        now: Now,
    ) -> (Result<(), AppendError>, Woken) {
        let appended = self.log.append_as_follower(records, now);
        self.charge_producers();
        // Without room for all of it, some may have been appended.
        let effects = self.machine.appended(self.log.log_end_offset(), now.mono);
        let mut woken = self.woken(&effects);
        if let Err(AppendError::Storage(cause)) = &appended {
            woken.and(self.fail(&partition.name, cause));
        }
        (appended.map(|_| ()), woken)
    }

    /// Records that the leader has committed and this follower lacks.
    pub(in super::super) fn lag(&self) -> u64 {
        match self.machine.role() {
            Role::Follower { .. } => {
                let lag = self.leader_high_watermark.get() - self.log.log_end_offset().get();
                u64::try_from(lag).unwrap_or(0)
            }
            Role::Leader { .. } | Role::Offline => 0,
        }
    }

    fn follow_offsets(&mut self, fetched: &FetchedRecords<'_>) -> Woken {
        self.leader_high_watermark = fetched.high_watermark;
        let effects = self.machine.leader_high_watermark(fetched.high_watermark);
        let mut woken = self.woken(&effects);
        let log_start = fetched.log_start.min(self.machine.high_watermark());
        if log_start > self.log.log_start_offset() {
            self.log.increment_log_start_offset(log_start);
            let effects = self.machine.log_start_advanced(self.log.log_start_offset());
            woken.and(self.woken(&effects));
        }
        woken
    }

    fn taken(&mut self, now: Now) -> Taken {
        Taken {
            flush_due: self.unflushed().is_some() || self.log.flush_due(now),
            writeback: self.log.take_writeback(),
        }
    }

    fn unflushed(&self) -> Option<Offset> {
        let (flushed, leo) = (self.machine.log().flushed, self.machine.log().leo);
        let must_flush = self.machine.durability() == Durability::Flushed && flushed < leo;
        (must_flush && self.machine.role() != Role::Offline).then_some(leo)
    }

    /// Whether what was cut had been flushed.
    fn cut(&mut self, name: &TopicPartition, offset: Offset, now: Now) -> Result<bool, StorageError> {
        let (before, recovery_point) = (self.log.log_end_offset(), self.log.recovery_point());
        self.cuts += 1;
        if let Err(cause) = self.log.truncate_to(offset, now) {
            // Followers have nobody who waits but consumers, and these are woken by the change of role.
            self.fail(name, &cause).wake();
            return Err(cause);
        }
        let end = self.log.log_end_offset();
        let high_watermark = self.machine.high_watermark();
        self.charge_producers();
        match self.machine.truncated(end) {
            Ok(true) => {
                tracing::error!(partition = %name, %before, %end, %high_watermark, "committed records were cut off: the leader does not have them");
            }
            _ if end < before => {
                tracing::info!(partition = %name, %before, %end, "cut where the leader's log parts from this one")
            }
            _ => {}
        }
        Ok(end < recovery_point)
    }
}
