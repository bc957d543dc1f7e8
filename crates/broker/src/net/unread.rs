//! The memory of one connection's answers that its peer has not read, and whether he deserves it.
//!
//! What leaves in the turn in which it was made is not charged: only what stays behind.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::intake::Watch;
use crate::memory::{Charge, Pool};

/// Bytes in memory that one connection may leave unread, beside the answer that goes over it.
const HELD_LEN_MAX: usize = 4 * 1024 * 1024;
/// No one connection has more than this part of the pool: many that do not read are found out at once.
const SHARE: u64 = 64;
const SHARE_MIN: usize = 16 * 1024;

/// The account of one connection.
pub(super) struct Unread {
    charge: Charge,
    held_len_max: usize,
    watch: Watch,
}

impl Unread {
    pub(super) fn new(pool: &Arc<Pool>, stall: Duration) -> Self {
        let share = usize::try_from(pool.limit() / SHARE).unwrap_or(HELD_LEN_MAX);
        let held_len_max = share.clamp(SHARE_MIN, HELD_LEN_MAX);
        Self { charge: pool.account(), held_len_max, watch: Watch::new(stall) }
    }

    /// With so many bytes unread no further request is taken on.
    pub(super) fn held_len_max(&self) -> usize {
        self.held_len_max
    }

    /// After writing: `held` bytes are still here, `sent` have left.
    pub(super) fn settle(&mut self, held: usize, sent: usize) {
        if self.charge.len() == 0 && held > 0 {
            self.watch.reset(Instant::now());
        }
        self.watch.moved(sent);
        self.charge.set(held);
    }

    /// Nothing could be sent: the peer is not to blame.
    pub(super) fn kept_waiting(&mut self) {
        self.watch.reset(Instant::now());
    }

    /// When to ask [`Self::is_slow`]; `None` where nothing is held.
    pub(super) fn check_at(&self) -> Option<Instant> {
        (self.charge.len() > 0).then(|| self.watch.due())
    }

    /// Whether the peer keeps memory that others wait for and hardly reads.
    pub(super) fn is_slow(&mut self, now: Instant) -> bool {
        self.watch.finds_slow(self.charge.pool(), now)
    }
}
