//! A disk around another one that fails on purpose: once, at the n-th change, or for want of room until there is some.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{DirEntry, Disk, DiskFile, DiskLock, DiskSpace, OpenMode};

/// What changes the disk, as far as it may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// Takes more room: a longer file, a new one, a new name.
    Growth,
    /// A file cut short, or a write within it.
    Within,
    Sync,
}

#[derive(Clone, Copy, Debug, Default)]
enum Plan {
    #[default]
    Healthy,
    /// The change of this number fails, with this kind of error.
    Once(u64, io::ErrorKind),
    /// Nothing grows.
    Full,
    /// For what is opened at this number there is no descriptor.
    NoDescriptor(u64),
}

#[derive(Debug, Default)]
struct Faults {
    plan: Plan,
    /// Changes since the plan was made.
    changes: u64,
    opened: u64,
    has_struck: bool,
}

/// Counts the changes that go through it and lets some fail. Clones share the plan.
#[derive(Clone, Debug)]
pub struct FaultyDisk {
    inner: Arc<dyn Disk>,
    faults: Arc<Mutex<Faults>>,
    /// Up to where the blocks of a file are its own ([`DiskFile::allocate`]).
    reserved: Arc<Mutex<BTreeMap<PathBuf, u64>>>,
}

impl FaultyDisk {
    /// One that does not fail yet.
    #[must_use]
    pub fn new(inner: Arc<dyn Disk>) -> Self {
        Self { inner, faults: Arc::default(), reserved: Arc::default() }
    }

    /// Of the changes from now on the one of number `nth` fails, from 0, and no other. A lack of room
    /// ([`io::ErrorKind::StorageFull`]) does not happen to an fsync.
    pub fn fail_once(&self, nth: u64, kind: io::ErrorKind) {
        *self.faults.lock() = Faults { plan: Plan::Once(nth, kind), ..Faults::default() };
    }

    /// From now on there is no room for anything more.
    pub fn fill(&self) {
        *self.faults.lock() = Faults { plan: Plan::Full, ..Faults::default() };
    }

    /// Of what is opened from now on the `nth` finds no free descriptor.
    pub fn lack_a_descriptor_once(&self, nth: u64) {
        *self.faults.lock() = Faults { plan: Plan::NoDescriptor(nth), ..Faults::default() };
    }

    /// Nothing fails any more.
    pub fn heal(&self) {
        *self.faults.lock() = Faults::default();
    }

    /// Whether something has failed since the plan was made.
    #[must_use]
    pub fn has_struck(&self) -> bool {
        self.faults.lock().has_struck
    }

    fn change(&self, change: Change) -> io::Result<()> {
        let mut faults = self.faults.lock();
        let fails = match faults.plan {
            Plan::Healthy | Plan::NoDescriptor(_) => None,
            Plan::Full => (change == Change::Growth).then_some(io::ErrorKind::StorageFull),
            Plan::Once(_, io::ErrorKind::StorageFull) if change == Change::Sync => return Ok(()),
            Plan::Once(nth, kind) => (nth == faults.changes).then_some(kind),
        };
        faults.changes += 1;
        faults.has_struck |= fails.is_some();
        fails.map_or(Ok(()), |kind| Err(kind.into()))
    }

    fn take_descriptor(&self) -> io::Result<()> {
        let mut faults = self.faults.lock();
        let number = faults.opened;
        faults.opened += 1;
        match faults.plan {
            Plan::NoDescriptor(nth) if nth == number => {
                faults.has_struck = true;
                Err(rustix::io::Errno::MFILE.into())
            }
            _ => Ok(()),
        }
    }
}

impl Disk for FaultyDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        self.take_descriptor()?;
        if matches!(mode, OpenMode::Create | OpenMode::Truncate) && self.inner.file_len(path)?.is_none() {
            self.change(Change::Growth)?;
        }
        let inner = self.inner.open(path, mode)?;
        Ok(Arc::new(FaultyFile { inner, disk: self.clone(), path: path.to_path_buf() }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(Change::Within)?;
        let reserved = self.reserved.lock().remove(from);
        self.reserved.lock().extend(reserved.map(|reserved| (to.to_path_buf(), reserved)));
        self.inner.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.reserved.lock().remove(path);
        self.inner.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.inner.remove_dir(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        if self.inner.list(path).is_err() {
            self.change(Change::Growth)?;
        }
        self.inner.create_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.change(Change::Sync)?;
        self.inner.sync_dir(path)
    }

    fn sync_fs(&self, path: &Path) -> io::Result<()> {
        self.change(Change::Sync)?;
        self.inner.sync_fs(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.inner.list(path)
    }

    fn file_len(&self, path: &Path) -> io::Result<Option<u64>> {
        self.inner.file_len(path)
    }

    fn modified_ms(&self, path: &Path) -> io::Result<Option<i64>> {
        self.inner.modified_ms(path)
    }

    fn space(&self, path: &Path) -> io::Result<DiskSpace> {
        self.inner.space(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        self.inner.lock(path)
    }
}

#[derive(Debug)]
struct FaultyFile {
    inner: Arc<dyn DiskFile>,
    disk: FaultyDisk,
    path: PathBuf,
}

impl FaultyFile {
    /// A write that fails has written a half.
    fn write(&self, bytes: &[u8], pos: u64) -> io::Result<usize> {
        let reserved = self.disk.reserved.lock().get(&self.path).copied().unwrap_or(0);
        let grows = pos + bytes.len() as u64 > self.inner.len()?.max(reserved);
        if let Err(error) = self.disk.change(if grows { Change::Growth } else { Change::Within }) {
            self.inner.write_at(&bytes[..bytes.len() / 2], pos)?;
            return Err(error);
        }
        self.inner.write_at(bytes, pos)
    }
}

impl DiskFile for FaultyFile {
    fn read_at(&self, buf: &mut [u8], pos: u64) -> io::Result<usize> {
        self.inner.read_at(buf, pos)
    }

    fn read_cached_at(&self, buf: &mut [u8], pos: u64) -> io::Result<usize> {
        self.inner.read_cached_at(buf, pos)
    }

    fn read_ahead(&self, pos: u64, len: u64) -> io::Result<()> {
        self.inner.read_ahead(pos, len)
    }

    fn write_at(&self, buf: &[u8], pos: u64) -> io::Result<usize> {
        self.write(buf, pos)
    }

    fn writev_at(&self, bufs: &[IoSlice<'_>], pos: u64) -> io::Result<usize> {
        self.write(&bufs.iter().flat_map(|buf| buf.iter().copied()).collect::<Vec<u8>>(), pos)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.change(Change::Sync)?;
        self.inner.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.disk.change(Change::Sync)?;
        self.inner.sync_all()
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let grows = len > self.inner.len()?;
        self.disk.change(if grows { Change::Growth } else { Change::Within })?;
        self.disk.reserved.lock().remove(&self.path);
        self.inner.set_len(len)
    }

    fn set_modified_ms(&self, ms: i64) -> io::Result<()> {
        self.inner.set_modified_ms(ms)
    }

    fn allocate(&self, pos: u64, len: u64) -> io::Result<()> {
        let reserved = self.disk.reserved.lock().get(&self.path).copied().unwrap_or(0);
        if pos + len > reserved {
            self.disk.change(Change::Growth)?;
            self.disk.reserved.lock().insert(self.path.clone(), pos + len);
        }
        self.inner.allocate(pos, len)
    }

    fn start_writeback(&self, pos: u64, len: u64) -> io::Result<()> {
        self.inner.start_writeback(pos, len)
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.inner.as_fd()
    }
}
