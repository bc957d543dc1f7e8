//! sled as the store of votes and pointers, with room of its own.

use std::any::Any;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use ottla_storage::is_for_lack_of_room;
use rustix::fs::FallocateFlags;
use tokio::sync::oneshot;

use super::codec::corrupt;
use super::meta_store::{MetaKey, MetaStore};

/// sled 0.34 holds these values only, a few hundred bytes in all.
const SLED_CACHE_BYTES: u64 = 256 * 1024;

/// Bytes of sled's data file that are reserved ahead of what it holds: one write that finds no room ends the database. A
/// segment of sled's is half of it.
const SLED_ROOM: u64 = 1 << 20;
/// Values that are put between two looks at the reserve: far fewer than fill it.
const PUTS_PER_LOOK: u64 = 256;
/// A file that takes room of its own while the store is closed, for what sled writes when it is opened.
const RESERVE: &str = "reserve";
const RESERVE_BYTES: usize = 2 << 20;

/// How long a database that was just closed may stay locked.
const UNLOCK_WAIT: Duration = Duration::from_secs(5);
const UNLOCK_PAUSE: Duration = Duration::from_millis(1);

/// The store on sled.
#[derive(Debug)]
pub(crate) struct SledStore {
    db: sled::Db,
    puts: AtomicU64,
    /// sled's own data file, to be synced behind sled's back.
    data_file: File,
    /// Dropped after the database, whose lock is free then, or soon.
    _open: oneshot::Sender<()>,
}

impl SledStore {
    /// The store, and what ends once it is closed and another may open it.
    pub(crate) fn open(dir: &Path) -> io::Result<(Self, oneshot::Receiver<()>)> {
        let making = Making::begin(dir)?;
        drop_unfinished_snapshots(dir)?;
        give_back_reserve(dir)?;
        let db = open_db(dir)?;
        let data_file = File::options().read(true).write(true).open(dir.join("db"))?;
        let (open, closed) = oneshot::channel();
        let store = Self { db, puts: AtomicU64::new(0), data_file, _open: open };
        store.reserve()?;
        make_reserve(dir)?;
        File::open(dir)?.sync_all()?;
        making.map_or(Ok(()), |making| making.end(dir))?;
        Ok((store, closed))
    }

    /// All that it holds.
    pub(super) fn values(&self) -> io::Result<BTreeMap<MetaKey, Vec<u8>>> {
        let read = || {
            let values = MetaKey::ALL.map(|key| Ok(self.get(key)?.map(|value| (key, value))));
            values.into_iter().filter_map(io::Result::transpose).collect()
        };
        catch_unwind(AssertUnwindSafe(read)).map_err(|panic| corrupt("sled", said(panic.as_ref())))?
    }

    /// Reserves blocks behind the data file's end, as far as there is room.
    fn reserve(&self) -> io::Result<()> {
        let len = self.data_file.metadata()?.len();
        // What is there already stays; less than is wanted is better than none.
        for room in [SLED_ROOM, SLED_ROOM / 2] {
            if rustix::fs::fallocate(&self.data_file, FallocateFlags::KEEP_SIZE, 0, len + room).is_ok() {
                break;
            }
        }
        Ok(())
    }
}

/// Of some damage sled makes an error, and of some a panic. A database that was dropped stays locked for as long as a
/// thread of sled's still works on it.
fn open_db(dir: &Path) -> io::Result<sled::Db> {
    let config = sled::Config::new().path(dir).flush_every_ms(None).cache_capacity(SLED_CACHE_BYTES);
    let until = Instant::now() + UNLOCK_WAIT;
    loop {
        let opened = catch_unwind(AssertUnwindSafe(|| config.open()));
        match opened.map_err(|panic| corrupt("sled", said(panic.as_ref())))? {
            Err(error) if is_locked(&error) && Instant::now() < until => sleep(UNLOCK_PAUSE),
            opened => return opened.map_err(|error| sled_error(&error)),
        }
    }
}

/// Others that might have it open are kept out by the log dir's own lock.
fn is_locked(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(error) if error.to_string().starts_with("could not acquire lock"))
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panics")
}

/// A file beside a database that is being made: sled syncs neither its settings nor the names of its files, and does not
/// open what a power cut leaves of that. Nothing was kept in what is left beside such a file.
#[derive(Debug)]
struct Making(PathBuf);

impl Making {
    /// Of a database that is not there yet.
    fn begin(dir: &Path) -> io::Result<Option<Self>> {
        let making = Self(dir.with_extension("making"));
        if making.0.exists() && dir.exists() {
            std::fs::remove_dir_all(dir)?;
        }
        if dir.exists() {
            return Ok(None);
        }
        File::create(&making.0)?;
        making.sync_names()?;
        Ok(Some(making))
    }

    fn end(self, dir: &Path) -> io::Result<()> {
        for entry in std::fs::read_dir(dir)? {
            File::open(entry?.path())?.sync_all()?;
        }
        self.sync_names()?;
        std::fs::remove_file(&self.0)?;
        self.sync_names()
    }

    fn sync_names(&self) -> io::Result<()> {
        self.0.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
    }
}

/// sled takes what a crash has left of a snapshot for one, and does not open with it; the one before it is still there.
fn drop_unfinished_snapshots(dir: &Path) -> io::Result<()> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "generating") {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn give_back_reserve(dir: &Path) -> io::Result<()> {
    match std::fs::remove_file(dir.join(RESERVE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// As much of it as there is room for.
fn make_reserve(dir: &Path) -> io::Result<()> {
    match std::fs::write(dir.join(RESERVE), vec![0; RESERVE_BYTES]) {
        Err(error) if !is_for_lack_of_room(&error) => Err(error),
        _ => Ok(()),
    }
}

impl MetaStore for SledStore {
    fn get(&self, key: MetaKey) -> io::Result<Option<Vec<u8>>> {
        let value = self.db.get(key.name()).map_err(|error| sled_error(&error))?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn put(&self, key: MetaKey, value: &[u8]) -> io::Result<()> {
        if self.puts.fetch_add(1, Ordering::Relaxed).is_multiple_of(PUTS_PER_LOOK) {
            self.reserve()?;
        }
        self.db.insert(key.name(), value).map_err(|error| sled_error(&error))?;
        Ok(())
    }

    /// sled's flush ends in sync_file_range, which is no barrier: a power cut loses what it reported flushed.
    fn flush(&self) -> io::Result<()> {
        self.reserve()?;
        self.db.flush().map_err(|error| sled_error(&error))?;
        self.data_file.sync_data()
    }
}

/// `InvalidData`, where what is on the disk is to blame.
fn sled_error(error: &sled::Error) -> io::Error {
    match error {
        sled::Error::Io(error) if error.raw_os_error().is_some() || error.kind() == io::ErrorKind::Other => {
            io::Error::new(error.kind(), error.to_string())
        }
        other => corrupt("sled", other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn store_that_is_about_to_be_closed_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let (store, _) = SledStore::open(&path).unwrap();
        store.save(MetaKey::Vote, b"7").unwrap();
        let closing = std::thread::spawn(move || {
            sleep(Duration::from_millis(50));
            drop(store);
        });
        let (again, _) = SledStore::open(&path).unwrap();
        assert_eq!(again.get(MetaKey::Vote).unwrap().unwrap(), b"7");
        closing.join().unwrap();
    }
}
