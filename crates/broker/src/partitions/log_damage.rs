//! Damage to what stands in the logs: each damaged place is said once, and counted.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ottla_storage::StorageError;
use parking_lot::Mutex;

/// Places that are remembered; more are said again and again no more.
const PLACES_MAX: usize = 10_000;

/// The damaged places that somebody met since the start.
#[derive(Debug, Default)]
pub(crate) struct LogDamage {
    places: Mutex<BTreeSet<(PathBuf, u32)>>,
}

impl LogDamage {
    /// Somebody found no sound batch at a position of a segment.
    pub(super) fn found(&self, segment: &Path, position: u32, cause: &StorageError) {
        let mut places = self.places.lock();
        if places.len() < PLACES_MAX && places.insert((segment.to_path_buf(), position)) {
            tracing::error!(
                error = %cause,
                "damaged records: readers get CORRUPT_MESSAGE there and may go on behind them; \
                 a copy of the file from before the damage brings them back"
            );
        }
    }

    /// How many.
    pub(crate) fn count(&self) -> usize {
        self.places.lock().len()
    }
}
