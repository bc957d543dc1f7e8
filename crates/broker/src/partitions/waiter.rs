//! Who waits for a partition: a request for as long as it lasts, or a fetch session from one request to the next.
//!
//! A session that has seen all of a partition watches it, and reads it again only after its bell has rung for it: what a
//! fetch costs follows what has changed, however many partitions its session has.

use std::sync::{Arc, Weak};

use ottla_model::{LeaderEpoch, Offset};
use ottla_replication::Ticket;
use ottla_replication::session::SlotId;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::partition::Partition;

/// One that is told once.
#[derive(Debug)]
pub(super) enum Waiter {
    Request(Arc<Notify>),
    /// With the session's name for the partition.
    Session(Arc<Bell>, SlotId),
}

impl Waiter {
    pub(super) fn wake(self) {
        match self {
            Self::Request(waiter) => waiter.notify_one(),
            Self::Session(bell, slot) => {
                bell.rung.lock().push(slot);
                bell.notify.notify_one();
            }
        }
    }
}

impl From<Arc<Notify>> for Waiter {
    fn from(waiter: Arc<Notify>) -> Self {
        Self::Request(waiter)
    }
}

/// Rings for those of a session's partitions that have something new, until the session has heard of it.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: Mutex<Vec<SlotId>>,
    /// For the session's request that waits.
    pub(crate) notify: Arc<Notify>,
}

impl Bell {
    /// The partitions for which it has rung since it was last asked.
    pub(crate) fn heard(&self) -> Vec<SlotId> {
        std::mem::take(&mut *self.rung.lock())
    }
}

/// All that a reader has been told of a partition in which nothing more is to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// Where it reads on, which is the high watermark.
    pub offset: Offset,
    pub log_start: Offset,
    /// Of the leader, as the reader knows it.
    pub current_leader_epoch: Option<LeaderEpoch>,
}

/// A partition that is watched for a session, until this is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    /// A replica that goes has rung before.
    partition: Weak<Partition>,
    ticket: Ticket,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(partition) = self.partition.upgrade() {
            partition.cancel_fetch(self.ticket);
        }
    }
}

impl Partition {
    /// Rings once a reader who has `seen` all would be told something else. `None` where that is so already, or where too
    /// many wait.
    pub(crate) fn watch(self: &Arc<Self>, seen: &Seen, bell: &Arc<Bell>, slot: SlotId) -> Option<Watch> {
        let mut state = self.lock();
        let is_all = !state.is_closed()
            && state.machine.high_watermark() == seen.offset
            && state.log.log_start_offset() == seen.log_start
            && state.machine.check_epoch(seen.current_leader_epoch, true).is_ok();
        if !is_all {
            return None;
        }
        let ticket = state.fetches.park(seen.offset, Waiter::Session(Arc::clone(bell), slot)).ok()?;
        Some(Watch { partition: Arc::downgrade(self), ticket })
    }
}
