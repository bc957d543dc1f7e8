//! Log dirs that have no room: said once when it begins and once when it is over, however often something is refused
//! meanwhile.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ottla_storage::StorageError;
use parking_lot::Mutex;

/// A dir has room again when something was written and nothing has been refused for so long.
const QUIET: Duration = Duration::from_secs(10);

/// The dirs without room, and how often that was why something was refused.
#[derive(Debug, Default)]
pub(crate) struct DirRoom {
    /// Each with the time of the last refusal.
    full: Mutex<BTreeMap<PathBuf, Instant>>,
    refusals: AtomicU64,
}

impl DirRoom {
    /// Something found no room in `dir`.
    pub(super) fn refused(&self, dir: &Path, cause: &StorageError, now: Instant) {
        self.refusals.fetch_add(1, Ordering::Relaxed);
        if self.full.lock().insert(dir.to_path_buf(), now).is_none() {
            let dir = dir.display();
            if cause.is_for_lack_of_a_descriptor() {
                tracing::error!(%dir, error = %cause, "too many open files: what needs one more is refused until one is free");
            } else {
                tracing::error!(%dir, error = %cause, "log dir is full: writes are refused until there is room");
            }
        }
    }

    /// Something new was written into `dir`.
    pub(super) fn written(&self, dir: &Path, now: Instant) {
        let mut full = self.full.lock();
        let is_over = |last: &Instant| now.saturating_duration_since(*last) >= QUIET;
        if full.get(dir).is_some_and(is_over) {
            full.remove(dir);
            tracing::info!(dir = %dir.display(), "log dir has room again");
        }
    }

    /// Dirs that have no room now.
    pub(crate) fn full_count(&self) -> usize {
        self.full.lock().len()
    }

    /// Refusals since the start.
    pub(crate) fn refusals(&self) -> u64 {
        self.refusals.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dir_is_full_from_its_first_refusal_until_it_is_quiet_and_written() {
        let (room, start) = (DirRoom::default(), Instant::now());
        let (dir, cause) = (Path::new("/a"), StorageError::Offline { path: "/a".into() });
        let at = |seconds| start + Duration::from_secs(seconds);
        room.written(dir, at(0));
        assert_eq!((room.full_count(), room.refusals()), (0, 0));
        for second in 0..100 {
            room.refused(dir, &cause, at(second));
        }
        room.written(Path::new("/b"), at(120));
        room.written(dir, at(108));
        assert_eq!((room.full_count(), room.refusals()), (1, 100));
        room.written(dir, at(109));
        assert_eq!((room.full_count(), room.refusals()), (0, 100));
    }
}
