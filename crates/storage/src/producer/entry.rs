//! One producer's last five batches.

use crate::cleaner::LastRecord;
use ottla_model::batch::BatchHeader;
use ottla_model::{Offset, ProducerEpoch, ProducerId, TimestampMs};

/// A producer remembers this many batches, as the idempotent client has at most five requests in flight.
const BATCHES_RETAINED: usize = 5;

/// What DescribeProducers says of one producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActiveProducer {
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    /// -1 if no data batch is remembered.
    pub last_sequence: i32,
    pub last_timestamp: TimestampMs,
    /// -1 if no transaction marker was seen.
    pub coordinator_epoch: i32,
    pub current_txn_start_offset: Option<Offset>,
}

/// One remembered batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BatchMetadata {
    pub(crate) last_sequence: i32,
    pub(crate) last_offset: Offset,
    /// Last offset less first offset, which is last sequence less first sequence, too.
    pub(crate) offset_delta: i32,
    pub(crate) timestamp: TimestampMs,
}

impl BatchMetadata {
    pub(crate) fn of(header: &BatchHeader) -> Self {
        Self {
            last_sequence: header.last_sequence(),
            last_offset: header.last_offset(),
            offset_delta: header.last_offset_delta,
            timestamp: header.max_timestamp,
        }
    }

    pub(crate) fn first_offset(&self) -> Offset {
        self.last_offset.plus(-i64::from(self.offset_delta))
    }

    /// Sequences wrap from `i32::MAX` to 0.
    pub(crate) fn first_sequence(&self) -> i32 {
        let first = i64::from(self.last_sequence) - i64::from(self.offset_delta);
        i32::try_from(first.rem_euclid(i64::from(i32::MAX) + 1)).unwrap_or(-1)
    }
}

/// A producer's state in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProducerEntry {
    pub(crate) epoch: ProducerEpoch,
    pub(crate) coordinator_epoch: i32,
    pub(crate) last_timestamp: TimestampMs,
    pub(crate) txn_first_offset: Option<Offset>,
    batches: [BatchMetadata; BATCHES_RETAINED],
    batch_count: usize,
}

impl ProducerEntry {
    pub(crate) fn new(epoch: ProducerEpoch) -> Self {
        Self {
            epoch,
            coordinator_epoch: -1,
            last_timestamp: TimestampMs::NONE,
            txn_first_offset: None,
            batches: [BatchMetadata::default(); BATCHES_RETAINED],
            batch_count: 0,
        }
    }

    fn batches(&self) -> &[BatchMetadata] {
        &self.batches[..self.batch_count]
    }

    pub(crate) fn last_batch(&self) -> Option<&BatchMetadata> {
        self.batches().last()
    }

    /// The last batch that ends below `end`: what follows it may be lost with the machine's power.
    pub(crate) fn last_record(&self, end: Offset) -> LastRecord {
        match self.batches().iter().rfind(|batch| batch.last_offset < end) {
            Some(batch) => LastRecord::Batch(batch.last_offset),
            None if self.batch_count == 0 => LastRecord::Marker(self.epoch),
            None => LastRecord::Unknown,
        }
    }

    /// -1 if no batch is remembered.
    pub(crate) fn last_sequence(&self) -> i32 {
        self.last_batch().map_or(-1, |batch| batch.last_sequence)
    }

    /// The remembered batch with exactly these sequences.
    pub(crate) fn duplicate_of(&self, header: &BatchHeader) -> Option<BatchMetadata> {
        if header.producer_epoch != self.epoch {
            return None;
        }
        let (first, last) = (header.base_sequence, header.last_sequence());
        let same = |batch: &&BatchMetadata| batch.last_sequence == last && batch.first_sequence() == first;
        self.batches().iter().find(same).copied()
    }

    pub(crate) fn add(&mut self, epoch: ProducerEpoch, batch: BatchMetadata) {
        self.set_epoch(epoch);
        if self.batch_count == BATCHES_RETAINED {
            self.batches.rotate_left(1);
            self.batch_count -= 1;
        }
        self.batches[self.batch_count] = batch;
        self.batch_count += 1;
        self.last_timestamp = batch.timestamp;
    }

    /// A new epoch starts without remembered batches.
    pub(crate) fn set_epoch(&mut self, epoch: ProducerEpoch) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.batch_count = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_sequence_wraps() {
        let batch = |last_sequence, offset_delta| BatchMetadata {
            last_sequence,
            offset_delta,
            ..BatchMetadata::default()
        };
        assert_eq!(batch(9, 4).first_sequence(), 5);
        assert_eq!(batch(1, 2).first_sequence(), i32::MAX);
        assert_eq!(batch(0, 2).first_sequence(), i32::MAX - 1);
    }

    #[test]
    fn sixth_batch_pushes_out_the_first() {
        let mut entry = ProducerEntry::new(ProducerEpoch(0));
        for n in 0..6 {
            entry.add(ProducerEpoch(0), BatchMetadata { last_sequence: n, ..BatchMetadata::default() });
        }
        let sequences: Vec<i32> = entry.batches().iter().map(|batch| batch.last_sequence).collect();
        assert_eq!(sequences, [1, 2, 3, 4, 5]);
        entry.add(ProducerEpoch(1), BatchMetadata::default());
        assert_eq!(entry.batches().len(), 1);
    }
}
