//! The store of votes and pointers as it is on a real file system: sled and the copy beside it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_storage::Disk;
use tokio::sync::oneshot;

use super::codec::{read_identity, read_log_id, read_purged, read_vote};
use super::damage::{Remedy, damaged, is_damage};
use super::meta_copy::{self, Found, MetaCopy, Values};
use super::meta_store::{MetaKey, MetaStore};
use super::sled_store::SledStore;
use super::standing::Standing;

/// Where sled lives, beside the log's files.
pub(super) const SLED_DIR: &str = "quorum-state.sled";

/// Both, of which each has all that was saved.
#[derive(Debug)]
pub(crate) struct MetaPair {
    copy: MetaCopy,
    sled: SledStore,
}

impl MetaPair {
    /// The store, and what ends once it is closed and another may open it. What one of the two has lost, or has of an
    /// earlier time, is taken from the other.
    ///
    /// # Errors
    /// I/O, or damage to both.
    pub(crate) fn open(disk: &Arc<dyn Disk>, dir: &Path) -> io::Result<(Self, oneshot::Receiver<()>)> {
        let copy_path = dir.join(meta_copy::FILE_NAME);
        let copied = match Found::read(disk.as_ref(), dir)? {
            Found::Sound(values) => Some(values),
            Found::Nothing => None,
            Found::Damaged => {
                tracing::warn!(file = %copy_path.display(), "damaged: written anew");
                None
            }
        };
        let (sled, closed, kept) = open_sled(disk.as_ref(), dir, copied.is_some())?;
        let mut values = Values::new();
        for key in MetaKey::ALL {
            let kept = kept.get(&key);
            let copied = copied.as_ref().and_then(|values| values.get(&key));
            let refused = |why| {
                let what = format!("{} in {SLED_DIR} and {}: {why}", key.name(), meta_copy::FILE_NAME);
                damaged(dir, what, Remedy::Backup)
            };
            let Some(value) = newer(key, kept, copied).map_err(refused)?.cloned() else { continue };
            if key != MetaKey::Committed && kept != Some(&value) {
                let store = dir.join(SLED_DIR);
                tracing::warn!(store = %store.display(), value = key.name(), "lost or older than its copy: mended");
                sled.save(key, &value)?;
            }
            values.insert(key, value);
        }
        let copy = MetaCopy::create(disk.as_ref(), dir, values)?;
        Ok((Self { copy, sled }, closed))
    }
}

impl MetaStore for MetaPair {
    fn get(&self, key: MetaKey) -> io::Result<Option<Vec<u8>>> {
        Ok(self.copy.get(key))
    }

    fn put(&self, key: MetaKey, value: &[u8]) -> io::Result<()> {
        self.copy.put(key, value)?;
        if key == MetaKey::Committed { Ok(()) } else { self.sled.put(key, value) }
    }

    fn flush(&self) -> io::Result<()> {
        self.sled.flush()?;
        self.copy.sync()
    }
}

type OpenSled = (SledStore, oneshot::Receiver<()>, Values);

/// Where sled cannot open what is there, and there is a copy, it is set aside.
fn open_sled(disk: &dyn Disk, dir: &Path, has_copy: bool) -> io::Result<OpenSled> {
    let path = dir.join(SLED_DIR);
    let open = || {
        let (sled, closed) = SledStore::open(&path)?;
        let values = sled.values()?;
        Ok((sled, closed, values))
    };
    match open() {
        Err(error) if is_damage(&error) => {
            if !has_copy {
                return Err(damaged(&path, error, Remedy::Backup));
            }
            let aside = free_name(disk, dir)?;
            disk.rename(&path, &aside)?;
            let (store, aside) = (path.display(), aside.display());
            tracing::warn!(%store, %aside, %error, "damaged: set aside and made anew of its copy");
            open()
        }
        opened => opened,
    }
}

fn free_name(disk: &dyn Disk, dir: &Path) -> io::Result<PathBuf> {
    let names: Vec<String> = disk.list(dir)?.into_iter().map(|entry| entry.name).collect();
    let mut free = (0_u32..).map(|number| format!("{SLED_DIR}.damaged-{number}"));
    let free = free.find(|name| !names.contains(name));
    free.map(|name| dir.join(name)).ok_or_else(|| io::Error::other("too many damaged stores"))
}

/// The value that was saved later; one that cannot be read does not count where the other can.
fn newer<'a>(
    key: MetaKey,
    kept: Option<&'a Vec<u8>>,
    copied: Option<&'a Vec<u8>>,
) -> Result<Option<&'a Vec<u8>>, String> {
    let (Some(kept), Some(copied)) = (kept, copied) else { return Ok(kept.or(copied)) };
    match (rank(key, kept), rank(key, copied)) {
        (Ok(a), Ok(b)) if key == MetaKey::Identity && a != b => Err("they are of different nodes".to_owned()),
        (Ok(a), Ok(b)) => Ok(Some(if b > a { copied } else { kept })),
        (Ok(_), Err(_)) => Ok(Some(kept)),
        (Err(_), Ok(_)) => Ok(Some(copied)),
        (Err(error), Err(_)) => Err(error.to_string()),
    }
}

/// What is later ranks higher.
fn rank(key: MetaKey, value: &[u8]) -> io::Result<(u64, u64, Vec<u8>)> {
    Ok(match key {
        MetaKey::Identity => read_identity(value).map(|_| (0, 0, value.to_vec()))?,
        MetaKey::Vote => {
            let vote = read_vote(value)?;
            (vote.leader_id.term, u64::from(vote.committed), Vec::new())
        }
        MetaKey::Committed => {
            let committed = read_log_id(value)?;
            (committed.index, 0, Vec::new())
        }
        MetaKey::Purged => (read_purged(value)?.log_id.index, 0, Vec::new()),
        // Its name begins with its end offset.
        MetaKey::Snapshot => (0, 0, value.to_vec()),
        MetaKey::Standing => (Standing::read(value)?.rank(), 0, Vec::new()),
    })
}
