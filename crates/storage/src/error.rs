//! What can go wrong below a log: a disk without room, a failed system call, or bytes that are not what Kafka's formats
//! say.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;

/// A failure of the disk or of what is on it. The log (or log dir) that answers with one is offline from then on:
/// the caller moves leadership away, it does not retry. The exception is [`StorageError::NoRoom`].
#[derive(Clone, Debug, thiserror::Error)]
pub enum StorageError {
    /// A system call failed; `source` carries the errno.
    #[error("{op} {}: {source}", path.display())]
    Io { op: &'static str, path: PathBuf, source: Arc<io::Error> },
    /// The file system, or the quota, is full, or the process has no descriptor left. Log and disk are as before, and the
    /// same may be tried again.
    #[error("{op} {}: {source}", path.display())]
    NoRoom { op: &'static str, path: PathBuf, source: Arc<io::Error> },
    /// A file does not hold what its format says.
    #[error("{}: {what}", path.display())]
    Corrupt { path: PathBuf, what: String },
    /// Where a segment should have a sound batch it has none. Only who reads there is concerned.
    #[error("{}: damaged batch at position {position}: {what}", path.display())]
    Damaged { path: PathBuf, position: u32, what: String },
    /// An earlier failure took this log or log dir offline.
    #[error("{} is offline after an earlier failure", path.display())]
    Offline { path: PathBuf },
    /// Another process holds the log dir's `.lock`.
    #[error("{} is locked by another process", path.display())]
    Locked { path: PathBuf },
    /// `meta.properties` names another cluster or node.
    #[error("{} belongs to {key} {found}, this is {key} {wanted}", path.display())]
    Foreign { path: PathBuf, key: &'static str, found: String, wanted: String },
}

impl StorageError {
    pub(crate) fn io(op: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        if is_for_lack_of_room(&source) {
            Self::NoRoom { op, path, source: Arc::new(source) }
        } else {
            Self::Io { op, path, source: Arc::new(source) }
        }
    }

    /// A failed fsync, whatever the errno: that there was no room for what the kernel had taken says that it is lost.
    /// Only one that had no descriptor to begin with was never tried.
    pub(crate) fn unsynced(path: &Path, source: io::Error) -> Self {
        if lacks_descriptors(&source) {
            return Self::io("fsync", path, source);
        }
        Self::Io { op: "fsync", path: path.to_path_buf(), source: Arc::new(source) }
    }

    pub(crate) fn corrupt(path: &Path, what: impl Into<String>) -> Self {
        Self::Corrupt { path: path.to_path_buf(), what: what.into() }
    }

    /// Whether the whole log dir is not to be trusted any more, and not only one file of it.
    #[must_use]
    pub fn is_of_the_disk(&self) -> bool {
        matches!(self, Self::Io { .. })
    }

    /// Whether the same may succeed once there is room.
    #[must_use]
    pub fn is_for_lack_of_room(&self) -> bool {
        matches!(self, Self::NoRoom { .. })
    }

    /// Whether what lacks is a descriptor, and not room on the disk.
    #[must_use]
    pub fn is_for_lack_of_a_descriptor(&self) -> bool {
        matches!(self, Self::NoRoom { source, .. } if lacks_descriptors(source))
    }

    /// The path that the failure concerns.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Io { path, .. }
            | Self::NoRoom { path, .. }
            | Self::Corrupt { path, .. }
            | Self::Damaged { path, .. }
            | Self::Offline { path }
            | Self::Locked { path }
            | Self::Foreign { path, .. } => path,
        }
    }
}

/// Whether the same may succeed once there is room, on the disk or in the process's table of descriptors.
#[must_use]
pub fn is_for_lack_of_room(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        || lacks_descriptors(error)
}

fn lacks_descriptors(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::MFILE | Errno::NFILE))
}

/// Adds the operation and the path to an [`io::Result`].
pub(crate) trait At<T> {
    fn at(self, op: &'static str, path: &Path) -> Result<T, StorageError>;
    /// Of an fsync.
    fn synced(self, path: &Path) -> Result<T, StorageError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, op: &'static str, path: &Path) -> Result<T, StorageError> {
        self.map_err(|source| StorageError::io(op, path, source))
    }

    fn synced(self, path: &Path) -> Result<T, StorageError> {
        self.map_err(|source| StorageError::unsynced(path, source))
    }
}

/// Whether what may wait has been done: not, where there was no room for it.
pub(crate) fn if_room(outcome: Result<(), StorageError>) -> Result<bool, StorageError> {
    match outcome {
        Err(error) if error.is_for_lack_of_room() => Ok(false),
        other => other.map(|()| true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lack_of_room_is_no_failure_of_the_disk_unless_fsync_finds_it() {
        let path = Path::new("/d");
        for (kind, has_room) in [
            (io::ErrorKind::StorageFull, false),
            (io::ErrorKind::QuotaExceeded, false),
            (io::ErrorKind::Other, true),
        ] {
            let written = StorageError::io("write", path, kind.into());
            assert_eq!((written.is_for_lack_of_room(), written.is_of_the_disk()), (!has_room, has_room));
            assert!(StorageError::unsynced(path, kind.into()).is_of_the_disk());
        }
        let too_many = || io::Error::from(Errno::MFILE);
        assert!(StorageError::io("open", path, too_many()).is_for_lack_of_room());
        let unsynced = StorageError::unsynced(path, too_many());
        assert!(unsynced.is_for_lack_of_room() && unsynced.is_for_lack_of_a_descriptor());
    }
}
