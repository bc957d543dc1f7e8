//! What a fetch session keeps between its requests: the partitions that it watches instead of reading them.

use std::sync::Arc;

use ottla_replication::session::{FetchSession, FetchSessionCache, SlotId};

use super::request::Replica;
use super::round::Target;
use crate::partitions::{Bell, PartitionRead, Seen, Watch};

/// The watched partitions of one session.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    bell: Arc<Bell>,
    /// By slot. One whose partition is due again may stay: it rings once too often.
    watches: Vec<Option<Watch>>,
}

/// A broker's sessions.
pub(crate) type FetchSessions = FetchSessionCache<Watches>;
/// A client's.
pub(super) type Session = FetchSession<Watches>;

/// What rings for the session.
pub(super) fn bell(session: &Session) -> &Arc<Bell> {
    &session.attached.bell
}

/// The session was asked for all that it has; by a follower, also for what need not be read.
pub(super) fn ask(session: &Session, replica: Replica) {
    if let Replica::Follower(follower) = replica
        && follower.is_the_registered_one()
    {
        bell(session).ask(follower.now);
    }
}

/// Makes those due that have something new.
pub(super) fn listen(session: &mut Session) {
    for slot in session.attached.bell.heard() {
        session.wake(slot);
    }
}

/// What was read of `target` has been settled: whoever has all of it need not read it again before it changes. A follower's
/// fetch says something even where there is nothing to read, unless it is in sync: then all that it says is when it was.
pub(super) fn rest(session: &mut Session, replica: Replica, target: &Target, read: &PartitionRead) {
    let Some(slot) = target.slot else { return };
    let follower = match replica {
        Replica::Consumer { .. } => None,
        Replica::Follower(follower) => Some(follower.broker),
        Replica::Debug => return,
    };
    let has_all =
        read.slice.is_none() && !read.redirects() && target.wanted.fetch_offset == read.high_watermark;
    if let (true, Some(partition)) = (has_all, target.partition()) {
        let seen = Seen {
            follower,
            offset: read.high_watermark,
            log_start: read.log_start_offset,
            current_leader_epoch: target.wanted.current_leader_epoch,
        };
        if let Some(watch) = partition.watch(&seen, bell(session), slot) {
            session.attached.put(slot, watch);
            session.rest(slot);
        }
    }
}

impl Watches {
    fn put(&mut self, slot: SlotId, watch: Watch) {
        if self.watches.len() <= slot.index() {
            self.watches.resize_with(slot.index() + 1, || None);
        }
        self.watches[slot.index()] = Some(watch);
    }
}
