//! The few small values kept beside the log: who we are, our vote, and pointers.

use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::path::Path;

use tokio::sync::oneshot;

use super::codec::corrupt;

/// What is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum MetaKey {
    /// Cluster, node and directory that this log belongs to.
    Identity,
    Vote,
    /// The last log id known to be committed; a hint, never flushed for its own sake.
    Committed,
    /// The last log id that the log no longer holds.
    Purged,
    /// The name of the current snapshot's file.
    Snapshot,
}

impl MetaKey {
    const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Vote => "vote",
            Self::Committed => "committed",
            Self::Purged => "purged",
            Self::Snapshot => "snapshot",
        }
    }
}

/// A map of small values. What was put is durable once a later [`Self::flush`] has returned.
pub(crate) trait MetaStore: Send + Sync + Debug + 'static {
    fn get(&self, key: MetaKey) -> io::Result<Option<Vec<u8>>>;
    fn put(&self, key: MetaKey, value: &[u8]) -> io::Result<()>;
    fn flush(&self) -> io::Result<()>;

    /// Puts and flushes.
    fn save(&self, key: MetaKey, value: &[u8]) -> io::Result<()> {
        self.put(key, value)?;
        self.flush()
    }
}

/// sled 0.34 holds these values only, a few hundred bytes in all.
const SLED_CACHE_BYTES: u64 = 256 * 1024;

/// The store on sled.
#[derive(Debug)]
pub(crate) struct SledStore {
    db: sled::Db,
    /// sled's own data file, to be synced behind sled's back.
    data_file: File,
    /// Dropped after the database, whose lock is free then.
    _open: oneshot::Sender<()>,
}

impl SledStore {
    /// The store, and what ends once it is closed and another may open it.
    pub(crate) fn open(dir: &Path) -> io::Result<(Self, oneshot::Receiver<()>)> {
        let config = sled::Config::new().path(dir).flush_every_ms(None).cache_capacity(SLED_CACHE_BYTES);
        let db = config.open().map_err(|error| sled_error(&error))?;
        let data_file = File::open(dir.join("db"))?;
        File::open(dir)?.sync_all()?;
        let (open, closed) = oneshot::channel();
        Ok((Self { db, data_file, _open: open }, closed))
    }
}

impl MetaStore for SledStore {
    fn get(&self, key: MetaKey) -> io::Result<Option<Vec<u8>>> {
        let value = self.db.get(key.name()).map_err(|error| sled_error(&error))?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn put(&self, key: MetaKey, value: &[u8]) -> io::Result<()> {
        self.db.insert(key.name(), value).map_err(|error| sled_error(&error))?;
        Ok(())
    }

    /// sled's flush ends in sync_file_range, which is no barrier: a power cut loses what it reported flushed.
    fn flush(&self) -> io::Result<()> {
        self.db.flush().map_err(|error| sled_error(&error))?;
        self.data_file.sync_data()
    }
}

fn sled_error(error: &sled::Error) -> io::Error {
    match error {
        sled::Error::Io(error) => io::Error::new(error.kind(), error.to_string()),
        other => corrupt("sled", other),
    }
}
