//! One replica on this broker: its log and its machine behind one short lock.
//!
//! The machine decides, the log keeps the bytes, this shell carries what happened from one to the other and wakes who
//! waits. Nothing here awaits, and no fsync runs under the lock, but when a log moves to another log dir.

mod cleaning;
mod following;
mod leading;
#[cfg(test)]
mod leading_tests;
mod producers;
#[cfg(test)]
pub(super) mod tests;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ottla_model::{LeaderEpoch, MonoMs, Now, Offset, TopicIdPartition, TopicPartition};
use ottla_replication::{
    Effects, PartitionConfig, PartitionMachine, Registration, RoleChange, Ticket, WaitList,
};
use ottla_storage::{
    AppendInfo, AppendOrigin, FlushTask, PartitionLog, RetentionRun, StorageError, Writeback,
};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::DirFailures;
use super::error::{AppendError, PartitionError};
use super::traffic::Traffic;
use super::unfinished::{Listing, Locked};
use super::waiter::Waiter;
use crate::memory::Charge;
use crate::replication::IsrProposals;
use cleaning::CleaningGate;

pub(crate) use following::FetchedRecords;

/// Operations of one kind that may be parked on one partition.
const PARKED_MAX: usize = 100_000;

/// What an append with acks=all waits for; also what acks=1 is answered with.
#[derive(Debug)]
pub(crate) struct Appended {
    pub info: AppendInfo,
    /// The offset that the high watermark must reach.
    pub required: Offset,
    /// Whether it has.
    pub committed: bool,
    /// `flush.messages` or `flush.ms` ask for a flush.
    pub flush_due: bool,
    /// Enough has been appended for the kernel to begin writing it.
    pub writeback: Option<Writeback>,
}

/// Which answer of the produce path the caller waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acks {
    None,
    Leader,
    All,
}

/// A replica.
#[derive(Debug)]
pub(crate) struct Partition {
    pub name: TopicPartition,
    pub id: TopicIdPartition,
    state: Mutex<State>,
    pub traffic: Traffic,
    /// Copies of it are throttled while they are not in sync: led here, and followed here.
    pub throttled: (AtomicBool, AtomicBool),
    flush_turn: Mutex<FlushTurn>,
    cleaning: CleaningGate,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) log: PartitionLog,
    pub(super) machine: PartitionMachine,
    pub(super) id: TopicIdPartition,
    pub(super) listing: Listing,
    produces: WaitList<Waiter>,
    pub(super) fetches: WaitList<Waiter>,
    pub(super) follower_fetches: WaitList<Waiter>,
    flushes: WaitList<Waiter>,
    /// DeleteRecords that wait for followers.
    deletions: WaitList<Waiter>,
    proposals: Arc<IsrProposals>,
    /// As a follower's leader has told last.
    leader_high_watermark: Offset,
    /// How often a follower's log was cut at its end.
    cuts: u64,
    pub(super) failures: Arc<DirFailures>,
    /// What the log's producers take of the memory for all of them.
    producers: Charge,
    /// When silent ones were last looked for among them, where memory is short.
    producers_searched: Option<MonoMs>,
    /// The replica is no longer this broker's: its files may be gone.
    closed: bool,
}

/// Where a replica stands with the flusher: in the queue at most once, and with one thread at a time. Of two flushes at
/// once the later one might end first, without the names that the earlier one syncs, or without the error that the
/// kernel tells of only once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum FlushTurn {
    #[default]
    None,
    Queued,
    Running,
    /// And wanted again since it began.
    RunningAndWanted,
}

/// What a flush has written.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flushed {
    pub(super) bytes: u64,
    pub(super) closed_segments: usize,
}

/// Who is to be woken once the lock is gone.
#[must_use]
#[derive(Debug, Default)]
pub(super) struct Woken(Vec<Waiter>);

impl Woken {
    pub(super) fn wake(self) {
        for waiter in self.0 {
            waiter.wake();
        }
    }

    fn and(&mut self, others: Self) {
        self.0.extend(others.0);
    }
}

impl Partition {
    pub(crate) fn new(
        name: TopicPartition,
        id: TopicIdPartition,
        log: PartitionLog,
        machine: PartitionMachine,
        failures: Arc<DirFailures>,
        proposals: Arc<IsrProposals>,
        producers: Charge,
    ) -> Self {
        let mut state = State {
            log,
            machine,
            id,
            listing: Listing::default(),
            failures,
            proposals,
            leader_high_watermark: Offset::ZERO,
            cuts: 0,
            produces: WaitList::new(PARKED_MAX),
            fetches: WaitList::new(PARKED_MAX),
            follower_fetches: WaitList::new(PARKED_MAX),
            flushes: WaitList::new(PARKED_MAX),
            deletions: WaitList::new(PARKED_MAX),
            producers,
            producers_searched: None,
            closed: false,
        };
        state.charge_producers();
        Self {
            name,
            id,
            state: Mutex::new(state),
            traffic: Traffic::default(),
            throttled: Default::default(),
            flush_turn: Mutex::default(),
            cleaning: CleaningGate::default(),
        }
    }

    pub(super) fn lock(&self) -> Locked<'_> {
        Locked::new(self.state.lock())
    }

    /// Appends one client's or coordinator's batches, whose offsets and epoch are patched in place.
    pub(crate) fn append(
        &self,
        records: &mut [u8],
        acks: Acks,
        origin: AppendOrigin,
        now: Now,
    ) -> Result<Appended, AppendError> {
        self.append_begun(records, origin, now, |machine| machine.begin_append(acks == Acks::All))
    }

    /// What a coordinator appends in the epoch that it coordinates in, with acks=all; NOT_LEADER in any other one.
    pub(crate) fn append_in(
        &self,
        leader_epoch: LeaderEpoch,
        records: &mut [u8],
        now: Now,
    ) -> Result<Appended, AppendError> {
        let begin = |machine: &PartitionMachine| machine.begin_append_in(leader_epoch);
        self.append_begun(records, AppendOrigin::Coordinator, now, begin)
    }

    fn append_begun(
        &self,
        records: &mut [u8],
        origin: AppendOrigin,
        now: Now,
        begin: impl FnOnce(&PartitionMachine) -> Result<LeaderEpoch, ottla_replication::AppendError>,
    ) -> Result<Appended, AppendError> {
        let mut state = self.lock();
        let leader_epoch = begin(&state.machine)?;
        state.make_room_for_producer(records, now)?;
        let info = match state.log.append_as_leader(records, leader_epoch, origin, now) {
            Ok(info) => info,
            Err(error) => {
                if let ottla_storage::AppendError::Storage(cause) = &error {
                    let mut woken = state.fail(&self.name, cause);
                    if cause.is_for_lack_of_room() {
                        // Whoever is in sync may have room.
                        let effects = state.machine.hand_over();
                        woken.and(state.woken(&effects));
                    }
                    drop(state);
                    woken.wake();
                }
                return Err(error.into());
            }
        };
        state.charge_producers();
        let effects = state.machine.appended(info.log_end_offset, now.mono);
        let woken = state.woken(&effects);
        let required = info.last_offset.plus(1);
        let committed = matches!(state.machine.acknowledged(required), Some(Ok(())));
        let flush_due = state.log.flush_due(now);
        let writeback = state.log.take_writeback();
        drop(state);
        woken.wake();
        Ok(Appended { info, required, committed, flush_due, writeback })
    }

    /// Whether what ends at `required` is committed; `None` while it must wait.
    pub(crate) fn acknowledged(&self, required: Offset) -> Option<Result<(), AppendError>> {
        Some(self.lock().machine.acknowledged(required)?.map_err(AppendError::from))
    }

    /// Wakes `waiter` when the high watermark reaches `required`, or the role changes.
    pub(crate) fn park_produce(&self, required: Offset, waiter: Arc<Notify>) -> Option<Ticket> {
        self.lock().produces.park(required, waiter.into()).ok()
    }

    /// Wakes `waiter` when there is something to read at `offset`, or the role or the log's start changes.
    pub(crate) fn park_fetch(&self, offset: Offset, waiter: Arc<Notify>) -> Option<Ticket> {
        self.lock().fetches.park(offset, waiter.into()).ok()
    }

    /// Takes a parked produce back.
    pub(crate) fn cancel_produce(&self, ticket: Ticket) {
        self.lock().produces.cancel(ticket);
    }

    /// Takes a parked fetch back.
    pub(crate) fn cancel_fetch(&self, ticket: Ticket) {
        self.lock().fetches.cancel(ticket);
    }

    /// Takes in what the metadata says of the partition; gives the role if it is another one.
    pub(crate) fn update(
        &self,
        registration: &Registration,
        now: MonoMs,
    ) -> Result<Option<RoleChange>, PartitionError> {
        let mut state = self.lock();
        let before = state.machine.partition_epoch();
        let effects = state.machine.update(registration, now)?;
        let mut woken = state.woken(&effects);
        if state.machine.partition_epoch() != before {
            woken.0.extend(state.all_followers());
        }
        if let Some(RoleChange::Leader { leader_epoch, epoch_start }) = effects.role {
            state.log.assign_epoch(leader_epoch);
            tracing::debug!(partition = %self.name, %leader_epoch, %epoch_start, "leader");
        }
        drop(state);
        woken.wake();
        Ok(effects.role)
    }

    /// New settings for log and machine.
    pub(super) fn configure(
        &self,
        log: Arc<ottla_storage::LogConfig>,
        machine: PartitionConfig,
        now: MonoMs,
    ) {
        let mut state = self.lock();
        state.log.set_config(log);
        let effects = state.machine.configure(machine, now);
        let woken = state.woken(&effects);
        drop(state);
        woken.wake();
    }

    /// Ends the replica's work here: parked operations fail, appends are refused.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        // A flush under way must not write into the directory of a topic that gets the same name.
        state.log.retire();
        let effects = state.machine.offline();
        let woken = state.woken(&effects);
        drop(state);
        woken.wake();
    }

    /// Moves the log's start up to `offset`, or to the high watermark if it is `None`; gives the new log start.
    pub(crate) fn delete_records(&self, offset: Option<Offset>) -> Result<Offset, PartitionError> {
        let mut state = self.lock();
        if !state.machine.is_leader() {
            return Err(PartitionError::NotLeader);
        }
        let policy = state.log.config().cleanup_policy;
        if policy.compact && !policy.delete {
            return Err(PartitionError::PolicyViolation);
        }
        let high_watermark = state.machine.high_watermark();
        let offset = offset.unwrap_or(high_watermark);
        if offset < Offset::ZERO || offset > high_watermark {
            return Err(PartitionError::OffsetOutOfRange);
        }
        state.log.increment_log_start_offset(offset);
        let log_start = state.log.log_start_offset();
        let effects = state.machine.log_start_advanced(log_start);
        let mut woken = state.woken(&effects);
        woken.0.extend(state.readers());
        drop(state);
        woken.wake();
        Ok(log_start)
    }

    /// Applies retention by time and size.
    pub(super) fn apply_retention(&self, now: Now) -> Result<RetentionRun, StorageError> {
        if self.lock().log.config().retention_bytes >= 0 {
            self.learn_sizes();
        }
        self.on_log(|state| {
            let high_watermark = state.machine.high_watermark();
            let run = state.log.apply_retention(now, high_watermark)?;
            let log_start = state.log.log_start_offset();
            Ok((run, state.machine.log_start_advanced(log_start)))
        })
    }

    /// Removes the files that retention renamed `file.delete.delay.ms` ago.
    pub(super) fn remove_deleted_files(&self, now: Now) -> Result<(), StorageError> {
        self.on_log(|state| Ok((state.log.remove_deleted_files(now)?, Effects::default())))
    }

    /// Works on the log of a replica that is still here; a failure takes it offline.
    fn on_log<T: Default>(
        &self,
        work: impl FnOnce(&mut State) -> Result<(T, Effects), StorageError>,
    ) -> Result<T, StorageError> {
        let mut state = self.lock();
        if state.closed {
            return Ok(T::default());
        }
        let log_start = state.log.log_start_offset();
        let (outcome, mut woken) = match work(&mut state) {
            Ok((done, effects)) => (Ok(done), state.woken(&effects)),
            Err(cause) => {
                let woken = state.fail(&self.name, &cause);
                (Err(cause), woken)
            }
        };
        if state.log.log_start_offset() != log_start {
            // Readers are told.
            woken.0.extend(state.readers());
        }
        drop(state);
        woken.wake();
        outcome
    }

    /// Whether the log is subject to compaction.
    pub(super) fn is_compacted(&self) -> bool {
        self.lock().log.config().cleanup_policy.compact
    }

    /// Whether the replica's work here has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Works on the log itself, which may be another one afterwards; `None` if the replica's work here has ended.
    pub(super) fn lend_log<T>(&self, work: impl FnOnce(&mut PartitionLog) -> T) -> Option<T> {
        let mut state = self.lock();
        if state.closed { None } else { Some(work(&mut state.log)) }
    }

    /// Notes that a flush is wanted; true if the caller is to queue the partition for it.
    pub(super) fn queue_flush(&self) -> bool {
        let mut turn = self.flush_turn.lock();
        let was = *turn;
        *turn = match was {
            FlushTurn::None | FlushTurn::Queued => FlushTurn::Queued,
            FlushTurn::Running | FlushTurn::RunningAndWanted => FlushTurn::RunningAndWanted,
        };
        was == FlushTurn::None
    }

    /// The partition's turn in the flusher's queue has ended; true if the caller is to queue it again.
    pub(super) fn flush_ended(&self) -> bool {
        let mut turn = self.flush_turn.lock();
        let again = *turn == FlushTurn::RunningAndWanted;
        *turn = if again { FlushTurn::Queued } else { FlushTurn::None };
        again
    }

    /// Whether a flush is due by the settings, or because something has been unflushed for `max_ms`.
    pub(super) fn is_flush_due(&self, now: Now, max_ms: u64) -> bool {
        self.lock().is_flush_due(now, max_ms)
    }

    /// Gives back the descriptors that nobody used since the last call.
    pub(super) fn close_idle_files(&self) {
        self.lock().log.close_idle_files();
    }

    /// Writes what was appended so far to the disk, without holding the lock while the disk works. The caller then asks
    /// [`Partition::flush_ended`]. Gives what a recovery need not look at any more.
    pub(super) fn flush(&self, now: impl Fn() -> Now) -> Result<Flushed, StorageError> {
        *self.flush_turn.lock() = FlushTurn::Running;
        let Some((task, cuts)) = self.take_flush()? else { return Ok(Flushed::default()) };
        let outcome = task.run();
        let mut state = self.lock();
        if state.closed {
            return Ok(Flushed::default());
        }
        let flushed = state.log.flushed(&task, outcome, now());
        let woken = match &flushed {
            // Of a log that was cut meanwhile it says nothing: what is there now may be younger.
            Ok(()) if state.cuts != cuts => Woken::default(),
            Ok(()) => {
                let effects = state.machine.flushed(task.up_to(), now().mono);
                let mut woken = state.woken(&effects);
                let flushed = state.machine.log().flushed;
                woken.0.extend(state.flushes.reached(flushed));
                woken
            }
            Err(cause) => state.fail(&self.name, cause),
        };
        drop(state);
        woken.wake();
        flushed.map(|()| Flushed { bytes: task.bytes(), closed_segments: task.closed_segments() })
    }

    fn take_flush(&self) -> Result<Option<(FlushTask, u64)>, StorageError> {
        let mut state = self.lock();
        if state.closed {
            return Ok(None);
        }
        let was_online = !state.log.is_offline();
        let taken = state.log.take_flush();
        let woken = match &taken {
            Err(cause) if was_online => state.fail(&self.name, cause),
            _ => Woken::default(),
        };
        let cuts = state.cuts;
        drop(state);
        woken.wake();
        Ok(taken?.map(|task| (task, cuts)))
    }

    pub(crate) fn high_watermark(&self) -> Offset {
        self.lock().machine.high_watermark()
    }

    /// As long as it is led here in that epoch.
    pub(crate) fn high_watermark_in(&self, leader_epoch: LeaderEpoch) -> Option<Offset> {
        self.lock().machine.high_watermark_in(leader_epoch)
    }
}

impl State {
    /// Whether the replica's work here has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn is_flush_due(&self, now: Now, max_ms: u64) -> bool {
        self.log.flush_due(now) || self.log.unflushed_ms(now).is_some_and(|ms| ms >= max_ms)
    }

    /// Who may go on by the effects of a step; what the controller is to be asked is put where that is done.
    pub(super) fn woken(&mut self, effects: &Effects) -> Woken {
        if effects.is_empty() {
            return Woken::default();
        }
        if let Some(proposal) = &effects.alter_partition {
            self.proposals.propose(self.id, (**proposal).clone());
        }
        let mut woken = Vec::new();
        if let Some(end) = effects.log_end {
            woken.extend(self.followers_before(end));
        }
        if let Some(high_watermark) = effects.high_watermark {
            woken.extend(self.produces.reached(high_watermark));
            woken.extend(self.fetches.passed(high_watermark));
        }
        if effects.role.is_some() {
            woken.extend(self.produces.all());
            woken.extend(self.fetches.all());
            woken.extend(self.all_followers());
            woken.extend(self.flushes.all());
            woken.extend(self.deletions.all());
        }
        Woken(woken)
    }

    /// Whoever waits for something to read: where the log begins is news, too.
    fn readers(&mut self) -> Vec<Waiter> {
        self.fetches.all().chain(self.all_followers()).collect()
    }

    /// Has the dir looked at if the disk is why nothing could be read.
    pub(super) fn failed_read(&self, error: PartitionError) -> PartitionError {
        if let PartitionError::Storage(cause) = &error {
            self.failures.report(cause, self.log.dir());
        }
        error
    }

    /// Has the dir looked at, and takes the replica offline, unless all that was missing is room.
    fn fail(&mut self, name: &TopicPartition, cause: &StorageError) -> Woken {
        self.failures.report(cause, self.log.dir());
        // Of one that is offline already that was said.
        if !self.log.is_offline() || matches!(cause, StorageError::Offline { .. }) {
            return Woken::default();
        }
        tracing::error!(partition = %name, error = %cause, "replica offline");
        let effects = self.machine.offline();
        self.woken(&effects)
    }
}
