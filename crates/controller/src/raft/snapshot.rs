//! Snapshots as files: `<end offset>-<epoch>.checkpoint`, KRaft's name, holding record batches.
//!
//! A header control record, our control record with the quorum's state, the image's records, a footer control record.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use ottla_metadata::{MetadataImage, MetadataRecord, Provenance};
use ottla_model::batch::{BatchBuilder, BatchHeader, Records, batches, decompress};
use ottla_model::wire::{Reader, Writer};
use ottla_model::{BrokerId, LeaderEpoch, Offset, TimestampMs};
use ottla_planted::planted;
use ottla_storage::{Disk, DiskFile, OpenMode, is_for_lack_of_room};

use super::codec::{
    Purged, corrupt, log_id_bytes, read_log_id, read_stored_membership, stored_membership_bytes,
};
use super::damage::{Remedy, damaged};
use super::entry_batch::control_key;
use super::meta_store::{MetaKey, MetaStore};
use super::types::{SnapshotMeta, StoredMembership};

const SNAPSHOT_HEADER: i16 = 3;
const SNAPSHOT_FOOTER: i16 = 4;
/// Our own control record type: last log id and membership.
const QUORUM_STATE: i16 = 1_001;
/// Data batches are closed once they are this long.
const BATCH_BYTES: usize = 512 * 1024;
const SUFFIX: &str = ".checkpoint";

/// A state machine's state at one log id.
#[derive(Clone, Debug)]
pub(crate) struct SnapshotState {
    pub(crate) meta: SnapshotMeta,
    pub(crate) image: MetadataImage,
    /// Timestamp of the last record in the image.
    pub(crate) timestamp: TimestampMs,
}

impl SnapshotState {
    /// The record offset after the last one covered.
    pub(crate) fn end_offset(&self) -> i64 {
        self.image.provenance().offset.get() + 1
    }

    fn term(&self) -> io::Result<i32> {
        let term = self.meta.last_log_id.map_or(0, |log_id| **log_id.committed_leader_id());
        i32::try_from(term).map_err(|_| corrupt("snapshot", "its term is too large"))
    }

    fn file_name(&self) -> io::Result<String> {
        Ok(format!("{:020}-{:010}{SUFFIX}", self.end_offset(), self.term()?))
    }

    pub(crate) fn encode(&self) -> io::Result<Vec<u8>> {
        let mut out =
            Batches { out: Vec::new(), next_offset: 0, epoch: self.term()?, timestamp: self.timestamp };
        out.control(SNAPSHOT_HEADER, &header_value(self.timestamp))?;
        out.control(QUORUM_STATE, &self.quorum_state())?;
        out.records(&self.image.to_records())?;
        out.control(SNAPSHOT_FOOTER, &footer_value())?;
        Ok(out.out)
    }

    /// Reads a whole snapshot back.
    pub(crate) fn decode(cluster_id: Arc<str>, bytes: &[u8]) -> io::Result<Self> {
        let mut parser = Parser { image: MetadataImage::new(cluster_id), ..Parser::default() };
        for item in batches(bytes) {
            let (header, batch) = item.map_err(|error| corrupt("snapshot", error))?;
            header.verify(batch).map_err(|error| corrupt("snapshot", error))?;
            parser.batch(&header, batch)?;
        }
        parser.finish()
    }

    fn quorum_state(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.nullable_bytes(self.meta.last_log_id.as_ref().map(log_id_bytes).as_deref());
        out.bytes(&stored_membership_bytes(&self.meta.last_membership));
        out.i64(self.image.provenance().offset.get());
        out.i32(self.image.provenance().epoch);
        out.i32(self.image.controller_id().get());
        out.into_vec()
    }
}

/// `SnapshotHeaderRecord` version 0.
fn header_value(timestamp: TimestampMs) -> Vec<u8> {
    let mut out = Writer::new();
    out.i16(0);
    out.i64(timestamp.get());
    out.no_tagged_fields();
    out.into_vec()
}

/// `SnapshotFooterRecord` version 0.
fn footer_value() -> Vec<u8> {
    let mut out = Writer::new();
    out.i16(0);
    out.no_tagged_fields();
    out.into_vec()
}

struct Batches {
    out: Vec<u8>,
    next_offset: i64,
    epoch: i32,
    timestamp: TimestampMs,
}

impl Batches {
    fn begin(&self) -> BatchBuilder {
        BatchBuilder::new(Offset(self.next_offset)).leader_epoch(LeaderEpoch(self.epoch))
    }

    fn control(&mut self, kind: i16, value: &[u8]) -> io::Result<()> {
        let mut builder = self.begin().control();
        builder.push(self.timestamp, Some(&control_key(kind)), Some(value), &[]);
        self.close(builder)
    }

    fn records(&mut self, records: &[MetadataRecord]) -> io::Result<()> {
        let mut builder = self.begin();
        for record in records {
            builder.push(self.timestamp, None, Some(&record.encode()), &[]);
            if builder.size() >= BATCH_BYTES {
                self.close(builder)?;
                builder = self.begin();
            }
        }
        if builder.is_empty() { Ok(()) } else { self.close(builder) }
    }

    fn close(&mut self, builder: BatchBuilder) -> io::Result<()> {
        self.next_offset += i64::try_from(builder.record_count()).unwrap_or(i64::MAX);
        self.out.extend(builder.build().map_err(|error| corrupt("snapshot", error))?);
        Ok(())
    }
}

/// Collects a snapshot's parts and sees that none is missing.
struct Parser {
    image: MetadataImage,
    timestamp: Option<TimestampMs>,
    meta: Option<SnapshotMeta>,
    ended: bool,
}

impl Default for Parser {
    fn default() -> Self {
        Self { image: MetadataImage::new(""), timestamp: None, meta: None, ended: false }
    }
}

impl Parser {
    fn batch(&mut self, header: &BatchHeader, batch: &[u8]) -> io::Result<()> {
        if self.ended {
            return Err(corrupt("snapshot", "a batch follows the footer"));
        }
        let section = decompress(header, batch, 0).map_err(|error| corrupt("snapshot", error))?;
        for record in Records::new(header, &section) {
            let record = record.map_err(|error| corrupt("snapshot", error))?;
            let value = record.value.unwrap_or_default();
            if header.is_control() {
                self.control(record.key.unwrap_or_default(), value)?;
            } else {
                let record = MetadataRecord::decode(value).map_err(|error| corrupt("snapshot", error))?;
                self.image.replay(&record).map_err(|error| corrupt("snapshot", error))?;
            }
        }
        Ok(())
    }

    fn control(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        let mut from = Reader::new(key);
        let kind = from.i16().and_then(|_version| from.i16()).map_err(|error| corrupt("snapshot", error))?;
        match kind {
            SNAPSHOT_HEADER => self.header(value),
            QUORUM_STATE => self.quorum_state(value),
            SNAPSHOT_FOOTER => {
                self.ended = true;
                Ok(())
            }
            kind => Err(corrupt("snapshot", format_args!("control record type {kind} is not known"))),
        }
    }

    fn header(&mut self, value: &[u8]) -> io::Result<()> {
        let mut from = Reader::new(value);
        let timestamp =
            from.i16().and_then(|_version| from.i64()).map_err(|error| corrupt("snapshot", error))?;
        self.timestamp = Some(TimestampMs(timestamp));
        Ok(())
    }

    fn quorum_state(&mut self, value: &[u8]) -> io::Result<()> {
        let fail = |error| corrupt("snapshot", error);
        let mut from = Reader::new(value);
        let last_log_id = from.nullable_bytes().map_err(fail)?.map(read_log_id).transpose()?;
        let last_membership = read_stored_membership(from.bytes().map_err(fail)?)?;
        let offset = Offset(from.i64().map_err(fail)?);
        let epoch = from.i32().map_err(fail)?;
        self.image.set_provenance(Provenance { offset, epoch });
        self.image.set_controller(BrokerId(from.i32().map_err(fail)?));
        self.meta = Some(SnapshotMeta { last_log_id, last_membership });
        Ok(())
    }

    fn finish(self) -> io::Result<SnapshotState> {
        match (self.timestamp, self.meta, self.ended) {
            (Some(timestamp), Some(meta), true) => Ok(SnapshotState { meta, image: self.image, timestamp }),
            _ => Err(corrupt("snapshot", "its header, quorum state or footer is missing")),
        }
    }
}

/// The directory of snapshot files and the pointer to the current one.
#[derive(Clone, Debug)]
pub(crate) struct SnapshotStore {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    meta: Arc<dyn MetaStore>,
}

impl SnapshotStore {
    pub(crate) fn new(disk: Arc<dyn Disk>, dir: &Path, meta: Arc<dyn MetaStore>) -> Self {
        Self { disk, dir: dir.to_owned(), meta }
    }

    /// The bytes of the current snapshot, and what they say; `None` before the first.
    pub(crate) fn load(&self, cluster_id: &Arc<str>) -> io::Result<Option<(Bytes, SnapshotState)>> {
        let Some(name) = self.current_name()? else { return Ok(None) };
        let path = self.dir.join(name);
        let refused = |error: io::Error| damaged(&path, error, Remedy::Backup);
        let bytes = match self.disk.read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(refused(error)),
            read => Bytes::from(read?),
        };
        let state = SnapshotState::decode(cluster_id.clone(), &bytes).map_err(refused)?;
        Ok(Some((bytes, state)))
    }

    /// What the log need not hold; `None` before the first snapshot.
    pub(super) fn covered(&self, cluster_id: &Arc<str>) -> io::Result<Option<Purged>> {
        let Some((_, state)) = self.load(cluster_id)? else { return Ok(None) };
        let end_offset = state.end_offset();
        Ok(state.meta.last_log_id.map(|log_id| Purged { log_id, end_offset }))
    }

    /// The name and length of the current snapshot's file; `None` before the first.
    pub(super) fn current(&self) -> io::Result<Option<(String, u64)>> {
        let Some(name) = self.current_name()? else { return Ok(None) };
        let len = self.disk.open(&self.dir.join(&name), OpenMode::Read)?.len()?;
        Ok(Some((name, len)))
    }

    /// Bytes of the current snapshot's file, from `pos` on.
    ///
    /// # Errors
    /// I/O, or another snapshot has taken the place of this one.
    pub(super) fn piece(&self, name: &str, pos: u64, len_max: usize) -> io::Result<Bytes> {
        if self.current_name()?.as_deref() != Some(name) {
            return Err(io::Error::other(format!("snapshot {name} is not the current one")));
        }
        let file = self.disk.open(&self.dir.join(name), OpenMode::Read)?;
        let left = usize::try_from(file.len()?.saturating_sub(pos)).unwrap_or(usize::MAX);
        let mut piece = vec![0; left.min(len_max)];
        file.read_exact_at(&mut piece, pos)?;
        Ok(piece.into())
    }

    /// There is no current snapshot any more.
    pub(super) fn forget(&self) -> io::Result<()> {
        self.meta.save(MetaKey::Snapshot, b"")
    }

    /// Writes a snapshot, makes it the current one, and removes the others; answers whether there was room for it.
    pub(crate) fn save(&self, state: &SnapshotState, bytes: &[u8]) -> io::Result<bool> {
        let name = state.file_name()?;
        let tmp = self.dir.join(format!("{name}.tmp"));
        let file = match self.write(&tmp, bytes) {
            Ok(file) => file,
            Err(error) if is_for_lack_of_room(&error) => {
                let _ = self.disk.remove_file(&tmp);
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        if !planted!("snapshot_not_synced") {
            file.sync_all()?;
        }
        match self.disk.rename(&tmp, &self.dir.join(&name)) {
            Err(error) if is_for_lack_of_room(&error) => return Ok(false),
            renamed => renamed?,
        }
        self.disk.sync_dir(&self.dir)?;
        self.meta.save(MetaKey::Snapshot, name.as_bytes())?;
        self.remove_others(&name)?;
        Ok(true)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.disk.open(path, OpenMode::Truncate)?;
        file.write_all_at(bytes, 0)?;
        Ok(file)
    }

    fn current_name(&self) -> io::Result<Option<String>> {
        let named = self.meta.get(MetaKey::Snapshot)?;
        let Some(bytes) = named.filter(|name| !name.is_empty()) else { return Ok(None) };
        String::from_utf8(bytes).map(Some).map_err(|error| corrupt("snapshot pointer", error))
    }

    fn remove_others(&self, current: &str) -> io::Result<()> {
        for entry in self.disk.list(&self.dir)? {
            let ours = entry.name.ends_with(SUFFIX) || entry.name.ends_with(".checkpoint.tmp");
            if ours && entry.name != current {
                self.disk.remove_file(&self.dir.join(&entry.name))?;
            }
        }
        Ok(())
    }
}

/// A membership that says nothing yet.
pub(crate) fn no_membership() -> StoredMembership {
    StoredMembership::default()
}
