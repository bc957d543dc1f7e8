//! The producers' state on disk: a snapshot at each roll, and one that a flush writes while the active segment grows, so that a
//! recovery need not read all of it.

use std::path::Path;

use ottla_model::{Now, Offset};
use ottla_planted::planted;

use crate::atomic_file;
use crate::disk::Disk;
use crate::error::{At, StorageError};
use crate::producer::snapshot_path;

use super::PartitionLog;
use super::flush::RECOVERY_STEP_BYTES;

/// The snapshots that flushes write take at most one byte for so many of the log.
const LOG_BYTES_PER_SNAPSHOT_BYTE: u32 = 16;

/// A snapshot that a flush writes, and those that are of no use beside it.
#[derive(Debug)]
pub(super) struct SnapshotWrite {
    offset: Offset,
    contents: Vec<u8>,
    strays: Vec<Offset>,
}

impl SnapshotWrite {
    /// Whether it was written. It is not synced, and a failure is of no consequence: it has a checksum, and recovery reads
    /// more of the log without it.
    pub(super) fn run(&self, disk: &dyn Disk, dir: &Path) -> bool {
        let path = snapshot_path(dir, self.offset);
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        // Renamed, so that a roll at the same offset and this do not write into one file.
        let is_written = atomic_file::write_and_rename(disk, dir, name, &self.contents, false).is_ok();
        if is_written {
            for stray in &self.strays {
                let _ = disk.remove_file(&snapshot_path(dir, *stray));
            }
        }
        is_written
    }
}

impl PartitionLog {
    /// What a flush has to write of the producers, if the active segment has grown enough since.
    pub(super) fn snapshot_due(&mut self, grown_bytes: u32) -> Option<SnapshotWrite> {
        let len = self.producers.snapshot_len();
        if grown_bytes < RECOVERY_STEP_BYTES.max(len.saturating_mul(LOG_BYTES_PER_SNAPSHOT_BYTE)) {
            return None;
        }
        self.producers.set_end_offset(self.log_end_offset);
        let (offset, contents) = self.producers.begin_snapshot()?;
        let strays = self.stray_snapshots();
        Some(SnapshotWrite { offset, contents, strays })
    }

    /// A flush has written it.
    pub(super) fn wrote_snapshot(&mut self, written: &SnapshotWrite) {
        self.producers.wrote_snapshot(written.offset, &written.strays);
    }

    /// Writes the producers' state; answers whether there was room. If not, the next flush tries again.
    pub(super) fn write_snapshot(&mut self) -> Result<bool, StorageError> {
        let written = self.producers.write_snapshot(&*self.disk, &self.dir);
        let is_owed = written.as_ref().is_err_and(StorageError::is_for_lack_of_room);
        self.flush.owes_snapshot(is_owed);
        match written {
            Err(_) if is_owed => Ok(false),
            written => {
                self.flush.add_files(written?);
                Ok(true)
            }
        }
    }

    /// Goes back to the latest usable snapshot and replays the log from there.
    pub(super) fn load_producers(&mut self, now: Now) -> Result<(), StorageError> {
        let (start, end) = (self.log_start_offset, self.log_end_offset);
        let expiration_ms = self.config.producer_id_expiration_ms;
        let strays = self.stray_snapshots();
        let was_cut = self.producers.snapshots().any(|offset| offset > end);
        self.producers.delete_snapshots(&*self.disk, &self.dir, |offset| strays.contains(&offset))?;
        self.producers.load_snapshot(&*self.disk, &self.dir, start, end, now.wall, expiration_ms)?;
        if was_cut {
            // One that came back would say of what is appended next what was there before.
            self.disk.sync_dir(&self.dir).synced(&self.dir)?;
        }
        let from = self.producers.end_offset();
        for segment in self.segments.starting_at(self.segments.number_for(from)) {
            let segment = segment?;
            let Some(batch) = segment.locate(from)? else { continue };
            let mut walk = segment.walk(batch.position)?;
            while let Some(batch) = walk.next()?.filter(|_| !planted!("producers_not_replayed")) {
                let needs_bytes = batch.header.is_control() && batch.header.has_producer_id();
                let bytes = if needs_bytes { segment.read_batch(&batch)? } else { Vec::new() };
                self.producers.update(&batch.header, &bytes);
            }
        }
        self.producers.expire(now.wall, expiration_ms);
        self.producers.set_end_offset(end);
        Ok(())
    }

    /// Only the snapshots at the segments' base offsets and the latest one are of use.
    fn stray_snapshots(&self) -> Vec<Offset> {
        let bases: Vec<Offset> = self.segments.bases().collect();
        let latest = self.producers.snapshots().next_back();
        let is_stray = |offset: &Offset| Some(*offset) != latest && bases.binary_search(offset).is_err();
        self.producers.snapshots().filter(is_stray).collect()
    }
}
