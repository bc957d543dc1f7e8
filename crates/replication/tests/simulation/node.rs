//! A broker with one replica: the machine under test, and as much of a shell as it needs.

use ottla_model::{BrokerId, LeaderEpoch, MonoMs, Offset, PartitionEpoch};
use ottla_replication::truncation::{EpochEnd, EpochHistory, diverging_epoch, truncate_to};
use ottla_replication::{
    AlterPartitionAnswer, Durability, Effects, FollowerFetch, LogOffsets, PartitionConfig, PartitionMachine,
    Registration, Role, RoleChange, WaitList,
};

use crate::controller::Controller;
use crate::message::{Body, Message};

/// A record is its epoch and a number that no other record has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) epoch: LeaderEpoch,
    pub(crate) number: u64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    pub(crate) records: Vec<Record>,
    epochs: Vec<(LeaderEpoch, Offset)>,
}

impl Log {
    pub(crate) fn end(&self) -> Offset {
        Offset(i64::try_from(self.records.len()).unwrap())
    }

    pub(crate) fn from(&self, offset: Offset) -> &[Record] {
        self.records.get(index(offset)..).unwrap_or_default()
    }

    fn append(&mut self, records: &[Record]) {
        for record in records {
            self.assign(record.epoch, self.end());
            self.records.push(*record);
        }
    }

    fn assign(&mut self, epoch: LeaderEpoch, start: Offset) {
        if self.epochs.last().is_none_or(|(latest, _)| *latest < epoch) {
            self.epochs.retain(|(_, known_start)| *known_start < start);
            self.epochs.push((epoch, start));
        }
    }

    fn truncate(&mut self, end: Offset) {
        self.records.truncate(index(end));
        self.epochs.retain(|(_, start)| *start < end);
    }
}

impl EpochHistory for Log {
    fn end_of(&self, epoch: LeaderEpoch) -> Option<EpochEnd> {
        let latest = self.epochs.last()?.0;
        if epoch == latest {
            return Some(EpochEnd { epoch, end_offset: self.end() });
        }
        let after = self.epochs.iter().position(|(known, _)| *known > epoch)?;
        let floor = if after == 0 { epoch } else { self.epochs[after - 1].0 };
        Some(EpochEnd { epoch: floor, end_offset: self.epochs[after].1 })
    }
}

pub(crate) fn index(offset: Offset) -> usize {
    usize::try_from(offset.get()).unwrap()
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: BrokerId,
    pub(crate) up: bool,
    pub(crate) broker_epoch: i64,
    pub(crate) log: Log,
    flushed: Offset,
    pub(crate) machine: PartitionMachine,
    config: PartitionConfig,
    /// The one fetch that is out; a later one makes the answer to an earlier one void.
    fetch_id: u64,
    fetching_until: Option<MonoMs>,
    /// A proposal without an answer, and when to send it again.
    proposed: Option<(PartitionEpoch, MonoMs)>,
    waiting: WaitList<(Offset, u64)>,
    pub(crate) acknowledged: Vec<(Offset, u64)>,
}

impl Node {
    pub(crate) fn new(id: BrokerId, config: PartitionConfig) -> Self {
        Self {
            id,
            up: true,
            broker_epoch: 0,
            log: Log::default(),
            flushed: Offset::ZERO,
            machine: PartitionMachine::new(id, config, LogOffsets::default()),
            config,
            fetch_id: 0,
            fetching_until: None,
            proposed: None,
            waiting: WaitList::new(1_000),
            acknowledged: Vec::new(),
        }
    }

    /// The process dies; with the power, also what no flush has saved.
    pub(crate) fn crash(&mut self, power: bool) {
        self.up = false;
        if power {
            self.log.truncate(self.flushed);
        }
        let _ = self.waiting.all().count();
    }

    /// Starts again from what the disk holds; the HW comes from a checkpoint, which may be old.
    pub(crate) fn restart(&mut self, broker_epoch: i64, checkpoint: Offset) {
        let leo = self.log.end();
        self.flushed = leo;
        let log = LogOffsets { log_start: Offset::ZERO, high_watermark: checkpoint, flushed: leo, leo };
        self.machine = PartitionMachine::new(self.id, self.config, log);
        self.broker_epoch = broker_epoch;
        self.fetch_id += 1_000_000;
        self.fetching_until = None;
        self.proposed = None;
        self.up = true;
    }

    pub(crate) fn register(&mut self, registration: &Registration, now: MonoMs, out: &mut Vec<Message>) {
        let effects = self.machine.update(registration, now).unwrap();
        self.apply(effects, now, out);
    }

    pub(crate) fn produce(&mut self, number: u64, now: MonoMs, out: &mut Vec<Message>) {
        let Ok(epoch) = self.machine.begin_append(true) else { return };
        self.log.append(&[Record { epoch, number }]);
        let end = self.log.end();
        let effects = self.machine.appended(end, now);
        let _ = self.waiting.park(end, (end, number));
        self.apply(effects, now, out);
    }

    pub(crate) fn flush(&mut self, now: MonoMs, out: &mut Vec<Message>) {
        self.flushed = self.log.end();
        let effects = self.machine.flushed(self.flushed, now);
        self.apply(effects, now, out);
    }

    pub(crate) fn tick(&mut self, now: MonoMs, out: &mut Vec<Message>) {
        let effects = self.machine.tick(now);
        self.apply(effects, now, out);
        if let Some((proposed_at, _)) = self.proposed.filter(|(_, again)| now > *again) {
            self.answered(proposed_at, AlterPartitionAnswer::Retry, now, out);
        }
        if self.fetching_until.is_none_or(|until| now > until) {
            self.fetch(now, out);
        }
    }

    pub(crate) fn receive(
        &mut self,
        message: Message,
        controller: &Controller,
        now: MonoMs,
        out: &mut Vec<Message>,
    ) {
        match message.body {
            Body::Fetch { fetch_id, request, last_epoch } => {
                self.serve(message.from, fetch_id, request, last_epoch, controller, now, out);
            }
            Body::Fetched { fetch_id, epoch, high_watermark, from, records } => {
                if self.expects(fetch_id, epoch) {
                    self.fetched(high_watermark, from, &records, now, out);
                }
            }
            Body::Diverged { fetch_id, epoch, end } => {
                if self.expects(fetch_id, epoch) {
                    self.diverged(end, now, out);
                }
            }
            Body::AlterPartitionAnswer { broker_epoch, proposed_at, answer } => {
                if broker_epoch == self.broker_epoch {
                    self.answered(proposed_at, answer, now, out);
                }
            }
            Body::Registration(registration) => self.register(&registration, now, out),
            Body::AlterPartition { .. } => unreachable!("goes to the controller"),
        }
    }

    fn answered(
        &mut self,
        proposed_at: PartitionEpoch,
        answer: AlterPartitionAnswer,
        now: MonoMs,
        out: &mut Vec<Message>,
    ) {
        self.proposed = self.proposed.filter(|(epoch, _)| *epoch != proposed_at);
        let effects = self.machine.alter_partition_answered(proposed_at, answer, now);
        self.apply(effects, now, out);
    }

    fn fetch(&mut self, now: MonoMs, out: &mut Vec<Message>) {
        let Role::Follower { leader: Some(leader) } = self.machine.role() else { return };
        self.fetch_id += 1;
        self.fetching_until = Some(now.plus_ms(300));
        let request = FollowerFetch {
            broker: self.id,
            broker_epoch: Some(self.broker_epoch),
            standing: Controller::UNKNOWN,
            leader_epoch: Some(self.machine.leader_epoch()),
            fetch_offset: self.log.end(),
            log_start: Offset::ZERO,
        };
        let last_epoch = self.log.epochs.last().map(|(epoch, _)| *epoch);
        let body = Body::Fetch { fetch_id: self.fetch_id, request, last_epoch };
        out.push(Message { from: self.id, to: leader, body });
    }

    #[allow(clippy::too_many_arguments, reason = "a request's fields, spelled out")]
    fn serve(
        &mut self,
        from: BrokerId,
        fetch_id: u64,
        mut request: FollowerFetch,
        last_epoch: Option<LeaderEpoch>,
        controller: &Controller,
        now: MonoMs,
        out: &mut Vec<Message>,
    ) {
        let Ok(epoch) = self.machine.check_epoch(request.leader_epoch, true) else { return };
        let diverged =
            last_epoch.map(|last| diverging_epoch(&self.log, last, request.fetch_offset, Offset::ZERO));
        let body = match diverged {
            Some(Err(_)) => return,
            Some(Ok(Some(end))) => Body::Diverged { fetch_id, epoch, end },
            _ => {
                request.standing = controller.standing(from);
                let Ok(effects) = self.machine.follower_fetched(&request, now) else { return };
                self.apply(effects, now, out);
                let records = self.log.from(request.fetch_offset).iter().take(5).copied().collect();
                let high_watermark = self.machine.high_watermark();
                Body::Fetched { fetch_id, epoch, high_watermark, from: request.fetch_offset, records }
            }
        };
        out.push(Message { from: self.id, to: from, body });
    }

    fn expects(&self, fetch_id: u64, epoch: LeaderEpoch) -> bool {
        let follows = matches!(self.machine.role(), Role::Follower { .. });
        follows && fetch_id == self.fetch_id && epoch == self.machine.leader_epoch()
    }

    fn fetched(
        &mut self,
        high_watermark: Offset,
        from: Offset,
        records: &[Record],
        now: MonoMs,
        out: &mut Vec<Message>,
    ) {
        if from != self.log.end() {
            return;
        }
        self.log.append(records);
        let effects = self.machine.appended(self.log.end(), now);
        self.apply(effects, now, out);
        // The next fetch acknowledges: under the flushed policy it must tell the truth.
        if self.config.durability == Durability::Flushed {
            self.flush(now, out);
        }
        let effects = self.machine.leader_high_watermark(high_watermark);
        self.apply(effects, now, out);
        self.fetch(now, out);
    }

    fn diverged(&mut self, end: EpochEnd, now: MonoMs, out: &mut Vec<Message>) {
        let cut = truncate_to(&self.log, end, self.log.end());
        self.log.truncate(cut.offset);
        self.flushed = self.flushed.min(cut.offset);
        let below_high_watermark = self.machine.truncated(cut.offset).unwrap();
        assert!(!below_high_watermark, "{} cut committed records: {cut:?}", self.id);
        self.fetch(now, out);
    }

    fn apply(&mut self, effects: Effects, now: MonoMs, out: &mut Vec<Message>) {
        match effects.role {
            Some(RoleChange::Leader { leader_epoch, epoch_start }) => {
                self.log.assign(leader_epoch, epoch_start);
            }
            Some(_) => {
                self.fetching_until = None;
                let _ = self.waiting.all().count();
            }
            None => {}
        }
        if let Some(high_watermark) = effects.high_watermark {
            for (required, number) in self.waiting.reached(high_watermark) {
                if self.machine.acknowledged(required) == Some(Ok(())) {
                    self.acknowledged.push((required, number));
                }
            }
        }
        if let Some(proposal) = effects.alter_partition {
            if let Some(end) = proposal.flush_first {
                assert_eq!(end, self.log.end());
                self.flushed = end;
            }
            self.proposed = Some((proposal.partition_epoch, now.plus_ms(200)));
            let body = Body::AlterPartition { broker_epoch: self.broker_epoch, proposal };
            out.push(Message { from: self.id, to: Controller::ID, body });
        }
    }
}
