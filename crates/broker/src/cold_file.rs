//! A file for tests that may be on the disk only, and that says what was asked of it.

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ottla_storage::{Disk, DiskFile, OpenMode, RealDisk};
use parking_lot::{Condvar, Mutex};
use tempfile::TempDir;

/// Positions that something was asked of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    ReadAhead(u64),
    Read(u64),
}

/// Zeros on a real disk.
#[derive(Debug)]
pub(crate) struct ColdFile {
    inner: Arc<dyn DiskFile>,
    _dir: TempDir,
    pub(crate) is_cold: AtomicBool,
    pub(crate) asked: Mutex<Vec<Asked>>,
    turnstile: Mutex<Turnstile>,
    changed: Condvar,
}

/// Who reads from the disk waits here while it is shut.
#[derive(Debug, Default)]
struct Turnstile {
    is_shut: bool,
    waiting: usize,
    waiting_max: usize,
}

impl ColdFile {
    pub(crate) fn new(len: usize) -> Arc<Self> {
        let dir = tempfile::tempdir().expect("a directory");
        let inner = RealDisk.open(&dir.path().join("a.log"), OpenMode::Create).expect("a file");
        inner.write_all_at(&vec![0; len], 0).expect("room");
        let (asked, turnstile, changed) = Default::default();
        Arc::new(Self { inner, _dir: dir, is_cold: AtomicBool::new(true), asked, turnstile, changed })
    }

    /// From now on reads wait.
    pub(crate) fn shut(&self) {
        self.turnstile.lock().is_shut = true;
    }

    /// No more.
    pub(crate) fn reopen(&self) {
        self.turnstile.lock().is_shut = false;
        self.changed.notify_all();
    }

    /// How many reads wait now, and how many did at once at most.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        let turnstile = self.turnstile.lock();
        (turnstile.waiting, turnstile.waiting_max)
    }
}

impl DiskFile for ColdFile {
    fn read_at(&self, buf: &mut [u8], pos: u64) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        self.asked.lock().push(Asked::Read(pos));
        let mut turnstile = self.turnstile.lock();
        turnstile.waiting += 1;
        turnstile.waiting_max = turnstile.waiting_max.max(turnstile.waiting);
        self.changed.wait_while(&mut turnstile, |turnstile| turnstile.is_shut);
        turnstile.waiting -= 1;
        drop(turnstile);
        self.inner.read_at(buf, pos)
    }

    fn read_cached_at(&self, buf: &mut [u8], pos: u64) -> io::Result<usize> {
        if self.is_cold.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.inner.read_at(buf, pos)
    }

    fn read_ahead(&self, pos: u64, _len: u64) -> io::Result<()> {
        self.asked.lock().push(Asked::ReadAhead(pos));
        Ok(())
    }

    fn write_at(&self, buf: &[u8], pos: u64) -> io::Result<usize> {
        self.inner.write_at(buf, pos)
    }

    fn writev_at(&self, bufs: &[IoSlice<'_>], pos: u64) -> io::Result<usize> {
        self.inner.writev_at(bufs, pos)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.inner.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.inner.sync_all()
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }

    fn set_modified_ms(&self, ms: i64) -> io::Result<()> {
        self.inner.set_modified_ms(ms)
    }

    fn allocate(&self, pos: u64, len: u64) -> io::Result<()> {
        self.inner.allocate(pos, len)
    }

    fn start_writeback(&self, pos: u64, len: u64) -> io::Result<()> {
        self.inner.start_writeback(pos, len)
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.inner.as_fd()
    }
}
