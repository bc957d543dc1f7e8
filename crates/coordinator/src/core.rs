//! The engine: one state machine, its outstanding writes and the replies that wait for them.

use std::collections::VecDeque;

use ottla_model::batch::{BatchBuilder, Compression};
use ottla_model::{MonoMs, Now, Offset, ProducerEpoch, ProducerId};
use ottla_planted::planted;

use crate::load::{LoadError, Loader};
use crate::shard::{Outcome, Record, Shard, WriteError};
use crate::timeline::WriteId;

/// Limits of an engine.
#[derive(Clone, Copy, Debug)]
pub struct CoreConfig {
    /// Largest batch the partition takes (`max.message.bytes`).
    pub batch_bytes_max: usize,
    /// How long a write may stay uncommitted before its requests are answered with an error
    /// (`offsets.commit.timeout.ms`).
    pub write_timeout_ms: u64,
    /// How the batches are compressed (`offsets.topic.compression.codec`).
    pub compression: Compression,
}

impl Default for CoreConfig {
    fn default() -> Self {
        Self { batch_bytes_max: 1_048_588, write_timeout_ms: 5_000, compression: Compression::None }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardState {
    Loading,
    Active,
    /// For good; a new leadership begins with a new engine.
    Closed,
}

/// Why an operation was not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotActive {
    /// `COORDINATOR_LOAD_IN_PROGRESS`.
    #[error("the partition is still being loaded")]
    Loading,
    /// `NOT_COORDINATOR`.
    #[error("the partition is not led here")]
    Closed,
}

/// A batch for the driver to append, before it polls the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    pub write: WriteId,
    /// One whole v2 batch with base offset 0; the log assigns offset and leader epoch.
    pub batch: Vec<u8>,
}

#[derive(Debug)]
struct Pending<S: Shard> {
    write: WriteId,
    /// Of the batch's last record; `None` until appended.
    last_offset: Option<Offset>,
    deadline: MonoMs,
    replies: Vec<(S::Token, S::Response)>,
    completion: Option<S::Completion>,
}

/// Runs a [`Shard`]. After each call the driver polls [`poll_append`](Self::poll_append) (reporting each append by
/// [`appended`](Self::appended) before it polls again) and [`poll_reply`](Self::poll_reply) until both are empty.
#[derive(Debug)]
pub struct ShardCore<S: Shard> {
    shard: S,
    config: CoreConfig,
    state: ShardState,
    loader: Loader<S::Record>,
    last_write: WriteId,
    high_watermark: Offset,
    /// Oldest first. Those with a `last_offset` come before those without.
    pending: VecDeque<Pending<S>>,
    appends: VecDeque<Append>,
    replies: VecDeque<(S::Token, S::Response)>,
}

impl<S: Shard> ShardCore<S> {
    /// An engine that is [`ShardState::Loading`].
    #[must_use]
    pub fn new(shard: S, config: CoreConfig) -> Self {
        Self {
            shard,
            config,
            state: ShardState::Loading,
            loader: Loader::default(),
            last_write: WriteId(0),
            high_watermark: Offset::ZERO,
            pending: VecDeque::new(),
            appends: VecDeque::new(),
            replies: VecDeque::new(),
        }
    }

    #[must_use]
    pub const fn state(&self) -> ShardState {
        self.state
    }

    /// Whether operations are run now.
    pub fn check_active(&self) -> Result<(), NotActive> {
        match self.state {
            ShardState::Active => Ok(()),
            ShardState::Loading if planted!("serves_while_loading") => Ok(()),
            ShardState::Loading => Err(NotActive::Loading),
            ShardState::Closed => Err(NotActive::Closed),
        }
    }

    /// Replays whole batches of the log, read up to the high watermark. The offset to read on from, `None` if `bytes`
    /// holds no batch.
    pub fn load(&mut self, bytes: &[u8]) -> Result<Option<Offset>, LoadError> {
        if self.state != ShardState::Loading {
            return Err(LoadError::NotLoading);
        }
        self.loader.load(bytes, &mut |record| self.shard.replay(record))
    }

    /// The log has been replayed up to `high_watermark`.
    pub fn loaded(&mut self, high_watermark: Offset, now: Now) {
        if self.state != ShardState::Loading {
            return;
        }
        self.loader = Loader::default();
        self.state = ShardState::Active;
        self.high_watermark = high_watermark;
        self.run(now, |shard, out| shard.loaded(now, out));
    }

    /// Runs an operation that may write.
    pub fn write(&mut self, now: Now, op: impl FnOnce(&mut S, &mut Outcome<S>)) -> Result<(), NotActive> {
        self.check_active()?;
        self.run(now, op);
        Ok(())
    }

    /// The machine, for operations that read its committed state.
    pub fn read(&self) -> Result<&S, NotActive> {
        self.check_active().map(|()| &self.shard)
    }

    /// The batch to append next. The result must be reported before the next is polled: after a failure the batches
    /// that followed are gone.
    pub fn poll_append(&mut self) -> Option<Append> {
        self.appends.pop_front()
    }

    pub fn poll_reply(&mut self) -> Option<(S::Token, S::Response)> {
        self.replies.pop_front()
    }

    /// The log's answer to an append: the offset of the batch's last record, or why there is none.
    pub fn appended(&mut self, write: WriteId, result: Result<Offset, WriteError>, now: Now) {
        match result {
            Ok(last_offset) => {
                if let Some(pending) = self.pending.iter_mut().find(|p| p.write == write) {
                    pending.last_offset = Some(last_offset);
                }
                self.complete_committed(now);
            }
            Err(error) => self.revert(write, &error, now),
        }
    }

    /// The partition's high watermark is now `offset` (exclusive).
    pub fn high_watermark(&mut self, offset: Offset, now: Now) {
        self.high_watermark = self.high_watermark.max(offset);
        self.complete_committed(now);
    }

    /// When [`tick`](Self::tick) is due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<MonoMs> {
        if self.state != ShardState::Active {
            return None;
        }
        let waiting = |p: &&Pending<S>| p.completion.is_some() || !p.replies.is_empty();
        let write = self.pending.iter().find(waiting).map(|p| p.deadline);
        [self.shard.next_deadline(), write].into_iter().flatten().min()
    }

    /// Runs what is due.
    pub fn tick(&mut self, now: Now) {
        if self.state != ShardState::Active {
            return;
        }
        self.expire_writes(now);
        loop {
            let mut due = false;
            self.run(now, |shard, out| due = shard.tick(now, out));
            if !due {
                return;
            }
        }
    }

    /// The partition is no longer led here: everything that waits is answered, nothing more is run.
    pub fn close(&mut self) {
        if self.state == ShardState::Closed {
            return;
        }
        self.state = ShardState::Closed;
        self.appends.clear();
        let replies = self.pending.drain(..).flat_map(|pending| pending.replies);
        let failed = replies.map(|(token, response)| {
            let is_told_so = !planted!("close_acknowledges");
            (token, if is_told_so { S::failed(response, &WriteError::Closed) } else { response })
        });
        self.replies.extend(failed);
        let mut out = Outcome::default();
        self.shard.close(&mut out);
        self.replies.extend(out.replies_now.into_iter().chain(out.replies));
    }

    fn run(&mut self, now: Now, op: impl FnOnce(&mut S, &mut Outcome<S>)) {
        let mut out = Outcome::default();
        op(&mut self.shard, &mut out);
        self.absorb(out, now);
    }

    fn absorb(&mut self, out: Outcome<S>, now: Now) {
        self.replies.extend(out.replies_now);
        if out.records.is_empty() {
            self.park(out.replies);
            if let Some(completion) = out.completion {
                self.run(now, |shard, out| shard.completed(completion, Ok(()), now, out));
            }
            return;
        }
        let mut records = out.records;
        if out.is_divisible {
            let mut rest = records.split_off(self.fitting(&records, now));
            while !rest.is_empty() {
                self.append(std::mem::replace(&mut records, rest), (Vec::new(), None), now);
                rest = records.split_off(self.fitting(&records, now));
            }
        }
        self.append(records, (out.replies, out.completion), now);
    }

    /// One write: all of its records in one batch, or none.
    fn append(&mut self, records: Vec<S::Record>, (replies, completion): Waiting<S>, now: Now) {
        let write = WriteId(self.last_write.0 + 1);
        self.last_write = write;
        match self.stage(write, records, now) {
            Ok(batch) => {
                self.appends.push_back(Append { write, batch });
                let deadline = now.mono.plus_ms(self.config.write_timeout_ms);
                self.pending.push_back(Pending { write, last_offset: None, deadline, replies, completion });
            }
            Err(error) => self.fail(vec![(replies, completion)], &error, now),
        }
    }

    /// How many records, from the first on, one batch takes; at least one.
    fn fitting(&self, records: &[S::Record], now: Now) -> usize {
        let mut builder = self.batch_builder();
        let is_over = |record: &S::Record| {
            let (key, value) = (record.encode_key(), record.encode_value());
            builder.push(now.wall, Some(&key), value.as_deref(), &[]);
            builder.size() > self.config.batch_bytes_max
        };
        records.iter().position(is_over).map_or(records.len(), |over| over.max(1))
    }

    /// Replays the records of a write and encodes them. On an error nothing has changed.
    fn stage(&mut self, write: WriteId, records: Vec<S::Record>, now: Now) -> Result<Vec<u8>, WriteError> {
        let mut builder = self.batch_builder();
        for record in &records {
            let (key, value) = (record.encode_key(), record.encode_value());
            check_readable::<S::Record>(&key, value.as_deref())?;
            builder.push(now.wall, Some(&key), value.as_deref(), &[]);
        }
        let (size, max) = (builder.size(), self.config.batch_bytes_max);
        if size > max {
            return Err(WriteError::TooLarge { size, max });
        }
        let batch = builder.build().map_err(|_| WriteError::Batch)?;
        self.shard.begin(write);
        for record in records {
            if let Err(error) = self.shard.replay(record) {
                self.shard.revert(write);
                return Err(error.into());
            }
        }
        Ok(batch)
    }

    /// Without a producer, and yet with sequences from 0: so Kafka's coordinators write.
    fn batch_builder(&self) -> BatchBuilder {
        BatchBuilder::new(Offset::ZERO)
            .producer(ProducerId::NONE, ProducerEpoch::NONE, 0)
            .compression(self.config.compression, None)
    }

    /// Replies of an operation without records: behind the last outstanding write.
    fn park(&mut self, replies: Vec<(S::Token, S::Response)>) {
        match self.pending.back_mut() {
            Some(pending) => pending.replies.extend(replies),
            None => self.replies.extend(replies),
        }
    }

    fn complete_committed(&mut self, now: Now) {
        let high_watermark = self.high_watermark;
        while let Some(pending) = self
            .pending
            .front()
            .filter(|p| {
                let is_covered = |o| {
                    o < high_watermark
                        || (o == high_watermark && planted!("reply_one_early"))
                        || planted!("reply_at_append")
                };
                p.last_offset.is_some_and(is_covered)
            })
            .is_some()
            .then(|| self.pending.pop_front())
            .flatten()
        {
            self.shard.commit(pending.write);
            self.replies.extend(pending.replies);
            if let Some(completion) = pending.completion {
                self.run(now, |shard, out| shard.completed(completion, Ok(()), now, out));
            }
        }
    }

    /// Undoes `write` and all later ones, and answers those that waited for them.
    fn revert(&mut self, write: WriteId, error: &WriteError, now: Now) {
        let Some(first) = self.pending.iter().position(|p| p.write >= write) else { return };
        self.appends.clear();
        let reverted: Vec<_> = self.pending.drain(first..).map(|p| (p.replies, p.completion)).collect();
        if !planted!("kept_after_failed_append") {
            self.shard.revert(write);
        }
        self.run(now, |shard, out| shard.reverted(error, now, out));
        self.fail(reverted, error, now);
    }

    fn fail(&mut self, writes: Vec<Waiting<S>>, error: &WriteError, now: Now) {
        let mut completions = Vec::new();
        for (replies, completion) in writes {
            let failed = replies.into_iter().map(|(token, response)| (token, S::failed(response, error)));
            self.replies.extend(failed);
            completions.extend(completion);
        }
        for completion in completions {
            self.run(now, |shard, out| shard.completed(completion, Err(error.clone()), now, out));
        }
    }

    /// The records stay: they may become committed later, and what they changed with them.
    fn expire_writes(&mut self, now: Now) {
        let mut expired = Vec::new();
        for pending in self.pending.iter_mut().filter(|p| p.deadline <= now.mono) {
            expired.push((std::mem::take(&mut pending.replies), pending.completion.take()));
        }
        self.fail(expired, &WriteError::TimedOut, now);
    }
}

/// The length of a string in a record is an `i16`, and requests may carry longer ones: what would not be read back must
/// not get into the log, where it would fail every later load.
fn check_readable<R: Record>(key: &[u8], value: Option<&[u8]>) -> Result<(), WriteError> {
    const STRING_LEN_MAX: usize = 0x7fff;
    let is_long = key.len() > STRING_LEN_MAX || value.is_some_and(|value| value.len() > STRING_LEN_MAX);
    let is_same = |read: R| read.encode_key() == key && read.encode_value().as_deref() == value;
    if !is_long || R::decode(key, value).is_ok_and(is_same) { Ok(()) } else { Err(WriteError::Unwritable) }
}

type Waiting<S> = (Vec<(<S as Shard>::Token, <S as Shard>::Response)>, Option<<S as Shard>::Completion>);

#[cfg(test)]
mod tests;
