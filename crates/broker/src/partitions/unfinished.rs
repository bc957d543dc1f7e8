//! The replicas with something that is not on the disk yet, or with files to remove: whoever looks after logs each second looks at
//! these, not at all that there are. And whether any high watermark has moved: else their checkpoint says all that it could.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ottla_model::{Now, Offset, TopicIdPartition};
use parking_lot::{Mutex, MutexGuard};

use super::partition::{Partition, State};

/// Their list. A replica is in it once; it puts itself there, whatever was done to its log.
#[derive(Debug, Default)]
pub(super) struct Unfinished {
    listed: Mutex<Vec<TopicIdPartition>>,
    high_watermark_moved: AtomicBool,
}

impl Unfinished {
    pub(super) fn take(&self) -> Vec<TopicIdPartition> {
        std::mem::take(&mut *self.listed.lock())
    }

    pub(super) fn take_moved(&self) -> bool {
        self.high_watermark_moved.swap(false, Ordering::AcqRel)
    }
}

/// A replica's part of it.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// None before the replica is in the registry.
    list: Option<Arc<Unfinished>>,
    is_listed: bool,
    /// As it was when it was last seen to move.
    high_watermark: Option<Offset>,
}

/// What a replica wants now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    pub(super) flush: bool,
    /// Files of deleted segments have been kept for long enough.
    pub(super) removal: bool,
}

/// A replica's state while its lock is held. When it is let go the replica is listed, if it has to be.
#[derive(Debug)]
pub(super) struct Locked<'a>(MutexGuard<'a, State>);

impl<'a> Locked<'a> {
    pub(super) fn new(state: MutexGuard<'a, State>) -> Self {
        Self(state)
    }
}

impl Deref for Locked<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.0
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.0
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let state = &mut *self.0;
        let Some(list) = &state.listing.list else { return };
        if !state.listing.is_listed && state.log.is_unfinished() {
            list.listed.lock().push(state.id);
            state.listing.is_listed = true;
        }
        let high_watermark = Some(state.machine.high_watermark());
        if state.listing.high_watermark != high_watermark {
            state.listing.high_watermark = high_watermark;
            list.high_watermark_moved.store(true, Ordering::Release);
        }
    }
}

impl Partition {
    /// From now on it is found by [`Unfinished`].
    pub(super) fn list_in(&self, list: Arc<Unfinished>) {
        self.lock().listing.list = Some(list);
    }

    /// Has its high watermark written as if it had moved: it is in another log dir, whose checkpoint does not know it.
    pub(super) fn tell_high_watermark(&self) {
        self.lock().listing.high_watermark = None;
    }

    /// What it wants, where something unflushed waits `unflushed_max_ms` at most. It was taken from the list, and is in it again
    /// if there is anything left to do.
    pub(super) fn look_after(&self, now: Now, unflushed_max_ms: u64) -> Due {
        let mut state = self.lock();
        state.listing.is_listed = false;
        Due {
            flush: state.is_flush_due(now, unflushed_max_ms),
            removal: !state.is_closed() && state.log.has_deleted_files_due(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use ottla_model::batch::BatchBuilder;
    use ottla_model::{MonoMs, Offset, TimestampMs, TopicId};
    use ottla_storage::{AppendOrigin, LogConfig};

    use super::super::Partitions;
    use super::super::partition::Acks;
    use super::super::partition::tests::{NOW, led};
    use super::*;

    fn append(partition: &Partition) {
        let mut builder = BatchBuilder::new(Offset::ZERO);
        builder.push(TimestampMs(1_000), None, Some(b"x"), &[]);
        partition.append(&mut builder.build().unwrap(), Acks::All, AppendOrigin::Client, NOW).unwrap();
    }

    #[test]
    fn a_high_watermark_that_moves_is_told_of_once() {
        let (partitions, replica) = listed(LogConfig::default());
        assert!(partitions.take_moved(), "a replica is there that was not");
        assert!(!partitions.take_moved());
        drop(replica.lock());
        assert!(!partitions.take_moved(), "looked at, and nothing else");
        append(&replica);
        assert!(partitions.take_moved());
        replica.tell_high_watermark();
        assert!(partitions.take_moved());
        assert!(!partitions.take_moved());
    }

    fn later(ms: u64) -> Now {
        Now { wall: TimestampMs(1_000 + i64::try_from(ms).unwrap()), mono: MonoMs(NOW.mono.0 + ms) }
    }

    fn listed(config: LogConfig) -> (Partitions, Arc<Partition>) {
        let (partitions, replica) = (Partitions::default(), Arc::new(led(config, &[1])));
        partitions.insert(&Arc::from("t"), TopicId::ZERO, 0, Arc::clone(&replica));
        (partitions, replica)
    }

    #[test]
    fn a_replica_is_looked_after_from_an_append_until_its_flush() {
        let (partitions, replica) = listed(LogConfig::default());
        assert_eq!(partitions.take_unfinished().len(), 0);
        append(&replica);
        append(&replica);
        for ms in [0, 4_999, 5_000] {
            let taken = partitions.take_unfinished();
            assert_eq!(taken.len(), 1, "{ms}");
            assert_eq!(taken[0].look_after(later(ms), 5_000).flush, ms == 5_000);
        }
        replica.flush(|| later(5_001)).unwrap();
        let taken = partitions.take_unfinished();
        assert!(!taken[0].look_after(later(5_002), 5_000).flush);
        assert_eq!(partitions.take_unfinished().len(), 0, "all is done");
        append(&replica);
        assert_eq!(partitions.take_unfinished().len(), 1, "and now there is something again");
    }

    #[test]
    fn what_was_there_before_the_replica_is_registered_is_found() {
        let replica = Arc::new(led(LogConfig::default(), &[1]));
        append(&replica);
        let partitions = Partitions::default();
        partitions.insert(&Arc::from("t"), TopicId::ZERO, 0, replica);
        assert_eq!(partitions.take_unfinished().len(), 1);
    }

    #[test]
    fn a_replica_is_looked_after_until_its_deleted_files_are_gone() {
        let config = LogConfig { segment_bytes: 100, retention_ms: 10, ..LogConfig::default() };
        let (partitions, replica) = listed(config);
        append(&replica);
        append(&replica);
        replica.flush(|| NOW).unwrap();
        partitions.take_unfinished().iter().for_each(|replica| _ = replica.look_after(NOW, 5_000));
        assert_eq!(partitions.take_unfinished().len(), 0);
        assert!(replica.apply_retention(later(5_000)).unwrap().segments_deleted > 0);
        replica.flush(|| later(5_000)).unwrap();
        for (ms, due) in [(5_001, false), (65_000, true)] {
            let taken = partitions.take_unfinished();
            assert_eq!(taken.len(), 1, "{ms}");
            assert_eq!(taken[0].look_after(later(ms), 5_000).removal, due);
        }
        replica.remove_deleted_files(later(65_000)).unwrap();
        partitions.take_unfinished().iter().for_each(|replica| _ = replica.look_after(NOW, 5_000));
        assert_eq!(partitions.take_unfinished().len(), 0);
    }
}
