//! The metadata log's files: `<base offset>.log`, each a run of record batches, one batch a raft entry.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_model::batch::{BatchHeader, batches};
use ottla_planted::planted;
use ottla_storage::{Disk, DiskFile, OpenMode, is_for_lack_of_room};

use super::codec::{Purged, corrupt};
use super::damage::{Remedy, damaged};
use super::entry_batch::{EntryHeader, decode, encode};
use super::types::{Entry, LogId, log_id};

const SUFFIX: &str = ".log";
/// Bytes behind the last entry that are reserved on the disk at once: with them the log goes on where there is no room.
const ROOM_STEP: u64 = 2 << 20;
/// As little as it is worth to reserve, on a disk that is almost full.
const ROOM_STEP_MIN: u64 = 64 << 10;

/// Where an entry stands.
#[derive(Clone, Debug)]
pub(crate) struct EntryPlace {
    file: Arc<dyn DiskFile>,
    pos: u64,
    header: EntryHeader,
}

impl EntryPlace {
    pub(crate) fn log_id(&self) -> LogId {
        log_id(self.header.term, self.header.index)
    }

    pub(crate) fn read(&self) -> io::Result<Entry> {
        decode(&self.read_batch()?)
    }

    /// The batch as it stands in the log.
    pub(super) fn read_batch(&self) -> io::Result<Vec<u8>> {
        let mut batch = vec![0; self.header.len];
        self.file.read_exact_at(&mut batch, self.pos)?;
        Ok(batch)
    }

    pub(super) fn len(&self) -> usize {
        self.header.len
    }
}

#[derive(Debug)]
struct Segment {
    base_offset: i64,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    len: u64,
    /// Up to here the file's blocks are reserved.
    reserved: u64,
}

impl Segment {
    /// Reserves room for `bytes` more, and some; gives for how much there is.
    fn reserve(&mut self, bytes: u64) -> u64 {
        let mut step = ROOM_STEP.max(bytes);
        while self.reserved < self.len + bytes && step >= ROOM_STEP_MIN {
            if self.file.allocate(self.len, step).is_ok() {
                self.reserved = self.reserved.max(self.len + step);
            }
            step /= 2;
        }
        self.reserved.saturating_sub(self.len)
    }

    /// Cuts the file, which frees what is reserved.
    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.file.set_len(len)?;
        (self.len, self.reserved) = (len, len);
        Ok(())
    }
}

/// The entries that are not purged, and the files they stand in. Indexes are contiguous; so are offsets.
pub(crate) struct SegmentedLog {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    segment_bytes: u64,
    segments: VecDeque<Segment>,
    places: VecDeque<EntryPlace>,
    next_offset: i64,
    appended_bytes: u64,
}

/// What is known of a log from beside it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known {
    pub(crate) purged: Option<Purged>,
    pub(crate) committed: Option<LogId>,
    /// The term of the last vote.
    pub(crate) voted_term: Option<u64>,
}

/// What follows the last sound entry of the last file.
struct Torn {
    bytes: u64,
    why: String,
}

impl fmt::Debug for SegmentedLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SegmentedLog").field("dir", &self.dir).field("entries", &self.places.len()).finish()
    }
}

impl SegmentedLog {
    /// Reads what is there. A tail of the last file that is no whole, sound batch was never acknowledged, and is cut off,
    /// unless it holds what is known to be committed.
    ///
    /// # Errors
    /// I/O, or damage that is not of such a tail; the files are then as they were.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        segment_bytes: u64,
        known: Known,
    ) -> io::Result<Self> {
        let Known { purged, .. } = known;
        let next_offset = purged.map_or(0, |purged| purged.end_offset);
        let mut log = Self {
            disk,
            dir: dir.to_owned(),
            segment_bytes,
            segments: VecDeque::new(),
            places: VecDeque::new(),
            next_offset,
            appended_bytes: 0,
        };
        let mut bases = log.segment_files()?;
        // What is purged need not be whole: its files go in any order when the power fails.
        let stale = bases.iter().skip(1).take_while(|next| **next <= next_offset).count();
        let stale: Vec<i64> = bases.drain(..stale).collect();
        let first_index = purged.map_or(0, |purged| purged.log_id.index + 1);
        let mut torn = None;
        for (i, base_offset) in bases.iter().enumerate() {
            torn = log.load_segment(*base_offset, first_index, i + 1 == bases.len())?;
        }
        log.check_end(known, torn.as_ref())?;
        for base_offset in stale {
            log.disk.remove_file(&log.path(base_offset))?;
        }
        if let (Some(torn), Some(last)) = (torn, log.segments.back_mut()) {
            let file = last.path.display();
            tracing::warn!(%file, kept = last.len, cut = torn.bytes, "torn tail of the metadata log cut off");
            last.cut(last.len)?;
            last.file.sync_data()?;
        }
        if let Some(purged) = purged {
            log.drop_purged(purged)?;
        }
        log.reserve(ROOM_STEP);
        log.appended_bytes = log.places.iter().map(|place| place.header.len as u64).sum();
        Ok(log)
    }

    pub(crate) fn last_log_id(&self) -> Option<LogId> {
        self.places.back().map(EntryPlace::log_id)
    }

    /// The places of the entries from index `start` on, before `end`.
    pub(crate) fn places(&self, start: u64, end: u64) -> Vec<EntryPlace> {
        let skip = start.saturating_sub(self.first_index());
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        self.places.iter().skip(skip).take_while(|place| place.header.index < end).cloned().collect()
    }

    /// The record offset after the entry of that index; `None` if the log does not hold it.
    pub(crate) fn end_offset(&self, index: u64) -> Option<i64> {
        self.place(index).map(|place| place.header.end_offset)
    }

    /// Bytes of the entries that were there at the start, and of those that came since; what goes still counts.
    pub(crate) fn appended_bytes(&self) -> u64 {
        self.appended_bytes
    }

    pub(crate) fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// Reserves room for `bytes` more where there is some; gives for how many bytes the log will not fail.
    pub(crate) fn reserve(&mut self, bytes: u64) -> u64 {
        self.segments.back_mut().map_or(0, |segment| segment.reserve(bytes))
    }

    /// Writes an entry; durable once the returned file is synced.
    pub(crate) fn append(&mut self, entry: &Entry) -> io::Result<Arc<dyn DiskFile>> {
        if let Some(last) = self.places.back()
            && entry.log_id.index != last.header.index + 1
        {
            return Err(corrupt(
                "append",
                format_args!("{} does not follow {}", entry.log_id, last.log_id()),
            ));
        }
        let batch = encode(entry, self.next_offset)?;
        let header = EntryHeader::from_batch(&BatchHeader::read(&batch).map_err(|e| corrupt("append", e))?)?;
        let segment = self.active_segment(batch.len())?;
        segment.file.write_all_at(&batch, segment.len)?;
        let place = EntryPlace { file: segment.file.clone(), pos: segment.len, header };
        segment.len += batch.len() as u64;
        let file = place.file.clone();
        self.appended_bytes += batch.len() as u64;
        self.next_offset = header.end_offset;
        self.places.push_back(place);
        Ok(file)
    }

    /// Drops the entries after `index` (all, if `None`), durably.
    pub(crate) fn truncate_after(&mut self, index: Option<u64>) -> io::Result<()> {
        let keep = index.map_or(0, |index| (index + 1).saturating_sub(self.first_index()));
        let keep = usize::try_from(keep).unwrap_or(usize::MAX);
        let Some(first_dropped) = self.places.get(keep).cloned() else { return Ok(()) };
        self.places.truncate(keep);
        self.next_offset = first_dropped.header.base_offset;
        while let Some(last) = self.segments.back()
            && last.base_offset > first_dropped.header.base_offset
        {
            self.disk.remove_file(&last.path)?;
            // A file behind a cut, or behind one that is gone, would follow nothing after a power cut.
            self.disk.sync_dir(&self.dir)?;
            self.segments.pop_back();
        }
        if let Some(segment) = self.segments.back_mut() {
            segment.cut(first_dropped.pos)?;
            segment.file.sync_data()?;
        }
        Ok(())
    }

    fn path(&self, base_offset: i64) -> PathBuf {
        self.dir.join(format!("{base_offset:020}{SUFFIX}"))
    }

    /// Forgets the entries up to `purged` and removes the files that hold no other. The pointer must be durable.
    pub(crate) fn drop_purged(&mut self, purged: Purged) -> io::Result<()> {
        while self.places.front().is_some_and(|place| place.header.index <= purged.log_id.index) {
            self.places.pop_front();
        }
        if let Some(first) = self.places.front() {
            if first.header.index != purged.log_id.index + 1 {
                let what = format!("{} does not follow purged {}", first.log_id(), purged.log_id);
                return Err(damaged(&self.dir, what, Remedy::Backup));
            }
            let keep_from = first.header.base_offset;
            while self.segments.get(1).is_some_and(|next| next.base_offset <= keep_from) {
                self.remove_first_segment()?;
            }
            return Ok(());
        }
        // Nothing is left: the next entry may stand at a higher offset (after a snapshot was installed), so that it
        // must not share a file with what came before.
        while !self.segments.is_empty() {
            self.remove_first_segment()?;
        }
        self.next_offset = self.next_offset.max(purged.end_offset);
        Ok(())
    }

    fn first_index(&self) -> u64 {
        self.places.front().map_or(0, |place| place.header.index)
    }

    fn place(&self, index: u64) -> Option<&EntryPlace> {
        let at = index.checked_sub(self.places.front()?.header.index)?;
        self.places.get(usize::try_from(at).ok()?)
    }

    fn remove_first_segment(&mut self) -> io::Result<()> {
        if let Some(segment) = self.segments.pop_front() {
            self.disk.remove_file(&segment.path)?;
        }
        Ok(())
    }

    /// The file to append to; a new one if there is none or `len` more bytes are too many for the last. Where there is no
    /// room for a new one the last grows beyond what it should.
    fn active_segment(&mut self, len: usize) -> io::Result<&mut Segment> {
        let full = self
            .segments
            .back()
            .is_none_or(|last| last.len > 0 && last.len.saturating_add(len as u64) > self.segment_bytes);
        if full {
            // A later file that is whole implies that the earlier one is: recovery cuts tails of the last file only.
            if let Some(last) = self.segments.back().filter(|_| !planted!("metadata_roll_not_synced")) {
                last.file.sync_data()?;
            }
            match self.new_segment() {
                Ok(next) => {
                    if let Some(last) = self.segments.back_mut() {
                        // Only its reserve is at stake.
                        let _ = last.cut(last.len);
                    }
                    self.segments.push_back(next);
                }
                Err(error) if is_for_lack_of_room(&error) && !self.segments.is_empty() => {}
                Err(error) => return Err(error),
            }
        }
        self.segments.back_mut().ok_or_else(|| io::Error::other("no segment"))
    }

    fn new_segment(&self) -> io::Result<Segment> {
        let path = self.path(self.next_offset);
        let file = self.disk.open(&path, OpenMode::Truncate)?;
        let mut segment = Segment { base_offset: self.next_offset, path, file, len: 0, reserved: 0 };
        if segment.reserve(ROOM_STEP_MIN) == 0 && !self.segments.is_empty() {
            self.disk.remove_file(&segment.path)?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        // Its blocks are its own, so that this cannot find the disk full.
        self.disk.sync_dir(&self.dir).map_err(|error| io::Error::other(error.to_string()))?;
        Ok(segment)
    }

    /// Base offsets of the files, ascending.
    fn segment_files(&self) -> io::Result<Vec<i64>> {
        let entries = self.disk.list(&self.dir)?;
        let bases = entries.iter().filter_map(|entry| entry.name.strip_suffix(SUFFIX)?.parse().ok());
        let mut bases: Vec<i64> = bases.collect();
        bases.sort_unstable();
        Ok(bases)
    }

    /// A committed entry that is gone was not torn off by a crash, and an entry of a term that nobody voted in was not
    /// written: refuse, rather than forget what was answered, or vote a second time.
    fn check_end(&self, known: Known, torn: Option<&Torn>) -> io::Result<()> {
        let last = self.last_log_id().or(known.purged.map(|purged| purged.log_id));
        // By the index: a term may be damaged, too.
        if let Some(committed) = known.committed
            && last.is_none_or(|last| last.index < committed.index)
        {
            let end = last.map_or("without an entry".to_owned(), |last| format!("at entry {last}"));
            let why = torn.map_or_else(|| "its end is gone".to_owned(), |torn| torn.why.clone());
            let what = format!("the log ends {end}, though {committed} is committed: {why}");
            return Err(damaged(&self.dir, what, Remedy::LostTail));
        }
        let term = last.map_or(0, |last| **last.committed_leader_id());
        if let Some(voted) = known.voted_term
            && voted < term
        {
            let what = format!("the last vote is of term {voted}, the last entry of term {term}");
            return Err(damaged(&self.dir, what, Remedy::Backup));
        }
        Ok(())
    }

    /// The segment's entries; what follows the sound ones, if this is the last one.
    fn load_segment(
        &mut self,
        base_offset: i64,
        first_index: u64,
        is_last: bool,
    ) -> io::Result<Option<Torn>> {
        let path = self.path(base_offset);
        let bytes = self.disk.read(&path)?;
        let file = self.disk.open(&path, OpenMode::Write)?;
        let (mut len, mut why) = (0, "it is cut".to_owned());
        for item in batches(&bytes) {
            let checked = item.and_then(|(header, batch)| header.verify(batch).map(|()| header));
            let checked = checked.map_err(|error| error.to_string());
            // The CRC does not cover the offset and the term, of which a torn write may lack a part, too.
            let loaded = checked.and_then(|header| {
                if len == 0 && header.base_offset.get() != base_offset {
                    return Err("it begins with another offset than its name says".to_owned());
                }
                self.load_entry(&header, &file, len).map_err(|error| error.to_string())?;
                Ok(header.size() as u64)
            });
            match loaded {
                Ok(size) => len += size,
                Err(error) => {
                    why = error;
                    break;
                }
            }
            self.check_first(first_index, &path)?;
        }
        let torn = bytes.len() as u64 - len;
        if torn > 0 && !is_last {
            return Err(damaged(&path, format_args!("damaged at byte {len}: {why}"), Remedy::Backup));
        }
        let why = format!("{} is damaged at byte {len}: {why}", path.display());
        self.segments.push_back(Segment { base_offset, path, file, len, reserved: len });
        Ok((torn > 0).then_some(Torn { bytes: torn, why }))
    }

    /// The log begins where it should: a first file that is gone is not a log that begins later.
    fn check_first(&self, first_index: u64, path: &Path) -> io::Result<()> {
        match self.places.front() {
            Some(first) if first.header.index > first_index => {
                let index = first.header.index;
                let what = format!("it begins with entry {index}, entry {first_index} is gone");
                Err(damaged(path, what, Remedy::Backup))
            }
            _ => Ok(()),
        }
    }

    fn load_entry(&mut self, header: &BatchHeader, file: &Arc<dyn DiskFile>, pos: u64) -> io::Result<()> {
        let header = EntryHeader::from_batch(header)?;
        if let Some(last) = self.places.back()
            && (header.index != last.header.index + 1
                || header.base_offset != last.header.end_offset
                || header.term < last.header.term)
        {
            let this = log_id(header.term, header.index);
            return Err(corrupt("entry", format_args!("{this} does not follow {}", last.log_id())));
        }
        self.next_offset = header.end_offset;
        self.places.push_back(EntryPlace { file: file.clone(), pos, header });
        Ok(())
    }
}
