//! Replay of the log when a partition's leadership comes here.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use ottla_model::batch::{BatchError, BatchHeader, Records, batches, decompress};
use ottla_model::wire::Reader;
use ottla_model::{Offset, ProducerId};
use ottla_planted::planted;

use crate::shard::{Record, RecordBytesError, ReplayError};

/// Why a log cannot be loaded. The shard must not serve on what it has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    #[error("the shard is not being loaded")]
    NotLoading,
    #[error("batch at offset {at}: {error}")]
    Batch { at: Offset, error: BatchError },
    #[error("record at offset {at}: {error}")]
    Record { at: Offset, error: RecordBytesError },
    #[error("record at offset {at}: {error}")]
    Replay { at: Offset, error: ReplayError },
}

/// Decompressed bytes of one batch: far above any `max.message.bytes` in use, far below what harms.
const SECTION_BYTES_MAX: usize = 256 << 20;

/// Reads batches. Records of a transaction are held back until its marker says commit.
#[derive(Debug)]
pub(crate) struct Loader<R> {
    open: BTreeMap<ProducerId, Vec<(Offset, R)>>,
}

impl<R> Default for Loader<R> {
    fn default() -> Self {
        Self { open: BTreeMap::new() }
    }
}

type Replay<'a, R> = &'a mut dyn FnMut(R) -> Result<(), ReplayError>;

impl<R: Record> Loader<R> {
    pub(crate) fn load(&mut self, bytes: &[u8], replay: Replay<'_, R>) -> Result<Option<Offset>, LoadError> {
        let mut next = None;
        let mut at = Offset::ZERO;
        for item in batches(bytes) {
            let (header, batch) = item.map_err(|error| LoadError::Batch { at, error })?;
            at = header.base_offset;
            header.verify(batch).map_err(|error| LoadError::Batch { at, error })?;
            self.load_batch(&header, batch, replay)?;
            next = Some(header.next_offset());
            at = header.next_offset();
        }
        Ok(next)
    }

    fn load_batch(
        &mut self,
        header: &BatchHeader,
        batch: &[u8],
        replay: Replay<'_, R>,
    ) -> Result<(), LoadError> {
        let broken = |error| LoadError::Batch { at: header.base_offset, error };
        let section = decompress(header, batch, SECTION_BYTES_MAX).map_err(broken)?;
        for record in Records::new(header, &section) {
            let record = record.map_err(broken)?;
            if header.is_control() {
                self.end_transaction(header.producer_id, record.key, replay)?;
                continue;
            }
            if record.value.is_none() && planted!("load_skips_tombstones") {
                continue;
            }
            let at = record.offset;
            let key = record.key.unwrap_or_default();
            let decoded = R::decode(key, record.value).map_err(|error| LoadError::Record { at, error })?;
            if header.is_transactional() {
                self.open.entry(header.producer_id).or_default().push((at, decoded));
            } else {
                replay(decoded).map_err(|error| LoadError::Replay { at, error })?;
            }
        }
        Ok(())
    }

    fn end_transaction(
        &mut self,
        producer_id: ProducerId,
        key: Option<&[u8]>,
        replay: Replay<'_, R>,
    ) -> Result<(), LoadError> {
        let Entry::Occupied(open) = self.open.entry(producer_id) else { return Ok(()) };
        let records = open.remove();
        if marker_type(key.unwrap_or_default()) != Some(COMMIT) {
            return Ok(());
        }
        for (at, record) in records {
            replay(record).map_err(|error| LoadError::Replay { at, error })?;
        }
        Ok(())
    }
}

/// Type of a transaction marker that commits (0 aborts).
const COMMIT: i16 = 1;

/// A control record's key is its version and its type, an `i16` each.
fn marker_type(key: &[u8]) -> Option<i16> {
    let mut from = Reader::new(key);
    from.i16().ok()?;
    from.i16().ok()
}
