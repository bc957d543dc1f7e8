//! Who waits for a partition: a request for as long as it lasts, or a fetch session from one request to the next.
//!
//! A session that has seen all of a partition watches it, and reads it again only after its bell has rung for it: what a
//! fetch costs follows what has changed, however many partitions its session has.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use ottla_model::{BrokerId, LeaderEpoch, MonoMs, Offset};
use ottla_replication::Ticket;
use ottla_replication::session::SlotId;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::partition::Partition;

/// One that is told once.
#[derive(Debug)]
pub(super) enum Waiter {
    Request(Arc<Notify>),
    /// With the session's name for the partition, and whose it is, if it is a follower's.
    Session(Arc<Bell>, SlotId, Option<Settled>),
}

/// A follower that has the whole log, up to `offset`, and goes on asking whether there is more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settled {
    pub(super) broker: BrokerId,
    pub(super) offset: Offset,
}

impl Waiter {
    pub(super) fn wake(self) {
        match self {
            Self::Request(waiter) => waiter.notify_one(),
            Self::Session(bell, slot, _) => {
                bell.rung.lock().push(slot);
                bell.notify.notify_one();
            }
        }
    }

    /// The follower that waits, and when it last asked.
    pub(super) fn settled(&self) -> Option<(Settled, MonoMs)> {
        match self {
            Self::Session(bell, _, settled) => Some(((*settled)?, bell.asked())),
            Self::Request(_) => None,
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
    /// [`MonoMs`].
    asked: AtomicU64,
    /// For the session's request that waits.
    pub(crate) notify: Arc<Notify>,
}

impl Bell {
    /// The partitions for which it has rung since it was last asked.
    pub(crate) fn heard(&self) -> Vec<SlotId> {
        std::mem::take(&mut *self.rung.lock())
    }

    /// The session has been asked for all that it has.
    pub(crate) fn ask(&self, now: MonoMs) {
        self.asked.store(now.0, Ordering::Release);
    }

    fn asked(&self) -> MonoMs {
        MonoMs(self.asked.load(Ordering::Acquire))
    }
}

/// All that a reader has been told of a partition in which nothing more is to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// Who reads, if it is a follower, which reads up to the end of the log.
    pub follower: Option<BrokerId>,
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
    of_follower: bool,
}

impl Drop for Watch {
    fn drop(&mut self) {
        match self.partition.upgrade() {
            Some(partition) if self.of_follower => partition.cancel_follower(self.ticket),
            Some(partition) => partition.cancel_fetch(self.ticket),
            None => {}
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
            && state.machine.check_epoch(seen.current_leader_epoch, true).is_ok()
            && seen.follower.is_none_or(|broker| state.machine.is_settled(broker));
        if !is_all {
            return None;
        }
        let settled = seen.follower.map(|broker| Settled { broker, offset: seen.offset });
        let waiter = Waiter::Session(Arc::clone(bell), slot, settled);
        let of_follower = settled.is_some();
        let list = if of_follower { &mut state.follower_fetches } else { &mut state.fetches };
        let ticket = list.park(seen.offset, waiter).ok()?;
        Some(Watch { partition: Arc::downgrade(self), ticket, of_follower })
    }
}
