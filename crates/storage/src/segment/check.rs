//! What readers are given of a closed segment goes to them as it is on the disk, without a look at it. It is looked at
//! behind them, once: what the disk has damaged is then known, reported, and refused to whoever comes next.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_model::batch::BatchError;
use parking_lot::Mutex;

use crate::disk::DiskFile;
use crate::error::{At, StorageError};

use super::chunks::{BatchRead, Chunks};
use super::order::Order;

/// The file is read in pieces of this many bytes, or of a batch if that is larger.
const CHUNK_BYTES: usize = 256 << 10;
/// Damaged batches of one segment that are remembered.
const BAD_MAX: usize = 1_000;

/// What is known of a closed segment's batches.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Positions between batches: everything in here has been checked.
    done: Range<u32>,
    /// What is to be checked next; one check at a time waits for its turn.
    wanted: Option<Range<u32>>,
    /// Positions of damaged batches.
    bad: BTreeSet<u32>,
}

impl Checks {
    /// The first damaged batch at or behind `position`.
    pub(super) fn first_bad(&self, position: u32) -> Option<u32> {
        self.state.lock().bad.range(position..).next().copied()
    }

    /// Whether all of it has been checked.
    pub(super) fn covers(&self, part: &Range<u32>) -> bool {
        let done = &self.state.lock().done;
        done.start <= part.start && part.end <= done.end
    }

    /// Answers whether a check is to be queued for a range that somebody reads, which begins with a batch.
    pub(super) fn want(&self, read: Range<u32>) -> bool {
        let mut state = self.state.lock();
        let State { done, wanted, .. } = &mut *state;
        let start = if touches(done, read.start) { done.end } else { read.start };
        if start >= read.end {
            return false;
        }
        match wanted {
            // One that lies elsewhere is for the next who reads it.
            Some(wanted) if touches(wanted, start) => wanted.end = wanted.end.max(read.end),
            Some(_) => {}
            None => {
                *wanted = Some(start..read.end);
                return true;
            }
        }
        false
    }
}

fn touches(range: &Range<u32>, position: u32) -> bool {
    (range.start..=range.end).contains(&position)
}

/// A part of a closed segment that was given to a reader, to be checked where that keeps nobody waiting.
#[derive(Debug)]
pub struct SegmentCheck {
    pub(super) checks: Arc<Checks>,
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) path: PathBuf,
    pub(super) size: u32,
}

impl SegmentCheck {
    /// Reads every batch of the part; gives an error for each damaged one that was not known.
    ///
    /// # Errors
    /// The disk's.
    pub fn run(&self) -> Result<Vec<StorageError>, StorageError> {
        let Some(part) = self.checks.state.lock().wanted.take() else { return Ok(Vec::new()) };
        let mut reader = Chunks::new(Arc::clone(&self.file), self.size, CHUNK_BYTES);
        let (mut position, mut bad) = (part.start, Vec::new());
        let mut order = Order::default();
        while position < part.end {
            let why = match reader.batch(position).at("read", &self.path)? {
                BatchRead::End => break,
                BatchRead::Whole(header, bytes) => {
                    let verified = header.verify(bytes);
                    bad.extend(order.next(position, &header).map(|at| (at, BatchError::Order)));
                    let at = position;
                    position = position.saturating_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
                    verified.err().map(|error| (at, error))
                }
                // Where the next one begins is not known.
                BatchRead::Broken(error) => {
                    let at = position;
                    position = part.end;
                    Some((at, error))
                }
            };
            bad.extend(why);
        }
        let mut state = self.checks.state.lock();
        if touches(&state.done, part.start) {
            state.done.end = state.done.end.max(position);
        } else {
            state.done = part.start..position;
        }
        let is_new = |(position, _): &(u32, _)| state.bad.len() < BAD_MAX && state.bad.insert(*position);
        let new = bad.into_iter().filter(is_new);
        Ok(new.map(|(position, error)| damaged(&self.path, position, error)).collect())
    }

    /// It will not be run: whoever reads the part next asks again.
    pub fn cancel(self) {
        self.checks.state.lock().wanted = None;
    }
}

pub(super) fn damaged(path: &Path, position: u32, what: impl Display) -> StorageError {
    StorageError::Damaged { path: path.to_path_buf(), position, what: what.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_check_waits_at_a_time_and_grows_with_what_is_read() {
        let checks = Checks::default();
        assert!(checks.want(0..10));
        assert!(!checks.want(10..20) && !checks.want(5..15), "it waits already");
        assert!(!checks.want(100..110), "elsewhere");
        assert_eq!(checks.state.lock().wanted.take(), Some(0..20));
        checks.state.lock().done = 0..20;
        assert!(!checks.want(3..20), "known");
        assert!(checks.want(20..21) && checks.state.lock().wanted.take() == Some(20..21));
        assert!(checks.want(15..30) && checks.state.lock().wanted.take() == Some(20..30));
        assert!(checks.want(40..50) && checks.state.lock().wanted.take() == Some(40..50));
    }
}
