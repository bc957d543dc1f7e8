//! The real file system, through rustix.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Advice, FallocateFlags, FlockOperation};

use super::{DirEntry, Disk, DiskFile, DiskLock, DiskSpace, OpenMode};

/// A descriptor that is kept for a moment in which there is no other: what has begun to change names must be able to sync
/// them, or it would stand still half way.
mod spare {
    use std::fs::File;
    use std::io;

    use parking_lot::Mutex;
    use rustix::io::Errno;

    static SPARE: Mutex<Option<File>> = Mutex::new(None);

    /// Opens and uses a file; where no descriptor is free, one after the other in place of the spare one.
    pub(super) fn with<T>(
        open: impl Fn() -> io::Result<File>,
        act: impl FnOnce(&File) -> io::Result<T>,
    ) -> io::Result<T> {
        match open() {
            Err(error) if Errno::from_io_error(&error) == Some(Errno::MFILE) => {
                let mut spare = SPARE.lock();
                *spare = None;
                let file = open()?;
                let done = act(&file);
                drop(file);
                *spare = File::open("/dev/null").ok();
                done
            }
            opened => {
                let mut spare = SPARE.lock();
                if spare.is_none() {
                    *spare = File::open("/dev/null").ok();
                }
                drop(spare);
                act(&opened?)
            }
        }
    }
}

/// The operating system's files.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true);
        match mode {
            OpenMode::Read => {}
            OpenMode::Write => {
                options.write(true);
            }
            OpenMode::Create => {
                options.write(true).create(true).truncate(false);
            }
            OpenMode::Truncate => {
                options.write(true).create(true).truncate(true);
            }
        }
        Ok(Arc::new(RealFile(options.open(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_dir(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::create_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        spare::with(|| File::open(path), |dir| dir.sync_all())
    }

    fn sync_fs(&self, path: &Path) -> io::Result<()> {
        Ok(rustix::fs::syncfs(File::open(path)?)?)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(path)? {
            let entry = entry?;
            if let Ok(name) = entry.file_name().into_string() {
                entries.push(DirEntry { name, is_dir: entry.file_type()?.is_dir() });
            }
        }
        entries.sort_unstable();
        Ok(entries)
    }

    fn file_len(&self, path: &Path) -> io::Result<Option<u64>> {
        match std::fs::metadata(path) {
            Ok(metadata) => Ok(metadata.is_file().then_some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn modified_ms(&self, path: &Path) -> io::Result<Option<i64>> {
        let modified = std::fs::metadata(path)?.modified()?;
        let since = modified.duration_since(std::time::UNIX_EPOCH);
        Ok(since.ok().and_then(|since| i64::try_from(since.as_millis()).ok()))
    }

    fn space(&self, path: &Path) -> io::Result<DiskSpace> {
        let stat = rustix::fs::statvfs(path)?;
        Ok(DiskSpace {
            total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
            usable_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
        })
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Box::new(RealLock { _file: file }))),
            Err(error) if error == rustix::io::Errno::WOULDBLOCK => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

#[derive(Debug)]
struct RealLock {
    _file: File,
}

impl DiskLock for RealLock {}

#[derive(Debug)]
struct RealFile(File);

impl DiskFile for RealFile {
    fn read_at(&self, buf: &mut [u8], pos: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < buf.len() {
            match rustix::io::pread(&self.0, &mut buf[done..], pos + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error == rustix::io::Errno::INTR => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(done)
    }

    fn read_cached_at(&self, buf: &mut [u8], pos: u64) -> io::Result<usize> {
        use rustix::io::{Errno, ReadWriteFlags};
        let mut done = 0;
        while done < buf.len() {
            let rest = &mut [IoSliceMut::new(&mut buf[done..])];
            match rustix::io::preadv2(&self.0, rest, pos + done as u64, ReadWriteFlags::NOWAIT) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(Errno::INTR) => {}
                // A file system that cannot tell.
                Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => return self.read_at(buf, pos),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(done)
    }

    fn read_ahead(&self, pos: u64, len: u64) -> io::Result<()> {
        Ok(rustix::fs::fadvise(&self.0, pos, std::num::NonZeroU64::new(len), Advice::WillNeed)?)
    }

    fn write_at(&self, buf: &[u8], pos: u64) -> io::Result<usize> {
        Ok(rustix::io::retry_on_intr(|| rustix::io::pwrite(&self.0, buf, pos))?)
    }

    fn writev_at(&self, bufs: &[IoSlice<'_>], pos: u64) -> io::Result<usize> {
        Ok(rustix::io::retry_on_intr(|| rustix::io::pwritev(&self.0, bufs, pos))?)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.0.sync_all()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn set_modified_ms(&self, ms: i64) -> io::Result<()> {
        let since = std::time::Duration::from_millis(u64::try_from(ms).unwrap_or(0));
        self.0.set_modified(std::time::UNIX_EPOCH + since)
    }

    fn allocate(&self, pos: u64, len: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.0, FallocateFlags::KEEP_SIZE, pos, len) {
            Err(error) if error == rustix::io::Errno::OPNOTSUPP || error == rustix::io::Errno::NOSYS => {
                Ok(())
            }
            other => Ok(other?),
        }
    }

    fn start_writeback(&self, pos: u64, len: u64) -> io::Result<()> {
        // POSIX_FADV_DONTNEED is the one portable call of rustix that begins write-back of a dirty range without
        // waiting; it drops only pages that are already clean, so a range just written stays cached.
        Ok(rustix::fs::fadvise(&self.0, pos, std::num::NonZeroU64::new(len), Advice::DontNeed)?)
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }
}
