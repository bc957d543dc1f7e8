//! One replica: its log and its machine, as `broker/src/partitions/partition.rs` has them behind a lock.

use ottla_coordinator::WriteError;
use ottla_model::{LeaderEpoch, Now, Offset, TopicIdPartition, TopicPartition};
use ottla_replication::session::FetchPartition;
use ottla_replication::truncation::{EpochEnd, EpochHistory, truncate_to};
use ottla_replication::{
    AcksError, AppendError as Unready, Durability, Effects, PartitionMachine, Registration, Role, RoleChange,
    WaitList,
};
use ottla_storage::{AppendError, AppendOrigin, FlushTask, PartitionLog, StorageError};

use super::shell::Shell;
use crate::message::{Address, Body, Fetched, Message, Refusal};

const PARKED_MAX: usize = 10_000;

/// An acks=all produce that waits for the high watermark.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parked {
    client: Address,
    request: u64,
    required: Offset,
    first: Offset,
}

pub(crate) struct Replica {
    pub(crate) name: TopicPartition,
    pub(crate) id: TopicIdPartition,
    pub(crate) log: PartitionLog,
    pub(crate) machine: PartitionMachine,
    produces: WaitList<Parked>,
    /// How often a follower's log was cut at its end.
    cuts: u64,
    /// A flush that is under way.
    pub(crate) flushing: Option<(FlushTask, u64)>,
    pub(crate) flush_wanted: bool,
}

struct Epochs<'a>(&'a PartitionLog);

impl EpochHistory for Epochs<'_> {
    fn end_of(&self, epoch: LeaderEpoch) -> Option<EpochEnd> {
        let end = self.0.end_offset_for_epoch(epoch)?;
        Some(EpochEnd { epoch: end.epoch, end_offset: end.end_offset })
    }
}

impl Replica {
    pub(crate) fn new(
        name: TopicPartition,
        id: TopicIdPartition,
        log: PartitionLog,
        machine: PartitionMachine,
    ) -> Self {
        let produces = WaitList::new(PARKED_MAX);
        Self { name, id, log, machine, produces, cuts: 0, flushing: None, flush_wanted: false }
    }

    pub(crate) fn update(&mut self, registration: &Registration, now: Now, shell: &mut Shell) -> bool {
        let Ok(effects) = self.machine.update(registration, now.mono) else {
            shell.complain("metadata refused", format!("{}: {registration:?}", self.name));
            return false;
        };
        if let Some(RoleChange::Leader { leader_epoch, .. }) = effects.role {
            self.log.assign_epoch(leader_epoch);
        }
        let changed = effects.role.is_some();
        self.settle(&effects, shell);
        changed
    }

    pub(crate) fn produce(
        &mut self,
        client: Address,
        request: u64,
        records: &[u8],
        acks_all: bool,
        now: Now,
        shell: &mut Shell,
    ) {
        let begun = self.machine.begin_append(acks_all);
        match self.append(records, begun, AppendOrigin::Client, now, shell) {
            Err(refusal) => shell.answer(client, Body::Produced { request, outcome: Err(refusal) }),
            Ok((first, last)) if acks_all => {
                self.finish(Parked { client, request, required: last.plus(1), first }, shell);
            }
            Ok((first, _)) => shell.answer(client, Body::Produced { request, outcome: Ok(first) }),
        }
    }

    /// The offset of the last record.
    pub(crate) fn append_for_coordinator(
        &mut self,
        leader_epoch: LeaderEpoch,
        batch: &[u8],
        now: Now,
        shell: &mut Shell,
    ) -> Result<Offset, WriteError> {
        let begun = self.machine.begin_append_in(leader_epoch);
        match self.append(batch, begun, AppendOrigin::Coordinator, now, shell) {
            Ok((_, last)) => Ok(last),
            Err(Refusal::NotEnoughReplicas) => Err(WriteError::NotEnoughReplicas),
            Err(Refusal::Storage) => Err(WriteError::Storage),
            Err(_) => Err(WriteError::NotLeader),
        }
    }

    fn append(
        &mut self,
        records: &[u8],
        begun: Result<LeaderEpoch, Unready>,
        origin: AppendOrigin,
        now: Now,
        shell: &mut Shell,
    ) -> Result<(Offset, Offset), Refusal> {
        let leader_epoch = begun.map_err(|error| match error {
            Unready::NotLeader => Refusal::NotLeader,
            Unready::NotEnoughReplicas { .. } => Refusal::NotEnoughReplicas,
        })?;
        let mut records = records.to_vec();
        let appended = self.log.append_as_leader(&mut records, leader_epoch, origin, now);
        let info = match appended {
            Ok(info) => info,
            Err(AppendError::Storage(cause)) => {
                self.fail(&cause, shell);
                if cause.is_for_lack_of_room() {
                    let effects = self.machine.hand_over();
                    self.settle(&effects, shell);
                }
                return Err(Refusal::Storage);
            }
            Err(AppendError::OutOfOrderSequence { .. }) => return Err(Refusal::OutOfOrderSequence),
            Err(error) => {
                shell.complain("append refused", format!("{}: {error}", self.name));
                return Err(Refusal::Storage);
            }
        };
        if info.duplicate {
            shell.count("duplicate batch answered");
        }
        let effects = self.machine.appended(info.log_end_offset, now.mono);
        self.settle(&effects, shell);
        self.flush_wanted |= self.log.flush_due(now);
        Ok((info.first_offset, info.last_offset))
    }

    /// Answers a produce, or has it wait.
    fn finish(&mut self, parked: Parked, shell: &mut Shell) {
        let outcome = match self.machine.acknowledged(parked.required) {
            None => {
                let _ = self.produces.park(parked.required, parked);
                return;
            }
            Some(Ok(())) => Ok(parked.first),
            Some(Err(AcksError::NotLeader)) => Err(Refusal::NotLeader),
            Some(Err(AcksError::NotEnoughReplicasAfterAppend { .. })) => Err(Refusal::NotEnoughReplicas),
        };
        shell.answer(parked.client, Body::Produced { request: parked.request, outcome });
    }

    /// What follows from a step of the machine.
    pub(crate) fn settle(&mut self, effects: &Effects, shell: &mut Shell) {
        if effects.is_empty() {
            return;
        }
        shell.woken = true;
        if let Some(proposal) = &effects.alter_partition {
            shell.proposals.insert(self.id, (**proposal).clone());
        }
        let mut woken = Vec::new();
        if let Some(high_watermark) = effects.high_watermark {
            self.look_at_flushed(high_watermark, shell);
            woken.extend(self.produces.reached(high_watermark));
        }
        if effects.role.is_some() {
            woken.extend(self.produces.all());
        }
        for parked in woken {
            self.finish(parked, shell);
        }
    }

    /// Where it is flushed before it is acknowledged, a leader commits only what is on its own disk, too.
    fn look_at_flushed(&self, high_watermark: Offset, shell: &mut Shell) {
        let (must, log) = (self.machine.durability() == Durability::Flushed, self.machine.log());
        if must && self.machine.is_leader() && log.flushed < high_watermark {
            let what = format!("{}: {high_watermark} is committed, {log:?}", self.name);
            shell.complain("what is committed is flushed on its leader, where the topic says so", what);
        }
    }

    /// Takes the replica offline, unless all that was missing is room.
    pub(crate) fn fail(&mut self, cause: &StorageError, shell: &mut Shell) {
        shell.dir_failed |= cause.is_of_the_disk() && !cause.is_for_lack_of_room();
        if self.log.is_offline() && !matches!(cause, StorageError::Offline { .. }) {
            let effects = self.machine.offline();
            self.settle(&effects, shell);
        }
    }

    pub(crate) fn follows(&self, leader_epoch: LeaderEpoch) -> bool {
        let machine = &self.machine;
        matches!(machine.role(), Role::Follower { leader: Some(_) }) && machine.leader_epoch() == leader_epoch
    }

    pub(crate) fn fetch_position(&self, leader_epoch: LeaderEpoch, max_bytes: i32) -> Option<FetchPartition> {
        self.follows(leader_epoch).then(|| FetchPartition {
            fetch_offset: self.log.log_end_offset(),
            log_start: self.log.log_start_offset(),
            max_bytes,
            current_leader_epoch: Some(leader_epoch),
            last_fetched_epoch: self.log.latest_epoch(),
        })
    }

    /// Appends what a leader has sent, and follows its offsets. An answer that is out of date changes nothing.
    pub(crate) fn take_fetched(
        &mut self,
        leader_epoch: LeaderEpoch,
        fetch_offset: Offset,
        fetched: &Fetched,
        now: Now,
        shell: &mut Shell,
    ) -> Result<(), Refusal> {
        if !self.follows(leader_epoch) || self.log.log_end_offset() != fetch_offset {
            return Ok(());
        }
        if !fetched.records.is_empty() {
            let appended = self.log.append_as_follower(&fetched.records, now);
            let effects = self.machine.appended(self.log.log_end_offset(), now.mono);
            self.settle(&effects, shell);
            match appended {
                Ok(_) => {}
                Err(AppendError::Storage(cause)) => {
                    self.fail(&cause, shell);
                    return Err(Refusal::Storage);
                }
                Err(error) => {
                    shell.complain("fetched records refused", format!("{}: {error}", self.name));
                    return Err(Refusal::Storage);
                }
            }
        }
        let effects = self.machine.leader_high_watermark(fetched.high_watermark);
        self.settle(&effects, shell);
        let log_start = fetched.log_start.min(self.machine.high_watermark());
        if log_start > self.log.log_start_offset() {
            self.log.increment_log_start_offset(log_start);
            let effects = self.machine.log_start_advanced(self.log.log_start_offset());
            self.settle(&effects, shell);
        }
        self.flush_wanted |= self.log.flush_due(now) || self.unflushed().is_some();
        Ok(())
    }

    /// Not to be fetched on before all up to here is on the disk.
    pub(crate) fn unflushed(&self) -> Option<Offset> {
        let (flushed, leo) = (self.machine.log().flushed, self.machine.log().leo);
        let must = self.machine.durability() == Durability::Flushed;
        (must && flushed < leo && self.machine.role() != Role::Offline).then_some(leo)
    }

    pub(crate) fn truncate_diverging(
        &mut self,
        leader_epoch: LeaderEpoch,
        end: EpochEnd,
        now: Now,
        shell: &mut Shell,
    ) -> Result<(), Refusal> {
        if !self.follows(leader_epoch) {
            return Ok(());
        }
        let cut = truncate_to(&Epochs(&self.log), end, self.log.log_end_offset());
        shell.count("truncation");
        self.cut(cut.offset, now, shell)
    }

    pub(crate) fn truncate_to_end(
        &mut self,
        leader_epoch: LeaderEpoch,
        leader_end: Offset,
        now: Now,
        shell: &mut Shell,
    ) -> Result<(), Refusal> {
        if !self.follows(leader_epoch) {
            return Ok(());
        }
        shell.count("truncation to the leader's end");
        self.cut(leader_end, now, shell)
    }

    fn cut(&mut self, offset: Offset, now: Now, shell: &mut Shell) -> Result<(), Refusal> {
        self.cuts += 1;
        shell.cut = true;
        if let Err(cause) = self.log.truncate_to(offset, now) {
            self.fail(&cause, shell);
            return Err(Refusal::Storage);
        }
        if let Ok(true) = self.machine.truncated(self.log.log_end_offset()) {
            shell.count("truncation below the high watermark");
        }
        Ok(())
    }

    pub(crate) fn restart_at(
        &mut self,
        leader_epoch: LeaderEpoch,
        log_start: Offset,
        now: Now,
        shell: &mut Shell,
    ) -> Result<(), Refusal> {
        if !self.follows(leader_epoch) {
            return Ok(());
        }
        self.cuts += 1;
        shell.cut = true;
        if let Err(cause) = self.log.truncate_fully(log_start, now) {
            self.fail(&cause, shell);
            return Err(Refusal::Storage);
        }
        let _ = self.machine.restarted_at(log_start);
        Ok(())
    }

    /// Takes the task of a flush; whether there is one now.
    pub(crate) fn begin_flush(&mut self, shell: &mut Shell) -> bool {
        if self.flushing.is_some() {
            return false;
        }
        self.flush_wanted = false;
        match self.log.take_flush() {
            Ok(task) => self.flushing = task.map(|task| (task, self.cuts)),
            Err(cause) => self.fail(&cause, shell),
        }
        self.flushing.is_some()
    }

    pub(crate) fn end_flush(&mut self, now: Now, shell: &mut Shell) {
        let Some((task, cuts)) = self.flushing.take() else { return };
        let outcome = task.run();
        match self.log.flushed(&task, outcome, now) {
            // Of a log that was cut meanwhile it says nothing.
            Ok(()) if self.cuts != cuts => {}
            Ok(()) => {
                let effects = self.machine.flushed(task.up_to(), now.mono);
                self.settle(&effects, shell);
            }
            Err(cause) => self.fail(&cause, shell),
        }
    }

    /// At once, where an in-sync set of one is to be proposed.
    pub(crate) fn flush_now(&mut self, now: Now, shell: &mut Shell) {
        if self.begin_flush(shell) || self.flushing.is_some() {
            self.end_flush(now, shell);
        }
        if self.begin_flush(shell) {
            self.end_flush(now, shell);
        }
    }

    /// Ends the replica's work here.
    pub(crate) fn close(&mut self, shell: &mut Shell) {
        self.log.retire();
        let effects = self.machine.offline();
        self.settle(&effects, shell);
    }
}

impl Shell {
    pub(crate) fn answer(&mut self, to: Address, body: Body) {
        self.out.push(Message { from: self.own, to, body });
    }
}
