//! openraft's view of the log and of what is kept beside it.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader};
use ottla_planted::planted;
use ottla_storage::Disk;
use parking_lot::Mutex;

use super::codec::{Purged, log_id_bytes, purged_bytes, read_log_id, read_purged, read_vote, vote_bytes};
use super::flusher::Flusher;
use super::meta_store::{MetaKey, MetaStore};
use super::segmented_log::{EntryPlace, Known, SegmentedLog};
use super::types::{Entry, LogId, TypeConfig, Vote};
use crate::surroundings::blocking;

/// The log, its flush thread and the store of votes and pointers; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct LogStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    log: Mutex<SegmentedLog>,
    flusher: Flusher,
    meta: Arc<dyn MetaStore>,
    purged: Mutex<Option<Purged>>,
    /// Where records go on after the last installed snapshot; the log itself never saw them.
    installed_end_offset: Mutex<i64>,
    flushed: Arc<Mutex<Flushed>>,
}

/// How much of the log is on the disk, as far as this process has seen to it.
#[derive(Debug, Default)]
struct Flushed {
    /// The index after the last such entry.
    end: u64,
    /// How often the log was cut: a flush that was begun before says nothing of what is there now.
    cuts: u64,
}

impl LogStore {
    /// # Errors
    /// I/O, damage, or a log that ends before an entry known to be committed.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        meta: Arc<dyn MetaStore>,
        segment_bytes: u64,
    ) -> io::Result<Self> {
        let purged = meta.get(MetaKey::Purged)?.map(|bytes| read_purged(&bytes)).transpose()?;
        let vote = meta.get(MetaKey::Vote)?.map(|bytes| read_vote(&bytes)).transpose()?;
        let voted_term = Some(vote.map_or(0, |vote| vote.leader_id.term));
        let known = Known { purged, committed: committed(meta.as_ref())?, voted_term };
        let log = SegmentedLog::open(disk, dir, segment_bytes, known)?;
        let shared = Shared {
            log: Mutex::new(log),
            flusher: Flusher::spawn()?,
            meta,
            purged: Mutex::new(purged),
            installed_end_offset: Mutex::new(0),
            flushed: Arc::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Writes the first entry, durably.
    pub(super) fn begin_with(&self, entry: &Entry) -> io::Result<()> {
        self.shared.log.lock().append(entry)?.sync_data()
    }

    /// Records after an installed snapshot go on at `end_offset`.
    pub(crate) fn snapshot_installed(&self, end_offset: i64) {
        *self.shared.installed_end_offset.lock() = end_offset;
    }

    /// The offset that the next record will have.
    pub(crate) fn next_offset(&self) -> i64 {
        let next = self.shared.log.lock().next_offset();
        next.max(*self.shared.installed_end_offset.lock())
    }

    /// Reserves room for `bytes` more where there is some; gives for how many bytes the log will not fail.
    pub(crate) fn reserve(&self, bytes: u64) -> u64 {
        self.shared.log.lock().reserve(bytes)
    }

    /// Bytes of all entries that were in the log when it was opened, and have been appended since.
    pub(crate) fn appended_bytes(&self) -> u64 {
        self.shared.log.lock().appended_bytes()
    }

    /// The offset after the entry of that index; `None` if the log does not hold it.
    pub(crate) fn end_offset(&self, index: u64) -> Option<i64> {
        self.shared.log.lock().end_offset(index)
    }

    /// The batches of the entries behind `last` up to `committed`, of `bytes_max` and one batch more at most; `None` if the log
    /// does not go back so far.
    ///
    /// # Errors
    /// I/O, or a `last` that this log never had.
    pub(super) fn committed_batches(
        &self,
        last: Option<LogId>,
        committed: Option<LogId>,
        bytes_max: usize,
    ) -> io::Result<Option<Vec<Bytes>>> {
        let first = last.map_or(0, |last| last.index + 1);
        let end = committed.map_or(0, |committed| committed.index + 1);
        let (before, places) = {
            let log = self.shared.log.lock();
            let before = last.and_then(|last| log.places(last.index, first).first().map(EntryPlace::log_id));
            (before, log.places(first, end))
        };
        if let (Some(last), Some(before)) = (last, before)
            && last != before
        {
            return Err(io::Error::other(format!("entry {last} is {before} here")));
        }
        if places.first().is_none_or(|place| place.log_id().index != first) {
            return Ok(None);
        }
        let mut len = 0;
        let room = places.iter().take_while(|place| {
            let fits = len < bytes_max;
            len += place.len();
            fits
        });
        room.map(|place| place.read_batch().map(Bytes::from)).collect::<io::Result<_>>().map(Some)
    }

    /// Whether there never was an entry.
    pub(crate) fn is_empty(&self) -> bool {
        self.last_log_id().is_none()
    }

    fn last_log_id(&self) -> Option<LogId> {
        let last = self.shared.log.lock().last_log_id();
        last.or_else(|| self.shared.purged.lock().map(|purged| purged.log_id))
    }

    /// Whether the log goes back to the first entry that ever was.
    pub(super) fn is_whole(&self) -> bool {
        self.shared.purged.lock().is_none()
    }
}

fn committed(meta: &dyn MetaStore) -> io::Result<Option<LogId>> {
    meta.get(MetaKey::Committed)?.map(|bytes| read_log_id(&bytes)).transpose()
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> Result<Vec<Entry>, io::Error>
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(start) => start.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(end) => end.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        let places = self.shared.log.lock().places(start, end);
        places.iter().map(EntryPlace::read).collect()
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        self.shared.meta.get(MetaKey::Vote)?.map(|bytes| read_vote(&bytes)).transpose()
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, io::Error> {
        let last_purged_log_id = self.shared.purged.lock().map(|purged| purged.log_id);
        Ok(LogState { last_purged_log_id, last_log_id: self.last_log_id() })
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        let (meta, bytes) = (self.shared.meta.clone(), vote_bytes(vote));
        if planted!("vote_not_synced") {
            return meta.put(MetaKey::Vote, &bytes);
        }
        blocking(move || meta.save(MetaKey::Vote, &bytes)).await
    }

    /// Not flushed: it lags at worst, and a new leader's first entry commits what it missed. openraft also says this of entries that
    /// others have on their disks and this node has not: such a pointer, there after a power cut without them, would be damage.
    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        let flushed = self.shared.flushed.lock().end;
        match committed.filter(|committed| committed.index < flushed) {
            Some(committed) => self.shared.meta.put(MetaKey::Committed, &log_id_bytes(&committed)),
            None => Ok(()),
        }
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        committed(self.shared.meta.as_ref())
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let (mut file, mut end) = (None, 0);
        {
            let mut log = self.shared.log.lock();
            for entry in entries {
                end = entry.log_id.index + 1;
                file = Some(log.append(&entry)?);
            }
        }
        let (flushed, cuts) = (Arc::clone(&self.shared.flushed), self.shared.flushed.lock().cuts);
        match file {
            Some(_) if planted!("entries_not_synced") => callback.io_completed(Ok(())),
            Some(file) => {
                let done = move |result: io::Result<()>| {
                    let mut flushed = flushed.lock();
                    if result.is_ok() && flushed.cuts == cuts {
                        flushed.end = flushed.end.max(end);
                    }
                    drop(flushed);
                    callback.io_completed(result);
                };
                self.shared.flusher.flush(file, Box::new(done));
            }
            None => callback.io_completed(Ok(())),
        }
        Ok(())
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> Result<(), io::Error> {
        let end = last_log_id.as_ref().map_or(0, |log_id| log_id.index + 1);
        {
            let mut flushed = self.shared.flushed.lock();
            *flushed = Flushed { end: flushed.end.min(end), cuts: flushed.cuts + 1 };
        }
        self.shared.log.lock().truncate_after(last_log_id.map(|log_id| log_id.index))
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), io::Error> {
        let end_offset = {
            let log = self.shared.log.lock();
            let beyond = || log.next_offset().max(*self.shared.installed_end_offset.lock());
            log.end_offset(log_id.index).unwrap_or_else(beyond)
        };
        let purged = Purged { log_id, end_offset };
        let (meta, bytes) = (self.shared.meta.clone(), purged_bytes(&purged));
        blocking(move || meta.save(MetaKey::Purged, &bytes)).await?;
        *self.shared.purged.lock() = Some(purged);
        self.shared.log.lock().drop_purged(purged)
    }
}
