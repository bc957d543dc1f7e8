//! How far a read may go: to the disk, or only to what is in memory, for those who must not wait.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::disk::DiskFile;
use crate::error::StorageError;
use crate::file_slice::FileSlice;

/// What is read from the disk for a read that did not find it in memory: next to it stands what the same lookup asks for
/// next.
const AROUND_BYTES: u64 = 64 * 1024;

/// Where a read may take bytes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The page cache: the disk is not waited for.
    Memory,
    /// The disk, too, however long it takes.
    Disk,
}

impl Reach {
    /// As [`DiskFile::read_at`].
    pub(crate) fn read_at(self, file: &Arc<dyn DiskFile>, buf: &mut [u8], pos: u64) -> io::Result<usize> {
        if self == Self::Disk {
            return file.read_at(buf, pos);
        }
        let len = buf.len() as u64;
        match file.read_cached_at(buf, pos) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Err(io::Error::new(error.kind(), OnDisk(around(file, pos, len))))
            }
            read => read,
        }
    }

    /// As [`DiskFile::read_exact_at`].
    pub(crate) fn read_exact_at(self, file: &Arc<dyn DiskFile>, buf: &mut [u8], pos: u64) -> io::Result<()> {
        let wanted = buf.len();
        if self.read_at(file, buf, pos)? < wanted { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}

/// As a read within [`Reach::Memory`] fails: the slice is on the disk only.
pub(crate) fn lacks(slice: FileSlice, path: &Path) -> StorageError {
    StorageError::io("read", path, io::Error::new(io::ErrorKind::WouldBlock, OnDisk(slice)))
}

fn around(file: &Arc<dyn DiskFile>, pos: u64, len: u64) -> FileSlice {
    let position = pos - pos % AROUND_BYTES;
    let end = pos.saturating_add(len).next_multiple_of(AROUND_BYTES);
    FileSlice { file: Arc::clone(file), position, length: u32::try_from(end - position).unwrap_or(u32::MAX) }
}

/// What a read within [`Reach::Memory`] would have had to wait for.
#[derive(Debug)]
struct OnDisk(FileSlice);

impl fmt::Display for OnDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not in memory")
    }
}

impl std::error::Error for OnDisk {}

/// What a lookup within [`Reach::Memory`] lacked, if that is why it failed.
pub(crate) fn lacked(error: &StorageError) -> Option<FileSlice> {
    let StorageError::Io { source, .. } = error else { return None };
    Some(source.get_ref()?.downcast_ref::<OnDisk>()?.0.clone())
}
