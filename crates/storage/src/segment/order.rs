//! Whether batches follow each other. No CRC covers where a batch's offsets begin: a reader would take wrong ones for what
//! was written.

use std::path::PathBuf;
use std::sync::Arc;

use ottla_model::Offset;
use ottla_model::batch::{BatchError, BatchHeader, HEADER_LEN};

use super::check::damaged;
use super::reach::{Reach, lacked, lacks};
use crate::disk::DiskFile;
use crate::error::{At, StorageError};
use crate::file_slice::FileSlice;
use crate::read::InMemory;

/// Bytes of one look at the file.
const WINDOW_BYTES: usize = 4096;
/// So much at once is said to be lacking of what is to be sent.
const LACKED_MAX: u32 = 1 << 20;

/// Which of several batches is out of order.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// Where the offsets of the batch before the last one end.
    before: Option<Offset>,
    /// The last one's position, and where its offsets end.
    last: Option<(u32, Offset)>,
}

impl Order {
    /// For batches of which the first one has no offset below this.
    fn from(position: u32, offset: Offset) -> Self {
        Self { before: None, last: Some((position, offset)) }
    }

    /// The position of the one that is out of order: the last one, where the next one fits to what is in front of it.
    pub(super) fn next(&mut self, position: u32, header: &BatchHeader) -> Option<u32> {
        let base = header.base_offset;
        let (last_at, end) = self.last.unwrap_or((position, base));
        if base >= end {
            self.before = self.last.map(|(_, end)| end);
            self.last = Some((position, header.next_offset()));
            return None;
        }
        if self.before.is_some_and(|before| base < before) {
            return Some(position);
        }
        self.last = Some((position, header.next_offset()));
        Some(last_at)
    }

    /// The position of the last one, if its offsets reach beyond the next segment's first.
    fn beyond(&self, next_base: Offset) -> Option<u32> {
        self.last.filter(|(_, end)| *end > next_base).map(|(position, _)| position)
    }
}

/// A part of a closed segment that nobody has checked yet, to be looked at before a reader gets it, without the log.
#[derive(Debug)]
pub struct OrderLook {
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) path: PathBuf,
    /// Of the segment.
    pub(super) size: u32,
    /// Where the part is; its last batch may be cut.
    pub(super) position: u32,
    pub(super) length: u32,
    /// What the reader asked for: the first batch holds it, or follows it.
    pub(super) from: Offset,
    /// Where the next segment begins.
    pub(super) next_base: Offset,
}

impl OrderLook {
    /// How many of the part's bytes have their offsets in order: all, or those in front of the first batch that has not.
    ///
    /// # Errors
    /// The disk's; and [`StorageError::Damaged`] where it is the first batch.
    pub fn run(&self, reach: Reach) -> Result<InMemory<u32>, StorageError> {
        InMemory::of(self.ordered_len(reach), Ok)
    }

    fn ordered_len(&self, reach: Reach) -> Result<u32, StorageError> {
        match self.first_wrong(reach)? {
            Some(at) if at == self.position => Err(damaged(&self.path, at, BatchError::Order)),
            Some(at) => Ok(self.length.min(at - self.position)),
            None => Ok(self.length),
        }
    }

    fn first_wrong(&self, reach: Reach) -> Result<Option<u32>, StorageError> {
        let (mut at, end) = (self.position, self.position.saturating_add(self.length));
        let (mut window, mut order) = (Window::new(), None);
        while at < self.size {
            let Some(header) = self.header(at, &mut window, reach)? else { return Ok(None) };
            let order =
                order.get_or_insert_with(|| Order::from(self.position, self.from.min(header.base_offset)));
            let wrong = order.next(at, &header);
            // The one behind the part tells of the last one in it.
            if wrong.is_some() || at >= end {
                return Ok(wrong);
            }
            at = at.saturating_add(u32::try_from(header.size()).unwrap_or(u32::MAX));
        }
        Ok(order.and_then(|order| order.beyond(self.next_base)))
    }

    /// `None` where there is no batch: the reader sees that by itself.
    fn header(
        &self,
        at: u32,
        window: &mut Window,
        reach: Reach,
    ) -> Result<Option<BatchHeader>, StorageError> {
        if !window.holds(at) {
            let read = reach.read_at(&self.file, &mut window.bytes, at.into()).at("read", &self.path);
            (window.start, window.filled) = (at, read.map_err(|error| self.all_that_is_lacking(error))?);
        }
        Ok(window
            .bytes
            .get((at - window.start) as usize..window.filled)
            .and_then(|bytes| BatchHeader::read(bytes).ok()))
    }

    /// What will be sent is lacking, and not only the next header.
    fn all_that_is_lacking(&self, error: StorageError) -> StorageError {
        let Some(header) = lacked(&error) else { return error };
        let end = u64::from(self.position) + u64::from(self.length);
        let length = u32::try_from(end.saturating_sub(header.position)).unwrap_or(u32::MAX).min(LACKED_MAX);
        lacks(FileSlice { length: length.max(header.length), ..header }, &self.path)
    }
}

/// What was read last.
struct Window {
    bytes: [u8; WINDOW_BYTES],
    start: u32,
    filled: usize,
}

impl Window {
    fn new() -> Self {
        Self { bytes: [0; WINDOW_BYTES], start: 0, filled: 0 }
    }

    /// Whether a whole header is there.
    fn holds(&self, at: u32) -> bool {
        at.checked_sub(self.start).is_some_and(|at| at as usize + HEADER_LEN <= self.filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn out_of_order(bases: &[i64], from: Option<i64>, next_base: i64) -> Vec<u32> {
        let mut header = BatchHeader::read(&one_record()).unwrap();
        let mut order = from.map_or_else(Order::default, |from| Order::from(0, Offset(from)));
        let found = (0..).zip(bases).filter_map(|(position, base)| {
            header.base_offset = Offset(*base);
            order.next(position, &header)
        });
        let mut found: Vec<u32> = found.collect();
        found.extend(order.beyond(Offset(next_base)));
        found
    }

    fn one_record() -> Vec<u8> {
        let mut batch = ottla_model::batch::BatchBuilder::new(Offset(0));
        batch.push(ottla_model::TimestampMs(0), None, None, &[]);
        batch.build().unwrap()
    }

    #[test]
    fn the_batch_that_is_out_of_order_is_told_from_its_neighbours() {
        let among = |bases: &[i64]| out_of_order(bases, None, 100);
        assert_eq!(among(&[5, 6, 9, 10]), []);
        assert_eq!(among(&[5, 6, 30, 8, 9]), [2]);
        assert_eq!(among(&[30, 8, 9]), [0]);
        assert_eq!(among(&[5, 6, 2, 8, 9]), [2]);
        let from_5 = |bases: &[i64]| out_of_order(bases, Some(5), 100);
        assert_eq!(from_5(&[5, 6, 9]), []);
        assert_eq!(from_5(&[5, 2, 8]), [1], "what was asked for is in front of it");
        assert_eq!(from_5(&[30, 8, 9]), [0]);
        assert_eq!(out_of_order(&[5, 6, 30], Some(5), 8), [2], "the next segment begins at 8");
    }
}
