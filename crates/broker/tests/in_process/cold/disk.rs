//! A disk that can be made cold: what is read from it then waits until the test lets it through.

use std::collections::BTreeSet;
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ottla_storage::{DirEntry, Disk, DiskFile, DiskLock, DiskSpace, OpenMode, RealDisk};
use parking_lot::{Condvar, Mutex};

const BLOCK: u64 = 4096;
/// Nothing waits longer: the test has failed by then.
const PATIENCE: Duration = Duration::from_secs(60);

/// The operating system's files, some of which may turn cold. Clones share that.
#[derive(Clone, Debug, Default)]
pub(crate) struct ColdDisk(Arc<Gate>);

#[derive(Debug, Default)]
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// These files are cold.
    cold: BTreeSet<PathBuf>,
    /// Blocks that were read since.
    warm: BTreeSet<(PathBuf, u64)>,
    waiting: Vec<ColdRead>,
    /// Those of them that need not wait any more.
    let_through: Vec<ColdRead>,
}

/// A read that waits for the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ColdRead {
    pub(crate) file: PathBuf,
    pub(crate) pos: u64,
    pub(crate) len: usize,
}

impl ColdDisk {
    /// From now on nothing of the closed segments in this directory is in memory.
    pub(crate) fn chill(&self, dir: &Path) {
        let mut cold: BTreeSet<_> = dir.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
        let mut logs = cold.iter().filter(|path| path.extension().is_some_and(|kind| kind == "log"));
        let active = logs.next_back().and_then(|path| path.file_stem()).map(ToOwned::to_owned);
        cold.retain(|path| path.file_stem() != active.as_deref());
        *self.0.state.lock() = State { cold, ..State::default() };
    }

    /// Everything is in memory again.
    pub(crate) fn thaw(&self) {
        self.0.state.lock().cold.clear();
        self.0.changed.notify_all();
    }

    /// What waits for the disk, once something does.
    pub(crate) fn waiting(&self) -> Option<ColdRead> {
        self.0.state.lock().waiting.first().cloned()
    }

    /// Lets this one through, and none beside it.
    pub(crate) fn let_through(&self, read: ColdRead) {
        self.0.state.lock().let_through.push(read);
        self.0.changed.notify_all();
    }
}

impl Gate {
    fn is_cold(&self, path: &Path, pos: u64, len: usize) -> bool {
        let state = self.state.lock();
        state.cold.contains(path)
            && blocks(pos, len).any(|block| !state.warm.contains(&(path.to_path_buf(), block)))
    }

    fn wait(&self, path: &Path, pos: u64, len: usize) {
        let mut state = self.state.lock();
        let read = ColdRead { file: path.to_path_buf(), pos, len };
        state.waiting.push(read.clone());
        let waited = self.changed.wait_while_for(
            &mut state,
            |state| !state.cold.is_empty() && !state.let_through.contains(&read),
            PATIENCE,
        );
        assert!(!waited.timed_out(), "nobody let the disk go on: {read:?} of {:?}", state.waiting);
        take(&mut state.waiting, &read);
        take(&mut state.let_through, &read);
        state.warm.extend(blocks(pos, len).map(|block| (path.to_path_buf(), block)));
    }
}

fn take(reads: &mut Vec<ColdRead>, read: &ColdRead) {
    if let Some(at) = reads.iter().position(|one| one == read) {
        reads.remove(at);
    }
}

fn blocks(pos: u64, len: usize) -> impl Iterator<Item = u64> {
    pos / BLOCK..(pos + len as u64).div_ceil(BLOCK)
}

#[derive(Debug)]
struct ColdFile {
    inner: Arc<dyn DiskFile>,
    path: PathBuf,
    gate: Arc<Gate>,
}

impl ColdFile {
    /// The part of a read that is before the file's end: beyond it nothing is waited for.
    fn len_within(&self, len: usize, pos: u64) -> io::Result<usize> {
        Ok(len.min(usize::try_from(self.inner.len()?.saturating_sub(pos)).unwrap_or(usize::MAX)))
    }
}

/// Closed segments are checked behind their first reader: by a thread that may wait, and here not warmed by it.
fn is_checker() -> bool {
    std::thread::current().name() == Some("log-check")
}

impl DiskFile for ColdFile {
    fn read_at(&self, buf: &mut [u8], pos: u64) -> io::Result<usize> {
        let len = self.len_within(buf.len(), pos)?;
        if self.gate.is_cold(&self.path, pos, len) && !is_checker() {
            self.gate.wait(&self.path, pos, len);
        }
        self.inner.read_at(buf, pos)
    }

    fn read_cached_at(&self, buf: &mut [u8], pos: u64) -> io::Result<usize> {
        let len = self.len_within(buf.len(), pos)?;
        if self.gate.is_cold(&self.path, pos, len) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.inner.read_at(buf, pos)
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

impl Disk for ColdDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let inner = RealDisk.open(path, mode)?;
        Ok(Arc::new(ColdFile { inner, path: path.to_path_buf(), gate: Arc::clone(&self.0) }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove_dir(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.create_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.sync_dir(path)
    }

    fn sync_fs(&self, path: &Path) -> io::Result<()> {
        RealDisk.sync_fs(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        RealDisk.list(path)
    }

    fn file_len(&self, path: &Path) -> io::Result<Option<u64>> {
        RealDisk.file_len(path)
    }

    fn modified_ms(&self, path: &Path) -> io::Result<Option<i64>> {
        RealDisk.modified_ms(path)
    }

    fn space(&self, path: &Path) -> io::Result<DiskSpace> {
        RealDisk.space(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        RealDisk.lock(path)
    }
}
