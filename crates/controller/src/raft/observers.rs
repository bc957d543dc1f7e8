//! Who follows the metadata log without a vote, as the active controller sees it (DescribeQuorum, KIP-836).

use std::collections::BTreeMap;
use std::time::Duration;

use ottla_metadata::DirectoryId;
use ottla_model::{BrokerId, TimestampMs};

use super::pull::Pull;

/// One that has been silent for so long is none any more (`LeaderState.OBSERVER_SESSION_TIMEOUT_MS`).
const SESSION: Duration = Duration::from_secs(300);

/// Whether one that was last heard of then still counts.
pub(super) fn is_there(last_fetch: TimestampMs, now: TimestampMs) -> bool {
    let session_ms = i64::try_from(SESSION.as_millis()).unwrap_or(i64::MAX);
    now.get().saturating_sub(last_fetch.get()) < session_ms
}

/// How far one node's log reaches, and when it was last heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) log_end_offset: i64,
    pub(super) last_fetch: TimestampMs,
    pub(super) last_caught_up: TimestampMs,
    /// Where the leader's log ended when it fetched last.
    leader_end_offset: i64,
}

/// Observers by id and directory.
#[derive(Clone, Debug, Default)]
pub(super) struct Observers {
    seen: BTreeMap<(BrokerId, DirectoryId), Progress>,
}

impl Observers {
    /// Notes what a pull says of its observer; `leader_end_offset` is where the leader's log ends now.
    pub(super) fn pulled(&mut self, id: BrokerId, pull: &Pull, leader_end_offset: i64, now: TimestampMs) {
        let progress = self.seen.entry((id, pull.directory_id)).or_insert(Progress::unseen());
        progress.fetched(pull.end_offset, leader_end_offset, now);
        // The same node under another directory is another observer, and this one has gone with its disk.
        self.seen.retain(|(other, directory), _| *other != id || *directory == pull.directory_id);
    }

    /// Those that are there, by id.
    pub(super) fn list(&mut self, now: TimestampMs) -> Vec<(BrokerId, DirectoryId, Progress)> {
        self.seen.retain(|_, progress| is_there(progress.last_fetch, now));
        self.seen.iter().map(|((id, directory), progress)| (*id, *directory, *progress)).collect()
    }

    /// Another leader begins to count anew.
    pub(super) fn forget(&mut self) {
        self.seen.clear();
    }
}

impl Progress {
    pub(super) const fn unseen() -> Self {
        Self {
            log_end_offset: -1,
            last_fetch: TimestampMs::NONE,
            last_caught_up: TimestampMs::NONE,
            leader_end_offset: -1,
        }
    }

    /// Caught up is whoever has what the leader has now, or at its last fetch what it had then
    /// (`LeaderState.ReplicaState.updateFollowerState`).
    pub(super) fn fetched(&mut self, end_offset: i64, leader_end_offset: i64, now: TimestampMs) {
        if end_offset >= leader_end_offset {
            self.last_caught_up = self.last_caught_up.max(now);
        } else if self.leader_end_offset >= 0 && end_offset >= self.leader_end_offset {
            self.last_caught_up = self.last_caught_up.max(self.last_fetch);
        }
        self.log_end_offset = end_offset;
        self.last_fetch = self.last_fetch.max(now);
        self.leader_end_offset = leader_end_offset;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pull(end_offset: i64, directory: u128) -> Pull {
        let directory_id = DirectoryId(uuid::Uuid::from_u128(directory));
        Pull { directory_id, last: None, end_offset, leader: BrokerId(1), wait_ms: 0 }
    }

    #[test]
    fn caught_up_is_who_has_what_the_leader_had_at_the_last_fetch() {
        let mut progress = Progress::unseen();
        progress.fetched(5, 9, TimestampMs(100));
        assert_eq!((progress.last_fetch, progress.last_caught_up), (TimestampMs(100), TimestampMs::NONE));
        // It has all that was there at 100, and less than there is now.
        progress.fetched(9, 12, TimestampMs(200));
        assert_eq!((progress.last_fetch, progress.last_caught_up), (TimestampMs(200), TimestampMs(100)));
        progress.fetched(12, 12, TimestampMs(300));
        assert_eq!(progress.last_caught_up, TimestampMs(300));
        progress.fetched(12, 20, TimestampMs(400));
        assert_eq!(progress.last_caught_up, TimestampMs(300));
        assert_eq!(progress.log_end_offset, 12);
    }

    #[test]
    fn a_silent_observer_is_forgotten_and_a_new_disk_is_another_one() {
        let mut observers = Observers::default();
        observers.pulled(BrokerId(7), &pull(1, 1), 1, TimestampMs(0));
        observers.pulled(BrokerId(8), &pull(1, 2), 1, TimestampMs(299_999));
        let ids = |observers: &mut Observers, now| {
            observers.list(TimestampMs(now)).iter().map(|(id, ..)| id.get()).collect::<Vec<_>>()
        };
        assert_eq!(ids(&mut observers, 299_999), [7, 8]);
        assert_eq!(ids(&mut observers, 300_000), [8]);
        observers.pulled(BrokerId(8), &pull(0, 3), 1, TimestampMs(300_001));
        let listed = observers.list(TimestampMs(300_002));
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].1, DirectoryId(uuid::Uuid::from_u128(3)));
    }
}
