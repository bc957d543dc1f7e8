//! What has become of one committed offset. Writes are numbered in the order in which the log must have them, and the offset that
//! a write commits is its number.

use std::collections::{BTreeMap, BTreeSet};

use ottla_model::LeaderEpoch;

/// By leader epoch of whoever said so: the latest write that is known to be committed.
pub(crate) type Known = BTreeMap<LeaderEpoch, i64>;

#[derive(Clone, Debug, Default)]
pub(crate) struct Track {
    issued: i64,
    deletions: BTreeSet<i64>,
    known: Known,
}

impl Track {
    /// The number of a write that is about to be sent.
    pub(crate) fn issue(&mut self, is_deletion: bool) -> i64 {
        self.issued += 1;
        if is_deletion {
            self.deletions.insert(self.issued);
        }
        self.issued
    }

    /// What is known now; an answer to a question that is asked now must show as much.
    pub(crate) fn known(&self) -> Known {
        self.known.clone()
    }

    /// A coordinator of that epoch says that the write is committed.
    pub(crate) fn acknowledge(&mut self, number: i64, epoch: LeaderEpoch) {
        let known = self.known.entry(epoch).or_default();
        *known = number.max(*known);
    }

    /// A coordinator of that epoch says that it is deleted, when so much had been known. Where it finds nothing it writes nothing, as
    /// Kafka's: that is a look, and an earlier write that nobody has acknowledged may still come of another replica's log.
    ///
    /// # Errors
    /// What it should have had.
    pub(crate) fn delete(&mut self, epoch: LeaderEpoch, then: &Known) -> Result<(), String> {
        self.show(-1, epoch, then)
    }

    /// A coordinator of that epoch shows this offset (-1: none), when so much had been known. One that is deposed and does not
    /// know it yet knows nothing of later epochs.
    ///
    /// # Errors
    /// What it should have shown.
    pub(crate) fn show(&mut self, offset: i64, epoch: LeaderEpoch, then: &Known) -> Result<(), String> {
        let least = then.range(..=epoch).map(|(_, number)| *number).max().unwrap_or(0);
        let number = match offset {
            -1 if least == 0 => return Ok(()),
            -1 => self.deletions.range(least..).next().copied(),
            _ => Some(offset).filter(|offset| (least.max(1)..=self.issued).contains(offset)),
        };
        let number = number.filter(|number| self.deletions.contains(number) == (offset == -1));
        let number = number.ok_or_else(|| {
            format!(
                "{offset} in epoch {epoch}, of {} writes, {least} or later; {:?} deleted",
                self.issued, self.deletions
            )
        })?;
        self.acknowledge(number, epoch);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: LeaderEpoch = LeaderEpoch(1);
    const TWO: LeaderEpoch = LeaderEpoch(2);

    #[test]
    fn what_was_acknowledged_is_shown_from_then_on() {
        let mut track = Track::default();
        let (first, second) = (track.issue(false), track.issue(false));
        assert!(track.show(-1, ONE, &track.known()).is_ok());
        track.acknowledge(second, TWO);
        let known = track.known();
        assert!(track.show(first, ONE, &known).is_ok(), "an earlier epoch knows nothing of it");
        assert!(track.show(first, TWO, &known).is_err());
        assert!(track.show(-1, TWO, &known).is_err());
        assert!(track.show(second + 1, TWO, &known).is_err(), "nobody has written that");
        assert!(track.show(second, TWO, &known).is_ok());
    }

    #[test]
    fn a_deletion_undoes_what_was_acknowledged_before_it() {
        let mut track = Track::default();
        let first = track.issue(false);
        track.acknowledge(first, ONE);
        let known = track.known();
        track.issue(true);
        assert!(track.delete(ONE, &known).is_ok());
        assert!(track.show(first, TWO, &track.known()).is_err());
        let unknown = track.issue(false);
        let known = track.known();
        track.issue(true);
        assert!(track.delete(ONE, &known).is_ok(), "there may have been nothing");
        assert!(track.show(unknown, TWO, &track.known()).is_ok());
    }

    #[test]
    fn what_was_deleted_is_not_shown() {
        let mut track = Track::default();
        let first = track.issue(false);
        track.acknowledge(first, ONE);
        let gone = track.issue(true);
        assert!(track.show(first, ONE, &track.known()).is_ok(), "the deletion is on its way");
        track.acknowledge(gone, ONE);
        let known = track.known();
        assert!(track.show(first, TWO, &known).is_err());
        assert!(track.show(gone, TWO, &known).is_err());
        assert!(track.show(-1, TWO, &known).is_ok());
    }
}
