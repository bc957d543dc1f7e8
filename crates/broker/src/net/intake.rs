//! The memory that one connection's incoming bytes take, and whether its peer deserves it.
//!
//! What has come in is charged, not what a frame announces: a peer that announces 100 MB and sends a byte a second holds
//! next to nothing. When the pool is full nothing is read until there is room, except by one connection at a time, so
//! that a frame larger than the pool passes, and frames that each hold a part never wait for each other.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{AcquireError, OwnedSemaphorePermit};
use tokio::time::Instant;

use crate::memory::{Charge, Pool};

/// What one receive asks for at most, until a large frame has shown that it comes.
pub(super) const READ_LEN: usize = 64 * 1024;
/// What one receive of a large frame asks for at most.
pub(super) const LARGE_READ_LEN: usize = 1024 * 1024;

type Turn = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>;

/// The account of one connection.
pub(super) struct Intake {
    charge: Charge,
    /// What it had to wait for, in bytes.
    wanted_len: usize,
    /// The place in the queue of those that may go beyond the limit, while there is no room.
    turn: Option<Turn>,
    /// May go beyond the limit until its frame is whole.
    beyond: Option<OwnedSemaphorePermit>,
    watch: Watch,
}

/// Sees whether a peer moves enough bytes while others wait for the memory that he holds.
#[derive(Debug)]
pub(super) struct Watch {
    period: Duration,
    since: Instant,
    moved_len: usize,
}

/// Bytes a period that nobody is called slow for.
const MOVED_LEN_MIN: usize = 64 * 1024;

impl Watch {
    pub(super) fn new(period: Duration) -> Self {
        Self { period, since: Instant::now(), moved_len: 0 }
    }

    pub(super) fn moved(&mut self, len: usize) {
        self.moved_len += len;
    }

    /// Begins a new period.
    pub(super) fn reset(&mut self, now: Instant) {
        self.since = now;
        self.moved_len = 0;
    }

    pub(super) fn due(&self) -> Instant {
        self.since + self.period
    }

    /// Whether the peer hardly moved in the period that has ended, and keeps memory that others wait for; begins the next
    /// period.
    pub(super) fn finds_slow(&mut self, pool: &Pool, now: Instant) -> bool {
        if now < self.due() {
            return false;
        }
        let slow = self.moved_len < MOVED_LEN_MIN && pool.is_wanted();
        self.reset(now);
        if slow {
            pool.push_back();
        }
        slow
    }
}

impl Intake {
    pub(super) fn new(pool: &Arc<Pool>, stall: Duration) -> Self {
        Self { charge: pool.account(), wanted_len: 0, turn: None, beyond: None, watch: Watch::new(stall) }
    }

    /// Bytes that the next receive may ask for, with `held` bytes in the buffer of a frame that lacks `missing` more (0
    /// if that is not known). `None`: there is no room, see [`Self::room`].
    pub(super) fn read_len(&mut self, held: usize, missing: usize) -> Option<usize> {
        // Twice what came so far: memory follows bytes, at most a doubling ahead.
        let len =
            if missing <= READ_LEN { READ_LEN } else { missing.min(held.clamp(READ_LEN, LARGE_READ_LEN)) };
        if self.beyond.is_some() {
            self.charge.set(held + len);
        } else if !self.charge.try_set(held + len) {
            if self.turn.is_none() {
                self.charge.pool().push_back();
                self.turn = Some(Box::pin(Arc::clone(&self.charge.pool().beyond).acquire_owned()));
            }
            self.wanted_len = (held + len).saturating_sub(self.charge.len());
            return None;
        }
        self.turn = None;
        Some(len)
    }

    /// The connection reads nothing for now: a turn that comes meanwhile must not be kept from others.
    pub(super) fn leave_queue(&mut self) {
        self.turn = None;
    }

    /// Whether the next receive waits for room.
    pub(super) fn waits(&self) -> bool {
        self.turn.is_some()
    }

    /// Ends when it is worth asking [`Self::read_len`] again. Cancel safe: the place in the queue is kept.
    pub(super) async fn room(&mut self) {
        let pool = Arc::clone(self.charge.pool());
        let Some(turn) = self.turn.as_mut() else { return };
        let permit = tokio::select! {
            permit = turn => permit.ok(),
            () = pool.room(self.wanted_len) => None,
        };
        if permit.is_some() {
            self.turn = None;
            self.beyond = permit;
        }
        // Who could not send is not slow.
        self.watch.reset(Instant::now());
    }

    pub(super) fn received(&mut self, len: usize) {
        self.watch.moved(len);
    }

    /// Whole frames have left the buffer, in which `held` bytes of the next one are.
    pub(super) fn settle(&mut self, held: usize, took_frames: bool) {
        if took_frames || held == 0 {
            self.beyond = None;
            self.watch.reset(Instant::now());
        }
        self.charge.set(held);
    }

    /// When to ask [`Self::is_slow`]; `None` for a connection that holds nothing or may not read.
    pub(super) fn check_at(&self) -> Option<Instant> {
        (self.charge.len() > 0 && !self.waits()).then(|| self.watch.due())
    }

    /// Whether the peer keeps memory that others wait for and hardly sends.
    pub(super) fn is_slow(&mut self, now: Instant) -> bool {
        self.watch.finds_slow(self.charge.pool(), now)
    }
}
