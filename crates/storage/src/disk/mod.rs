//! The file system as a parameter: everything in this crate reaches files through [`Disk`] and [`DiskFile`], so that
//! the same code runs on a real file system and on one that forgets what was not synced.

mod faulty;
mod real;
mod sim;

use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;

pub use faulty::FaultyDisk;
pub use real::RealDisk;
pub use sim::{FailedChange, Seeded, SimDisk};

/// How [`Disk::open`] opens a file; all but `Read` are for reading and writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// An existing file, for reading only.
    Read,
    /// An existing file.
    Write,
    /// Made when it does not exist.
    Create,
    /// Made, or emptied when it exists.
    Truncate,
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    pub name: String,
    pub is_dir: bool,
}

/// Bytes of the file system that holds a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskSpace {
    pub total_bytes: u64,
    pub usable_bytes: u64,
}

/// Holds a directory's exclusive lock until dropped.
pub trait DiskLock: Send + Sync + Debug {}

/// A file system. Nothing is durable before [`DiskFile::sync_data`] (contents) and [`Disk::sync_dir`] (names).
pub trait Disk: Send + Sync + Debug {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>>;
    /// Replaces `to` if it is a file that exists; also renames directories.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// The directory must be empty.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes the directory and its missing parents; nothing to do when it exists.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Writes everything dirty of the file system that holds `path`.
    fn sync_fs(&self, path: &Path) -> io::Result<()>;
    /// Entries sorted by name; names that are not UTF-8 are left out.
    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>>;
    /// Length of a file; `None` if there is no such file.
    fn file_len(&self, path: &Path) -> io::Result<Option<u64>>;
    /// When a file was last written, in Unix milliseconds; `None` where that is not known.
    fn modified_ms(&self, path: &Path) -> io::Result<Option<i64>>;
    fn space(&self, path: &Path) -> io::Result<DiskSpace>;
    /// Takes the exclusive lock on the file `path`, made if missing; `None` if another process has it.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>>;

    /// The whole file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.open(path, OpenMode::Read)?;
        let len = usize::try_from(file.len()?).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let mut bytes = vec![0; len];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }
}

/// An open file, addressed by position; shared by readers while one owner appends.
pub trait DiskFile: Send + Sync + Debug {
    /// Bytes read into `buf`; fewer than asked only at the end of the file.
    fn read_at(&self, buf: &mut [u8], pos: u64) -> io::Result<usize>;
    /// As [`DiskFile::read_at`], of what is in memory only: fails with `WouldBlock` where the disk would have to be waited
    /// for. Where that cannot be told, as `read_at`.
    fn read_cached_at(&self, buf: &mut [u8], pos: u64) -> io::Result<usize> {
        self.read_at(buf, pos)
    }
    /// Asks the kernel to begin reading a range into memory, without waiting; where that is not supported, nothing.
    fn read_ahead(&self, _pos: u64, _len: u64) -> io::Result<()> {
        Ok(())
    }
    /// Bytes written, as one system call; may be fewer than given.
    fn write_at(&self, buf: &[u8], pos: u64) -> io::Result<usize>;
    /// Bytes written of all buffers in their order, as one system call.
    fn writev_at(&self, bufs: &[IoSlice<'_>], pos: u64) -> io::Result<usize>;
    /// Makes contents and length durable.
    fn sync_data(&self) -> io::Result<()>;
    /// Makes contents and all metadata durable.
    fn sync_all(&self) -> io::Result<()>;
    fn len(&self) -> io::Result<u64>;
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Sets when the file was last written, in Unix milliseconds; where that is not supported, nothing.
    fn set_modified_ms(&self, ms: i64) -> io::Result<()>;
    /// Reserves space beyond the end without changing the length; where that is not supported, nothing.
    fn allocate(&self, pos: u64, len: u64) -> io::Result<()>;
    /// Asks the kernel to begin writing a dirty range, without waiting; where that is not supported, nothing.
    fn start_writeback(&self, pos: u64, len: u64) -> io::Result<()>;
    /// The descriptor for sendfile; `None` on a simulated disk.
    fn as_fd(&self) -> Option<BorrowedFd<'_>>;

    /// Fills `buf` or fails with `UnexpectedEof`.
    fn read_exact_at(&self, buf: &mut [u8], pos: u64) -> io::Result<()> {
        if self.read_at(buf, pos)? < buf.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    /// Writes all of `buf`, in as many system calls as that takes (normally one).
    fn write_all_at(&self, buf: &[u8], pos: u64) -> io::Result<()> {
        let mut done = 0;
        while done < buf.len() {
            let written = self.write_at(&buf[done..], pos + done as u64)?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            done += written;
        }
        Ok(())
    }
}
