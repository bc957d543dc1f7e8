//! What a state machine must be to run in the engine.

use std::fmt;

use ottla_model::{MonoMs, Now};

use crate::timeline::WriteId;

/// A record of an internal topic.
pub trait Record: Sized + fmt::Debug {
    fn encode_key(&self) -> Vec<u8>;
    /// `None` is a tombstone.
    fn encode_value(&self) -> Option<Vec<u8>>;
    fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Self, RecordBytesError>;
}

/// Bytes in the log that are no record of this topic; the text says which and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RecordBytesError(pub String);

/// A record that contradicts the state: the log is broken, or the operation that made it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ReplayError(pub String);

/// Why a write did not (or not in time) become committed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    #[error("this broker no longer leads the partition")]
    NotLeader,
    #[error("fewer in-sync replicas than min.insync.replicas")]
    NotEnoughReplicas,
    #[error("not replicated in time")]
    TimedOut,
    #[error("{size} bytes of records, at most {max} fit a batch")]
    TooLarge { size: usize, max: usize },
    #[error("the log directory failed")]
    Storage,
    /// The same may succeed once there is room.
    #[error("the log directory is full")]
    NoRoom,
    #[error("the shard was closed")]
    Closed,
    #[error("{0}")]
    Replay(#[from] ReplayError),
    #[error("the batch could not be built")]
    Batch,
    #[error("a string is too long for a record")]
    Unwritable,
}

/// A replicated state machine. Hard state is what its records say and changes in [`replay`](Self::replay) only; soft
/// state (timers, parked requests) is its own affair and is lost when the partition moves.
pub trait Shard: Sized + fmt::Debug {
    type Record: Record;
    /// Names a waiting request; the driver's own type.
    type Token: fmt::Debug;
    type Response: fmt::Debug;
    /// What the machine wants to be told when a write is committed or has failed.
    type Completion: fmt::Debug;

    /// Applies a record: while loading, and for each record of an operation right after it.
    fn replay(&mut self, record: Self::Record) -> Result<(), ReplayError>;

    /// Forwarded to every [`TimelineMap`](crate::TimelineMap) of the machine.
    fn begin(&mut self, write: WriteId);
    /// Forwarded likewise.
    fn commit(&mut self, write: WriteId);
    /// Forwarded likewise; soft state follows in [`reverted`](Self::reverted).
    fn revert(&mut self, write: WriteId);

    /// After the last loaded record: builds soft state, starts timers.
    fn loaded(&mut self, now: Now, out: &mut Outcome<Self>);

    /// After a revert, before the completions of the reverted writes.
    fn reverted(&mut self, error: &WriteError, now: Now, out: &mut Outcome<Self>);

    /// A write's fate. After [`WriteError::TimedOut`] its records may still become committed.
    fn completed(
        &mut self,
        completion: Self::Completion,
        result: Result<(), WriteError>,
        now: Now,
        out: &mut Outcome<Self>,
    );

    fn next_deadline(&self) -> Option<MonoMs>;

    /// Handles one timer that is due; whether there was one.
    fn tick(&mut self, now: Now, out: &mut Outcome<Self>) -> bool;

    /// Answers every parked request: the partition has moved.
    fn close(&mut self, out: &mut Outcome<Self>);

    /// The answer in place of `response` if its write failed.
    fn failed(response: Self::Response, error: &WriteError) -> Self::Response;
}

/// What an operation leaves behind. Records of one operation go into one batch, all or none, unless it is
/// [divisible](Self::divisible).
#[derive(Debug)]
pub struct Outcome<S: Shard> {
    pub(crate) records: Vec<S::Record>,
    pub(crate) replies: Vec<(S::Token, S::Response)>,
    pub(crate) replies_now: Vec<(S::Token, S::Response)>,
    pub(crate) completion: Option<S::Completion>,
    pub(crate) is_divisible: bool,
}

impl<S: Shard> Default for Outcome<S> {
    fn default() -> Self {
        Self {
            records: Vec::new(),
            replies: Vec::new(),
            replies_now: Vec::new(),
            completion: None,
            is_divisible: false,
        }
    }
}

impl<S: Shard> Outcome<S> {
    pub fn record(&mut self, record: S::Record) {
        self.records.push(record);
    }

    pub fn records(&mut self, records: impl IntoIterator<Item = S::Record>) {
        self.records.extend(records);
    }

    /// The records may go into as many batches as they need, of which any may fail: each is right without the others.
    pub fn divisible(&mut self) {
        self.is_divisible = true;
    }

    #[must_use]
    pub fn has_records(&self) -> bool {
        !self.records.is_empty()
    }

    /// Answers once this operation's records and those of all earlier operations are committed.
    pub fn reply(&mut self, token: S::Token, response: S::Response) {
        self.replies.push((token, response));
    }

    /// Answers without waiting for any write.
    pub fn reply_now(&mut self, token: S::Token, response: S::Response) {
        self.replies_now.push((token, response));
    }

    /// Asks to be told of this operation's fate. One a write: a second replaces the first.
    pub fn on_completion(&mut self, completion: S::Completion) {
        self.completion = Some(completion);
    }
}
