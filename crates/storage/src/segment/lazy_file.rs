//! A file that is opened on first use and closed when it has been idle, so that idle segments hold no descriptor.

use std::fmt;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use crate::disk::{Disk, DiskFile, OpenMode};
use crate::error::{At, StorageError};

/// `<dir>/<base offset, 20 digits><suffix>`, opened when needed; made if missing.
pub(crate) struct LazyFile {
    disk: Arc<dyn Disk>,
    dir: Arc<Path>,
    base_offset: i64,
    suffix: &'static str,
    slot: Mutex<Slot>,
}

#[derive(Default)]
struct Slot {
    file: Option<Arc<dyn DiskFile>>,
    used: bool,
}

impl LazyFile {
    pub(crate) fn new(disk: Arc<dyn Disk>, dir: Arc<Path>, base_offset: i64, suffix: &'static str) -> Self {
        Self { disk, dir, base_offset, suffix, slot: Mutex::default() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.join(format!("{:020}{}", self.base_offset, self.suffix))
    }

    /// Gives the file the name with `suffix`, replacing one that has it; a descriptor stays open.
    pub(crate) fn rename(&mut self, suffix: &'static str) -> Result<(), StorageError> {
        if self.suffix == suffix {
            return Ok(());
        }
        let from = self.path();
        let was = std::mem::replace(&mut self.suffix, suffix);
        let renamed = self.disk.rename(&from, &self.path()).at("rename", &from);
        if renamed.is_err() {
            self.suffix = was;
        }
        renamed
    }

    pub(crate) fn get(&self) -> Result<Arc<dyn DiskFile>, StorageError> {
        let mut slot = self.slot.lock();
        slot.used = true;
        if let Some(file) = &slot.file {
            return Ok(Arc::clone(file));
        }
        let path = self.path();
        let file = self.disk.open(&path, OpenMode::Create).at("open", &path)?;
        if takes_the_last(&*file) {
            return Err(io::Error::from(Errno::MFILE)).at("open", &path);
        }
        slot.file = Some(Arc::clone(&file));
        Ok(file)
    }

    /// Makes the file unless it is there. One that is there is not opened for it.
    pub(crate) fn make_if_missing(&self) -> Result<(), StorageError> {
        if self.len()?.is_none() { self.get().map(drop) } else { Ok(()) }
    }

    /// Closes the descriptor; the next use opens it again.
    pub(crate) fn close(&self) {
        *self.slot.lock() = Slot::default();
    }

    /// Closes the descriptor if nobody used it since the last call.
    pub(crate) fn close_if_idle(&self) {
        let mut slot = self.slot.lock();
        if !std::mem::take(&mut slot.used) {
            slot.file = None;
        }
    }

    pub(crate) fn named(&self) -> NamedFile {
        NamedFile { disk: Arc::clone(&self.disk), path: self.path() }
    }

    /// Bytes on disk; `None` if the file does not exist.
    pub(crate) fn len(&self) -> Result<Option<u64>, StorageError> {
        let path = self.path();
        self.disk.file_len(&path).at("stat", &path)
    }

    /// For `map_err`: names this file; the path is only made on failure.
    pub(crate) fn err(&self, op: &'static str) -> impl FnOnce(std::io::Error) -> StorageError + '_ {
        move |source| StorageError::io(op, &self.path(), source)
    }
}

/// A file that somebody else keeps, for as long as it takes to write to it: by a descriptor of its own, and without the
/// lock of the log.
#[derive(Debug)]
pub(crate) struct NamedFile {
    disk: Arc<dyn Disk>,
    path: PathBuf,
}

impl NamedFile {
    /// `None` if it does not exist.
    pub(crate) fn open(&self) -> Result<Option<Arc<dyn DiskFile>>, StorageError> {
        match self.disk.open(&self.path, OpenMode::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => Ok(Some(opened.at("open", &self.path)?)),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn err(&self, op: &'static str) -> impl FnOnce(io::Error) -> StorageError + '_ {
        move |source| StorageError::io(op, &self.path, source)
    }
}

/// Whether a file took one of the last eighth of the descriptors that the process may have, which is for everything but
/// segments: clients connect, and the cluster's state is written, however many segments wait for their flush. The kernel
/// gives out the lowest number that is free.
fn takes_the_last(file: &dyn DiskFile) -> bool {
    let Some(descriptor) = file.as_fd() else { return false };
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    u64::try_from(descriptor.as_raw_fd()).is_ok_and(|number| number >= limit - limit / 8)
}

impl fmt::Debug for LazyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:020}{}", self.base_offset, self.suffix)
    }
}
