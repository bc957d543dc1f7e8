//! What compaction must know of transactions, and the `.txnindex` files that say which were aborted. Transactions are
//! not served yet, but a log that was copied in may hold them. Source: Kafka's `CleanedTransactionMetadata` and
//! `TransactionIndex`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

use ottla_model::batch::{BatchHeader, Records};
use ottla_model::wire::{Reader, WireError};
use ottla_model::{Offset, ProducerId};

use crate::atomic_file;
use crate::disk::Disk;
use crate::error::StorageError;

/// Key types of transaction markers (KIP-98).
const ABORT: i16 = 0;
const COMMIT: i16 = 1;

/// One entry of a `.txnindex`: version INT16 (0), then four INT64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AbortedTxn {
    pub(super) producer_id: ProducerId,
    pub(super) first_offset: Offset,
    /// Of its marker.
    pub(super) last_offset: Offset,
    pub(super) last_stable_offset: Offset,
}

impl AbortedTxn {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&0i16.to_be_bytes());
        for value in [
            self.producer_id.get(),
            self.first_offset.get(),
            self.last_offset.get(),
            self.last_stable_offset.get(),
        ] {
            out.extend_from_slice(&value.to_be_bytes());
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        reader.i16()?;
        Ok(Self {
            producer_id: ProducerId(reader.i64()?),
            first_offset: Offset(reader.i64()?),
            last_offset: Offset(reader.i64()?),
            last_stable_offset: Offset(reader.i64()?),
        })
    }

    /// The whole entries of a `.txnindex`; none if there is no such file.
    pub(super) fn read_all(disk: &dyn Disk, path: &Path) -> Result<Vec<Self>, StorageError> {
        let bytes = atomic_file::read_if_exists(disk, path)?.unwrap_or_default();
        let mut reader = Reader::new(&bytes);
        Ok(std::iter::from_fn(|| Self::decode(&mut reader).ok()).collect())
    }
}

#[derive(Clone, Copy, Debug)]
struct Aborting {
    txn: AbortedTxn,
    /// A batch of it is still in the log.
    seen: bool,
}

/// The transactions that a walk over batches in their order is in.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    /// Those that the walk has not reached, by first offset.
    ahead: VecDeque<AbortedTxn>,
    aborting: BTreeMap<ProducerId, Aborting>,
    committing: BTreeSet<ProducerId>,
    /// Aborted ones whose marker stays.
    kept: Vec<AbortedTxn>,
}

impl Transactions {
    /// For a walk that begins at `from`.
    pub(super) fn new(aborted: &[AbortedTxn], from: Offset) -> Self {
        let mut ahead: Vec<AbortedTxn> =
            aborted.iter().copied().filter(|txn| txn.last_offset >= from).collect();
        ahead.sort_unstable_by_key(|txn| txn.first_offset);
        Self { ahead: ahead.into(), ..Self::default() }
    }

    /// Whether a data batch belongs to an aborted transaction, so that its records may go.
    pub(super) fn is_aborted(&mut self, header: &BatchHeader) -> bool {
        self.reach(header.last_offset());
        if !header.is_transactional() {
            return false;
        }
        if let Some(aborting) = self.aborting.get_mut(&header.producer_id) {
            aborting.seen = true;
            return true;
        }
        self.committing.insert(header.producer_id);
        false
    }

    /// Whether a control batch is a marker that no batch of its transaction needs any more. `section` are its records.
    pub(super) fn may_drop_marker(&mut self, header: &BatchHeader, section: &[u8]) -> bool {
        self.reach(header.last_offset());
        let Some(record) = Records::new(header, section).next().and_then(Result::ok) else {
            // Emptied before.
            return true;
        };
        match record.key.and_then(marker_type) {
            Some(ABORT) => {
                let kept = self.aborting.remove(&header.producer_id).filter(|aborting| aborting.seen);
                self.kept.extend(kept.map(|aborting| aborting.txn));
                kept.is_none()
            }
            Some(COMMIT) => !self.committing.remove(&header.producer_id),
            _ => false,
        }
    }

    /// The aborted transactions whose markers were kept since the last call, for the `.txnindex` of the segment that
    /// they went to.
    pub(super) fn take_kept(&mut self) -> Vec<AbortedTxn> {
        std::mem::take(&mut self.kept)
    }

    fn reach(&mut self, offset: Offset) {
        while let Some(txn) = self.ahead.front().copied().filter(|txn| txn.first_offset <= offset) {
            self.ahead.pop_front();
            self.aborting.entry(txn.producer_id).or_insert(Aborting { txn, seen: false });
        }
    }
}

/// A control record's key: version INT16, type INT16.
fn marker_type(key: &[u8]) -> Option<i16> {
    let mut reader = Reader::new(key);
    reader.i16().ok()?;
    reader.i16().ok()
}
