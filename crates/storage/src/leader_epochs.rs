//! Where each leader epoch starts in a log (KIP-101), in memory and as `leader-epoch-checkpoint`.

use std::path::Path;

use ottla_model::{LeaderEpoch, Offset};
use ottla_planted::planted;

use crate::checkpoint;
use crate::error::StorageError;

pub(crate) const FILE_NAME: &str = "leader-epoch-checkpoint";

/// One epoch and the offset of its first record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochStart {
    pub epoch: LeaderEpoch,
    pub start_offset: Offset,
}

/// The answer to OffsetForLeaderEpoch: the largest epoch not above the requested one, and its end offset (exclusive).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    pub epoch: LeaderEpoch,
    pub end_offset: Offset,
}

/// Strictly ascending in epoch and in start offset.
#[derive(Debug, Default)]
pub(crate) struct LeaderEpochs {
    entries: Vec<EpochStart>,
    /// Grows with each change, so that a flush knows whether it wrote the latest.
    version: u64,
}

impl LeaderEpochs {
    pub(crate) fn decode(path: &Path, bytes: &[u8]) -> Result<Self, StorageError> {
        let entry = |line: &str| {
            let (epoch, offset) = line.trim().split_once(' ')?;
            let (epoch, start_offset) =
                (LeaderEpoch(epoch.parse().ok()?), Offset(offset.trim().parse().ok()?));
            Some(EpochStart { epoch, start_offset })
        };
        let mut epochs = Self::default();
        for EpochStart { epoch, start_offset } in checkpoint::decode(path, bytes, entry)? {
            epochs.assign(epoch, start_offset);
        }
        epochs.version = 0;
        Ok(epochs)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        checkpoint::encode(self.entries.iter().map(|entry| format!("{} {}", entry.epoch, entry.start_offset)))
    }

    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn entries(&self) -> &[EpochStart] {
        &self.entries
    }

    pub(crate) fn latest(&self) -> Option<EpochStart> {
        self.entries.last().copied()
    }

    /// The epoch of the record at `offset`.
    pub(crate) fn epoch_of(&self, offset: Offset) -> Option<LeaderEpoch> {
        let after = self.entries.partition_point(|entry| entry.start_offset <= offset);
        after.checked_sub(1).and_then(|at| self.entries.get(at)).map(|entry| entry.epoch)
    }

    /// Notes that `epoch` starts at `start_offset`; entries that contradict it are dropped.
    pub(crate) fn assign(&mut self, epoch: LeaderEpoch, start_offset: Offset) {
        if epoch < LeaderEpoch(0) || start_offset < Offset::ZERO {
            return;
        }
        if self.latest().is_some_and(|latest| latest.epoch == epoch && latest.start_offset <= start_offset) {
            return;
        }
        while self.latest().is_some_and(|latest| latest.epoch >= epoch || latest.start_offset >= start_offset)
        {
            self.entries.pop();
        }
        self.entries.push(EpochStart { epoch, start_offset });
        self.version += 1;
    }

    /// Adds what the records in front of the first entry say; `earlier` ascends.
    pub(crate) fn learn_earlier(&mut self, earlier: &[EpochStart]) {
        let mut all = Self { entries: Vec::new(), version: self.version };
        for entry in earlier.iter().chain(&self.entries) {
            if all.latest().is_none_or(|latest| entry.epoch > latest.epoch) {
                all.assign(entry.epoch, entry.start_offset);
            }
        }
        *self = all;
    }

    /// Takes over another copy's epochs.
    pub(crate) fn adopt(&mut self, other: &Self) {
        if self.entries != other.entries {
            self.entries.clone_from(&other.entries);
            self.version += 1;
        }
    }

    /// End offset of the largest epoch <= `epoch` (KIP-279), exclusive; `None` if the log cannot tell.
    pub(crate) fn end_offset_for(&self, epoch: LeaderEpoch, log_end_offset: Offset) -> Option<EpochEnd> {
        let latest = self.latest()?;
        if epoch == LeaderEpoch::NONE || epoch > latest.epoch {
            return None;
        }
        if epoch == latest.epoch {
            return Some(EpochEnd { epoch, end_offset: log_end_offset });
        }
        let higher = self.entries.partition_point(|entry| {
            entry.epoch < epoch || (entry.epoch == epoch && !planted!("epoch_end_is_its_start"))
        });
        let end_offset = self.entries.get(higher)?.start_offset;
        let floor = higher.checked_sub(1).and_then(|at| self.entries.get(at));
        Some(EpochEnd { epoch: floor.map_or(epoch, |entry| entry.epoch), end_offset })
    }

    /// Drops the epochs that start at or beyond `end_offset`.
    pub(crate) fn truncate_from_end(&mut self, end_offset: Offset) {
        let kept = self.entries.partition_point(|entry| entry.start_offset < end_offset);
        if kept < self.entries.len() && !planted!("epochs_survive_truncation") {
            self.entries.truncate(kept);
            self.version += 1;
        }
    }

    /// Drops the epochs that end before `start_offset`; the one that spans it now starts there.
    pub(crate) fn truncate_from_start(&mut self, start_offset: Offset) {
        let before = self.entries.partition_point(|entry| entry.start_offset <= start_offset);
        let Some(spanning) = before.checked_sub(1) else { return };
        if let Some(entry) = self.entries.get_mut(spanning)
            && (spanning > 0 || entry.start_offset < start_offset)
        {
            entry.start_offset = start_offset;
            self.entries.drain(..spanning);
            self.version += 1;
        }
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.version += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(entries: &[(i32, i64)]) -> LeaderEpochs {
        let mut epochs = LeaderEpochs::default();
        for (epoch, start) in entries {
            epochs.assign(LeaderEpoch(*epoch), Offset(*start));
        }
        epochs
    }

    fn plain(epochs: &LeaderEpochs) -> Vec<(i32, i64)> {
        epochs.entries.iter().map(|entry| (entry.epoch.get(), entry.start_offset.get())).collect()
    }

    #[test]
    fn assign_drops_what_contradicts_it() {
        assert_eq!(plain(&epochs(&[(0, 0), (1, 10), (1, 20), (2, 30)])), [(0, 0), (1, 10), (2, 30)]);
        assert_eq!(plain(&epochs(&[(0, 0), (1, 10), (3, 20), (2, 15)])), [(0, 0), (1, 10), (2, 15)]);
        assert_eq!(plain(&epochs(&[(0, 0), (1, 10), (2, 10)])), [(0, 0), (2, 10)]);
        assert_eq!(plain(&epochs(&[(-1, 0)])), []);
    }

    #[test]
    fn end_offset_is_where_the_next_epoch_starts() {
        let epochs = epochs(&[(2, 5), (4, 10), (7, 20)]);
        let end = |epoch| {
            epochs.end_offset_for(LeaderEpoch(epoch), Offset(30)).map(|e| (e.epoch.get(), e.end_offset.get()))
        };
        assert_eq!(end(7), Some((7, 30)));
        assert_eq!(end(8), None);
        assert_eq!(end(6), Some((4, 20)));
        assert_eq!(end(4), Some((4, 20)));
        assert_eq!(end(2), Some((2, 10)));
        assert_eq!(end(1), Some((1, 5)));
        assert_eq!(end(-1), None);
    }

    #[test]
    fn truncations_keep_the_epoch_that_spans_the_border() {
        let mut from_start = epochs(&[(2, 5), (4, 10), (7, 20)]);
        from_start.truncate_from_start(Offset(15));
        assert_eq!(plain(&from_start), [(4, 15), (7, 20)]);
        from_start.truncate_from_end(Offset(20));
        assert_eq!(plain(&from_start), [(4, 15)]);
        let mut untouched = epochs(&[(2, 5)]);
        untouched.truncate_from_start(Offset(3));
        untouched.truncate_from_end(Offset(6));
        assert_eq!(plain(&untouched), [(2, 5)]);
    }

    #[test]
    fn what_records_in_front_say_is_added() {
        let learnt = |known: &[(i32, i64)], earlier: &[(i32, i64)]| {
            let mut known = epochs(known);
            known.learn_earlier(epochs(earlier).entries());
            plain(&known)
        };
        assert_eq!(learnt(&[(2, 9), (3, 12)], &[(1, 4), (2, 7)]), [(1, 4), (2, 7), (3, 12)]);
        assert_eq!(learnt(&[(2, 9)], &[(1, 4)]), [(1, 4), (2, 9)]);
        assert_eq!(learnt(&[], &[(1, 4)]), [(1, 4)]);
        assert_eq!(learnt(&[(2, 9)], &[]), [(2, 9)]);
    }

    #[test]
    fn file_reads_back() {
        let epochs = epochs(&[(0, 0), (3, 17)]);
        assert_eq!(epochs.encode(), b"0\n2\n0 0\n3 17\n");
        let read = LeaderEpochs::decode(Path::new("/e"), &epochs.encode()).unwrap();
        assert_eq!(read.entries(), epochs.entries());
    }
}
