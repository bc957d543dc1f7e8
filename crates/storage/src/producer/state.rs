//! All producers of one log, and the snapshot files that hold their state at certain offsets.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ottla_model::batch::{BatchHeader, HEADER_LEN, Records};
use ottla_model::wire::Reader;
use ottla_model::{Offset, ProducerEpoch, ProducerId, TimestampMs};
use ottla_planted::planted;

use crate::append::{AppendError, AppendOrigin};
use crate::atomic_file;
use crate::cleaner::LastRecord;
use crate::disk::{Disk, OpenMode};
use crate::error::{At, StorageError};

use super::entry::{ActiveProducer, BatchMetadata, ProducerEntry};
use super::snapshot;

/// Source: Kafka's `ProducerStateManager`.
#[derive(Debug, Default)]
pub(crate) struct ProducerState {
    producers: BTreeMap<ProducerId, ProducerEntry>,
    /// First offset of each transaction that has no marker yet.
    ongoing: BTreeMap<Offset, ProducerId>,
    /// Offsets of the snapshot files in the directory.
    snapshots: BTreeSet<Offset>,
    /// Everything below is reflected in `producers`.
    end_offset: Offset,
    /// The end offset at the latest snapshot.
    snapshot_offset: Offset,
}

pub(crate) fn snapshot_path(dir: &Path, offset: Offset) -> PathBuf {
    dir.join(format!("{:020}.snapshot", offset.get()))
}

impl ProducerState {
    pub(crate) fn end_offset(&self) -> Offset {
        self.end_offset
    }

    pub(crate) fn set_end_offset(&mut self, end_offset: Offset) {
        self.end_offset = end_offset;
    }

    /// Notes a snapshot file found on disk.
    pub(crate) fn found_snapshot(&mut self, offset: Offset) {
        self.snapshots.insert(offset);
    }

    pub(crate) fn snapshots(&self) -> impl DoubleEndedIterator<Item = Offset> {
        self.snapshots.iter().copied()
    }

    /// First offset of the oldest transaction without a marker.
    pub(crate) fn first_undecided_offset(&self) -> Option<Offset> {
        self.ongoing.first_key_value().map(|(offset, _)| *offset)
    }

    /// Checks a batch that is about to be appended; `Some` if it is already in the log.
    pub(crate) fn check(
        &self,
        header: &BatchHeader,
        origin: AppendOrigin,
    ) -> Result<Option<BatchMetadata>, AppendError> {
        let Some(entry) = self.producers.get(&header.producer_id) else {
            // Of a producer that wrote nothing Kafka remembers epoch -1, and refuses less.
            return if header.producer_epoch < ProducerEpoch::NONE {
                Err(AppendError::InvalidProducerEpoch {
                    producer_id: header.producer_id,
                    epoch: header.producer_epoch,
                    current: ProducerEpoch::NONE,
                })
            } else {
                Ok(None)
            };
        };
        let duplicate = entry.duplicate_of(header).filter(|_| origin == AppendOrigin::Client);
        if duplicate.is_some() {
            return Ok(duplicate.filter(|_| !planted!("duplicate_appended")));
        }
        if header.producer_epoch < entry.epoch {
            return Err(AppendError::InvalidProducerEpoch {
                producer_id: header.producer_id,
                epoch: header.producer_epoch,
                current: entry.epoch,
            });
        }
        if origin == AppendOrigin::Client { check_sequence(entry, header).map(|()| None) } else { Ok(None) }
    }

    /// Takes a batch that was appended into account; `bytes` are the whole batch.
    pub(crate) fn update(&mut self, header: &BatchHeader, bytes: &[u8]) {
        self.end_offset = header.next_offset();
        if !header.has_producer_id() {
            return;
        }
        if header.is_control() {
            self.update_from_marker(header, bytes);
            return;
        }
        let entry = self
            .producers
            .entry(header.producer_id)
            .or_insert_with(|| ProducerEntry::new(header.producer_epoch));
        entry.add(header.producer_epoch, BatchMetadata::of(header));
        if header.is_transactional() && entry.txn_first_offset.is_none() {
            entry.txn_first_offset = Some(header.base_offset);
            self.ongoing.insert(header.base_offset, header.producer_id);
        }
    }

    /// A transaction marker (KIP-98) ends the producer's transaction.
    fn update_from_marker(&mut self, header: &BatchHeader, bytes: &[u8]) {
        // Compaction may have emptied the batch, and raft's control batches carry no marker.
        let Some(coordinator_epoch) = marker_coordinator_epoch(header, bytes) else { return };
        let entry = self
            .producers
            .entry(header.producer_id)
            .or_insert_with(|| ProducerEntry::new(header.producer_epoch));
        entry.set_epoch(header.producer_epoch);
        entry.coordinator_epoch = coordinator_epoch;
        entry.last_timestamp = header.max_timestamp;
        if let Some(first_offset) = entry.txn_first_offset.take() {
            self.ongoing.remove(&first_offset);
        }
    }

    /// Forgets producers that wrote nothing for `producer.id.expiration.ms`, unless in a transaction.
    pub(crate) fn expire(&mut self, now: TimestampMs, expiration_ms: i64) {
        self.producers.retain(|_, entry| !is_expired(entry, now, expiration_ms));
    }

    pub(crate) fn len(&self) -> usize {
        self.producers.len()
    }

    pub(crate) fn knows(&self, producer_id: ProducerId) -> bool {
        self.producers.contains_key(&producer_id)
    }

    /// What compaction must keep of each producer, where everything below `flushed` is on the disk.
    pub(crate) fn last_records(&self, flushed: Offset) -> BTreeMap<ProducerId, LastRecord> {
        self.producers.iter().map(|(producer_id, entry)| (*producer_id, entry.last_record(flushed))).collect()
    }

    pub(crate) fn active(&self) -> impl ExactSizeIterator<Item = ActiveProducer> {
        self.producers.iter().map(|(producer_id, entry)| ActiveProducer {
            producer_id: *producer_id,
            producer_epoch: entry.epoch,
            last_sequence: entry.last_sequence(),
            last_timestamp: entry.last_timestamp,
            coordinator_epoch: entry.coordinator_epoch,
            current_txn_start_offset: entry.txn_first_offset,
        })
    }

    /// Writes a snapshot of the state at the end offset, unless the latest one is of that offset. Not synced: the path
    /// is returned for a later fsync.
    pub(crate) fn write_snapshot(
        &mut self,
        disk: &dyn Disk,
        dir: &Path,
    ) -> Result<Option<PathBuf>, StorageError> {
        if self.end_offset <= self.snapshot_offset {
            return Ok(None);
        }
        let path = snapshot_path(dir, self.end_offset);
        let written = disk.open(&path, OpenMode::Truncate).at("create", &path).and_then(|file| {
            file.write_all_at(&snapshot::encode(self.producers.iter()), 0).at("write", &path)
        });
        if let Err(error) = written {
            let _ = disk.remove_file(&path);
            return Err(error);
        }
        self.snapshots.insert(self.end_offset);
        self.snapshot_offset = self.end_offset;
        Ok(Some(path))
    }

    /// The state at the end offset, for the owner to write into the snapshot file of that offset, unless the latest one is
    /// of it. The file counts as one that may be there, and may not, until [`ProducerState::wrote_snapshot`].
    pub(crate) fn begin_snapshot(&mut self) -> Option<(Offset, Vec<u8>)> {
        if self.end_offset <= self.snapshot_offset {
            return None;
        }
        self.snapshots.insert(self.end_offset);
        Some((self.end_offset, snapshot::encode(self.producers.iter())))
    }

    /// The snapshot of this offset is there, and these others are gone.
    pub(crate) fn wrote_snapshot(&mut self, offset: Offset, gone: &[Offset]) {
        self.snapshot_offset = self.snapshot_offset.max(offset);
        for offset in gone {
            self.snapshots.remove(offset);
        }
    }

    /// Bytes of a snapshot of the state as it is now.
    pub(crate) fn snapshot_len(&self) -> u32 {
        snapshot::len(self.producers.len())
    }

    /// Goes back to the latest readable snapshot within `(log_start_offset, log_end_offset]`, deleting those outside
    /// and those that are damaged. The caller replays the log from [`ProducerState::end_offset`] on.
    pub(crate) fn load_snapshot(
        &mut self,
        disk: &dyn Disk,
        dir: &Path,
        log_start_offset: Offset,
        log_end_offset: Offset,
        now: TimestampMs,
        expiration_ms: i64,
    ) -> Result<(), StorageError> {
        self.delete_snapshots(disk, dir, |offset| offset <= log_start_offset || offset > log_end_offset)?;
        self.producers.clear();
        self.ongoing.clear();
        self.snapshot_offset = log_start_offset;
        self.end_offset = log_start_offset;
        while let Some(offset) = self.snapshots.last().copied() {
            let path = snapshot_path(dir, offset);
            match atomic_file::read_if_exists(disk, &path)?.map(|bytes| snapshot::decode(&bytes)) {
                // It was never written.
                None => {
                    self.snapshots.remove(&offset);
                }
                Some(Ok(entries)) => {
                    self.load(entries, now, expiration_ms);
                    self.snapshot_offset = offset;
                    self.end_offset = offset;
                    return Ok(());
                }
                Some(Err(what)) => {
                    tracing::warn!(path = %path.display(), error = what, "producer snapshot dropped");
                    self.delete_snapshots(disk, dir, |other| other == offset)?;
                }
            }
        }
        Ok(())
    }

    fn load(&mut self, entries: Vec<(ProducerId, ProducerEntry)>, now: TimestampMs, expiration_ms: i64) {
        for (producer_id, entry) in entries {
            if is_expired(&entry, now, expiration_ms) {
                continue;
            }
            if let Some(first_offset) = entry.txn_first_offset {
                self.ongoing.insert(first_offset, producer_id);
            }
            self.producers.insert(producer_id, entry);
        }
    }

    pub(crate) fn delete_snapshots(
        &mut self,
        disk: &dyn Disk,
        dir: &Path,
        unwanted: impl Fn(Offset) -> bool,
    ) -> Result<(), StorageError> {
        let doomed: Vec<Offset> = self.snapshots.iter().copied().filter(|offset| unwanted(*offset)).collect();
        for offset in doomed {
            let path = snapshot_path(dir, offset);
            match disk.remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(StorageError::io("remove", &path, error));
                }
                _ => self.snapshots.remove(&offset),
            };
        }
        Ok(())
    }
}

fn is_expired(entry: &ProducerEntry, now: TimestampMs, expiration_ms: i64) -> bool {
    entry.txn_first_offset.is_none() && now.get().saturating_sub(entry.last_timestamp.get()) >= expiration_ms
}

/// Source: Kafka's `ProducerAppendInfo.checkSequence`. A producer the log does not know may start anywhere: its
/// records may have been deleted.
fn check_sequence(entry: &ProducerEntry, header: &BatchHeader) -> Result<(), AppendError> {
    let (sequence, last_sequence) = (header.base_sequence, entry.last_sequence());
    let in_sequence = if header.producer_epoch == entry.epoch {
        i64::from(sequence) == i64::from(last_sequence) + 1
            || (sequence == 0 && last_sequence == i32::MAX)
            || (sequence > last_sequence && planted!("sequence_gap_accepted"))
    } else {
        sequence == 0 || entry.epoch == ProducerEpoch::NONE
    };
    if in_sequence {
        return Ok(());
    }
    let (producer_id, epoch) = (header.producer_id, header.producer_epoch);
    Err(AppendError::OutOfOrderSequence { producer_id, epoch, sequence, last_sequence })
}

/// The coordinator epoch in a transaction marker: value = version INT16, coordinator epoch INT32.
fn marker_coordinator_epoch(header: &BatchHeader, bytes: &[u8]) -> Option<i32> {
    let record = Records::new(header, bytes.get(HEADER_LEN..header.size())?).next()?.ok()?;
    let mut value = Reader::new(record.value?);
    value.i16().ok()?;
    value.i32().ok()
}
