//! The sparse indexes of a segment: entries of fixed length, sorted, the newest kept in memory and written in batches.

use crate::error::{At, StorageError};

use super::lazy_file::NamedFile;
use super::{LazyFile, Reach};

/// Written entries that stay in memory behind the end, for readers of the tail.
const KEPT_ENTRIES: usize = 4096;
/// A search on disk ends with one read of at most this many entries.
const BLOCK_ENTRIES: u32 = 128;
const ENTRY_LEN_MAX: usize = 12;

/// One entry of an index file.
pub(crate) trait IndexEntry: Copy + std::fmt::Debug {
    /// Bytes on disk.
    const LEN: usize;
    /// What the entries are sorted by.
    type Key: Ord + Copy;

    fn key(&self) -> Self::Key;
    fn encode(&self, out: &mut Vec<u8>);
    /// `bytes` are exactly [`IndexEntry::LEN`] long.
    fn decode(bytes: &[u8]) -> Self;
}

/// `.index`: the last offset of the batch that starts at `position` in the segment's `.log`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OffsetEntry {
    pub(crate) relative_offset: u32,
    pub(crate) position: u32,
    /// In memory only.
    relative_base: u32,
}

impl OffsetEntry {
    const NOT_KNOWN: u32 = u32::MAX;

    pub(crate) fn new(relative_base: u32, relative_offset: u32, position: u32) -> Self {
        Self { relative_offset, position, relative_base }
    }

    /// The batch's base offset, of an entry that did not come from the file.
    pub(crate) fn relative_base(&self) -> Option<u32> {
        Some(self.relative_base).filter(|base| *base != Self::NOT_KNOWN)
    }
}

impl IndexEntry for OffsetEntry {
    const LEN: usize = 8;
    type Key = u32;

    fn key(&self) -> u32 {
        self.relative_offset
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.relative_offset.to_be_bytes());
        out.extend_from_slice(&self.position.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> Self {
        Self::new(Self::NOT_KNOWN, be_u32(&bytes[0..4]), be_u32(&bytes[4..8]))
    }
}

/// `.timeindex`: no batch up to the one whose last offset is `relative_offset` has a larger timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeEntry {
    pub(crate) timestamp: i64,
    pub(crate) relative_offset: u32,
}

impl IndexEntry for TimeEntry {
    const LEN: usize = 12;
    type Key = i64;

    fn key(&self) -> i64 {
        self.timestamp
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&self.relative_offset.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> Self {
        let mut timestamp = [0; 8];
        timestamp.copy_from_slice(&bytes[0..8]);
        Self { timestamp: i64::from_be_bytes(timestamp), relative_offset: be_u32(&bytes[8..12]) }
    }
}

fn be_u32(bytes: &[u8]) -> u32 {
    let mut out = [0; 4];
    out.copy_from_slice(bytes);
    u32::from_be_bytes(out)
}

/// ```text
///   entry   0 ........... tail_first ........ written ........ count
///           |  file only  |  file and memory  |  memory only   |
/// ```
#[derive(Debug)]
pub(crate) struct SparseIndex<E> {
    file: LazyFile,
    tail: Vec<E>,
    tail_first: u32,
    written: u32,
    was_missing: bool,
}

/// Encoded entries with the place where they go.
#[derive(Debug)]
pub(crate) struct PendingEntries {
    file: NamedFile,
    position: u64,
    bytes: Vec<u8>,
    /// Entries of the index when this was made.
    pub(crate) count: u32,
}

impl PendingEntries {
    /// Writes and syncs them.
    pub(crate) fn flush(&self) -> Result<(), StorageError> {
        // Retention may have been faster.
        let Some(file) = self.file.open()? else { return Ok(()) };
        file.write_all_at(&self.bytes, self.position).map_err(self.file.err("write"))?;
        file.sync_data().synced(self.file.path())
    }
}

impl<E: IndexEntry> SparseIndex<E> {
    /// An index without entries; the file is made on the first write.
    pub(crate) fn empty(file: LazyFile) -> Self {
        Self { file, tail: Vec::new(), tail_first: 0, written: 0, was_missing: false }
    }

    /// The whole entries that the file holds; a partial one at its end is overwritten by the next write.
    pub(crate) fn open(file: LazyFile) -> Result<Self, StorageError> {
        let len = file.len()?;
        let entries = len.unwrap_or(0) / E::LEN as u64;
        let written = u32::try_from(entries)
            .map_err(|_| StorageError::corrupt(&file.path(), format!("{entries} entries are too many")))?;
        Ok(Self { file, tail: Vec::new(), tail_first: written, written, was_missing: len.is_none() })
    }

    pub(crate) fn file(&self) -> &LazyFile {
        &self.file
    }

    pub(crate) fn file_mut(&mut self) -> &mut LazyFile {
        &mut self.file
    }

    /// Whether there was no file when this was opened.
    pub(crate) fn was_missing(&self) -> bool {
        self.was_missing
    }

    pub(crate) fn count(&self) -> u32 {
        self.tail_first.saturating_add(u32::try_from(self.tail.len()).unwrap_or(u32::MAX))
    }

    /// Bytes of the file when all entries are in it.
    pub(crate) fn bytes(&self) -> u64 {
        u64::from(self.count()) * E::LEN as u64
    }

    /// Entries that are in memory only.
    pub(crate) fn unwritten(&self) -> u32 {
        self.count() - self.written
    }

    pub(crate) fn last(&self) -> Result<Option<E>, StorageError> {
        self.last_within(Reach::Disk)
    }

    pub(super) fn last_within(&self, reach: Reach) -> Result<Option<E>, StorageError> {
        match (self.tail.last(), self.count()) {
            (Some(entry), _) => Ok(Some(*entry)),
            (None, 0) => Ok(None),
            (None, count) => self.get(count - 1, reach).map(Some),
        }
    }

    pub(crate) fn get(&self, number: u32, reach: Reach) -> Result<E, StorageError> {
        let in_tail = number.checked_sub(self.tail_first).and_then(|at| self.tail.get(at as usize));
        if let Some(entry) = in_tail {
            return Ok(*entry);
        }
        let mut bytes = [0; ENTRY_LEN_MAX];
        let bytes = &mut bytes[..E::LEN];
        self.read_file(bytes, number, reach)?;
        Ok(E::decode(bytes))
    }

    pub(crate) fn append(&mut self, entry: E) {
        self.tail.push(entry);
    }

    /// The number of entries for which `is_before` holds; it must hold for a prefix of the entries.
    pub(crate) fn partition_point(&self, is_before: impl Fn(&E) -> bool) -> Result<u32, StorageError> {
        self.partition_point_within(Reach::Disk, is_before)
    }

    pub(crate) fn partition_point_within(
        &self,
        reach: Reach,
        is_before: impl Fn(&E) -> bool,
    ) -> Result<u32, StorageError> {
        if self.tail_first == 0 || self.tail.first().is_some_and(&is_before) {
            let in_tail = self.tail.partition_point(&is_before);
            return Ok(self.tail_first + u32::try_from(in_tail).unwrap_or(u32::MAX));
        }
        let (mut low, mut high) = (0, self.tail_first);
        while high - low > BLOCK_ENTRIES {
            let middle = low + (high - low) / 2;
            if is_before(&self.get(middle, reach)?) { low = middle + 1 } else { high = middle }
        }
        let mut block = [0; ENTRY_LEN_MAX * BLOCK_ENTRIES as usize];
        let block = &mut block[..(high - low) as usize * E::LEN];
        self.read_file(block, low, reach)?;
        let before = block.chunks_exact(E::LEN).take_while(|bytes| is_before(&E::decode(bytes))).count();
        Ok(low + u32::try_from(before).unwrap_or(0))
    }

    /// The last of the entries that [`Self::partition_point`] counts. `guess` is the number of an entry that may be
    /// near it: a good one makes do with one read.
    pub(crate) fn last_before(
        &self,
        guess: u32,
        reach: Reach,
        is_before: impl Fn(&E) -> bool,
    ) -> Result<Option<E>, StorageError> {
        if let Some(found) = self.last_before_near(guess, reach, &is_before)? {
            return Ok(Some(found));
        }
        match self.partition_point_within(reach, is_before)? {
            0 => Ok(None),
            point => self.get(point - 1, reach).map(Some),
        }
    }

    /// `None` if the block around `guess` does not tell, or is not on disk.
    fn last_before_near(
        &self,
        guess: u32,
        reach: Reach,
        is_before: impl Fn(&E) -> bool,
    ) -> Result<Option<E>, StorageError> {
        let low = guess.saturating_sub(BLOCK_ENTRIES / 2);
        let count = low.saturating_add(BLOCK_ENTRIES).min(self.tail_first).saturating_sub(low);
        let mut block = [0; ENTRY_LEN_MAX * BLOCK_ENTRIES as usize];
        let block = &mut block[..count as usize * E::LEN];
        if block.is_empty() {
            return Ok(None);
        }
        self.read_file(block, low, reach)?;
        let mut entries = block.chunks_exact(E::LEN).map(E::decode).peekable();
        let mut last = None;
        while let Some(entry) = entries.next_if(&is_before) {
            last = Some(entry);
        }
        // Past a block of nothing but such entries there may be more.
        Ok(last.filter(|_| entries.peek().is_some()))
    }

    /// The last entry whose key is at most `key`.
    pub(crate) fn floor(&self, key: E::Key, reach: Reach) -> Result<Option<E>, StorageError> {
        match self.partition_point_within(reach, |entry| entry.key() <= key)? {
            0 => Ok(None),
            point => self.get(point - 1, reach).map(Some),
        }
    }

    /// Keeps the first `count` entries, in the file, too.
    pub(crate) fn truncate(&mut self, count: u32) -> Result<(), StorageError> {
        if count >= self.count() {
            return Ok(());
        }
        self.tail.truncate(count.saturating_sub(self.tail_first) as usize);
        self.tail_first = self.tail_first.min(count);
        if count < self.written {
            let len = u64::from(count) * E::LEN as u64;
            self.file.get()?.set_len(len).map_err(self.file.err("truncate"))?;
            self.written = count;
        }
        Ok(())
    }

    /// All entries.
    pub(crate) fn entries(&self) -> Result<Vec<E>, StorageError> {
        let mut bytes = vec![0; self.tail_first as usize * E::LEN];
        if !bytes.is_empty() {
            self.read_file(&mut bytes, 0, Reach::Disk)?;
        }
        Ok(bytes.chunks_exact(E::LEN).map(E::decode).chain(self.tail.iter().copied()).collect())
    }

    /// What is in memory only, for a flush to write.
    pub(crate) fn pending(&self) -> PendingEntries {
        let (position, bytes) = self.unwritten_bytes();
        PendingEntries { file: self.file.named(), position, bytes, count: self.count() }
    }

    /// And where they go in the file.
    fn unwritten_bytes(&self) -> (u64, Vec<u8>) {
        let first = self.written.saturating_sub(self.tail_first) as usize;
        let mut bytes = Vec::with_capacity(self.unwritten() as usize * E::LEN);
        for entry in self.tail.get(first..).unwrap_or(&[]) {
            entry.encode(&mut bytes);
        }
        (u64::from(self.written) * E::LEN as u64, bytes)
    }

    /// The first `count` entries are on disk.
    pub(crate) fn mark_written(&mut self, count: u32) {
        self.written = self.written.max(count.min(self.count()));
        let surplus = self.tail.len().saturating_sub(KEPT_ENTRIES);
        let surplus = surplus.min(self.written.saturating_sub(self.tail_first) as usize);
        self.tail.drain(..surplus);
        self.tail_first += u32::try_from(surplus).unwrap_or(0);
    }

    /// Writes what is in memory only and trims the file to what is an entry.
    pub(crate) fn write_out(&mut self) -> Result<(), StorageError> {
        let (file, (position, bytes)) = (self.file.get()?, self.unwritten_bytes());
        file.write_all_at(&bytes, position).map_err(self.file.err("write"))?;
        self.mark_written(self.count());
        let len = u64::from(self.written) * E::LEN as u64;
        if file.len().map_err(self.file.err("stat"))? != len {
            file.set_len(len).map_err(self.file.err("truncate"))?;
        }
        Ok(())
    }

    /// Frees the memory of what is on disk: the segment takes no more appends.
    pub(crate) fn forget_written(&mut self) {
        if self.written == self.count() {
            self.tail_first = self.written;
            self.tail = Vec::new();
        }
    }

    fn read_file(&self, bytes: &mut [u8], number: u32, reach: Reach) -> Result<(), StorageError> {
        let pos = u64::from(number) * E::LEN as u64;
        reach.read_exact_at(&self.file.get()?, bytes, pos).map_err(self.file.err("read"))
    }
}
