//! A file system in memory that forgets, on [`SimDisk::crash`], every byte and every name that was not synced.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::{Component, Path};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::{DirEntry, Disk, DiskFile, DiskLock, DiskSpace, OpenMode};

/// A simulated disk; clones share it.
#[derive(Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
    /// The boot whose end is the end of this clone too; `None` for one that sees through them all.
    boot: Option<u64>,
}

impl SimDisk {
    #[must_use]
    pub fn new() -> Self {
        let root = Node::Dir(Dir::default());
        let nodes = BTreeMap::from([(ROOT, root)]);
        let state =
            State { nodes, next_id: ROOT + 1, locked: BTreeSet::new(), boot: 0, changes_left: u64::MAX };
        Self { state: Arc::new(Mutex::new(state)), boot: None }
    }

    /// The disk as a process has it that ends with the next crash or kill: from then on all that it tries fails. What
    /// runs on other threads cannot change what its successor finds.
    #[must_use]
    pub fn of_process(&self) -> Self {
        let boot = Some(self.state.lock().boot);
        Self { state: Arc::clone(&self.state), boot }
    }

    fn alive(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state.lock();
        if self.boot.is_some_and(|boot| boot != state.boot) {
            return Err(io::Error::other("the process has ended"));
        }
        Ok(state)
    }

    /// Power loss: what was not synced is gone, locks are free, and files opened before fail from now on.
    pub fn crash(&self) {
        let mut state = self.state.lock();
        state.boot += 1;
        state.locked.clear();
        state.changes_left = u64::MAX;
        for node in state.nodes.values_mut() {
            match node {
                Node::File(file) => file.bytes.clone_from(&file.synced),
                Node::Dir(dir) => dir.names.clone_from(&dir.synced),
            }
        }
    }

    /// Lets so many more changes happen; those after it fail, until a crash or a kill brings the disk back.
    pub fn fail_after(&self, changes: u64) {
        self.state.lock().changes_left = changes.saturating_add(1);
    }

    /// Death of the process alone (kill -9): the page cache survives, locks are free, open files fail from now on.
    pub fn kill(&self) {
        let mut state = self.state.lock();
        state.boot += 1;
        state.locked.clear();
        state.changes_left = u64::MAX;
    }
}

impl Default for SimDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimDisk")
    }
}

type NodeId = u64;
const ROOT: NodeId = 0;

struct State {
    nodes: BTreeMap<NodeId, Node>,
    next_id: NodeId,
    locked: BTreeSet<NodeId>,
    /// Grows with each crash; a file handle of an earlier boot is dead.
    boot: u64,
    /// Changes that still succeed.
    changes_left: u64,
}

enum Node {
    File(Bytes),
    Dir(Dir),
}

#[derive(Default)]
struct Bytes {
    bytes: Vec<u8>,
    synced: Vec<u8>,
}

#[derive(Default)]
struct Dir {
    names: BTreeMap<String, NodeId>,
    synced: BTreeMap<String, NodeId>,
}

impl State {
    /// Counts a change.
    fn change(&mut self) -> io::Result<()> {
        self.changes_left = self.changes_left.saturating_sub(1);
        if self.changes_left == 0 { Err(io::Error::other("the power is off")) } else { Ok(()) }
    }

    fn find(&self, path: &Path) -> io::Result<NodeId> {
        let mut at = ROOT;
        for name in names(path) {
            at = *self.dir(at)?.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        }
        Ok(at)
    }

    /// The directory that holds `path`, and the last name of `path`.
    fn parent(&self, path: &Path) -> io::Result<(NodeId, String)> {
        let dir = self.find(path.parent().ok_or(io::ErrorKind::InvalidInput)?)?;
        let name = path.file_name().and_then(|name| name.to_str()).ok_or(io::ErrorKind::InvalidInput)?;
        Ok((dir, name.to_owned()))
    }

    fn dir(&self, id: NodeId) -> io::Result<&Dir> {
        match self.nodes.get(&id) {
            Some(Node::Dir(dir)) => Ok(dir),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn dir_mut(&mut self, id: NodeId) -> io::Result<&mut Dir> {
        match self.nodes.get_mut(&id) {
            Some(Node::Dir(dir)) => Ok(dir),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn file_mut(&mut self, id: NodeId) -> io::Result<&mut Bytes> {
        match self.nodes.get_mut(&id) {
            Some(Node::File(file)) => Ok(file),
            _ => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn add(&mut self, node: Node) -> NodeId {
        let id = self.next_id;
        self.next_id += 1;
        self.nodes.insert(id, node);
        id
    }

    fn find_or_create(&mut self, path: &Path) -> io::Result<NodeId> {
        match self.find(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let (dir, name) = self.parent(path)?;
                let id = self.add(Node::File(Bytes::default()));
                self.dir_mut(dir)?.names.insert(name, id);
                Ok(id)
            }
            other => other,
        }
    }
}

fn names(path: &Path) -> impl Iterator<Item = &str> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => name.to_str(),
        _ => None,
    })
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.alive()?;
        let id = match mode {
            OpenMode::Read | OpenMode::Write => state.find(path)?,
            OpenMode::Create | OpenMode::Truncate => {
                state.change()?;
                state.find_or_create(path)?
            }
        };
        let file = state.file_mut(id)?;
        if mode == OpenMode::Truncate {
            file.bytes.clear();
        }
        let boot = state.boot;
        Ok(Arc::new(SimFile { disk: self.clone(), id, boot }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.alive()?;
        state.change()?;
        let (from_dir, from_name) = state.parent(from)?;
        let (to_dir, to_name) = state.parent(to)?;
        let id = state.dir_mut(from_dir)?.names.remove(&from_name).ok_or(io::ErrorKind::NotFound)?;
        state.dir_mut(to_dir)?.names.insert(to_name, id);
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.alive()?;
        state.change()?;
        let (dir, name) = state.parent(path)?;
        state.dir_mut(dir)?.names.remove(&name).ok_or(io::ErrorKind::NotFound)?;
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let id = self.alive()?.find(path)?;
        if !self.alive()?.dir(id)?.names.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        self.remove_file(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.alive()?;
        let mut at = ROOT;
        for name in names(path) {
            at = match state.dir(at)?.names.get(name) {
                Some(id) => *id,
                None => {
                    let id = state.add(Node::Dir(Dir::default()));
                    state.dir_mut(at)?.names.insert(name.to_owned(), id);
                    id
                }
            };
        }
        state.dir(at).map(|_| ())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.alive()?;
        state.change()?;
        let id = state.find(path)?;
        let dir = state.dir_mut(id)?;
        dir.synced.clone_from(&dir.names);
        Ok(())
    }

    fn sync_fs(&self, _path: &Path) -> io::Result<()> {
        for node in self.alive()?.nodes.values_mut() {
            match node {
                Node::File(file) => file.synced.clone_from(&file.bytes),
                Node::Dir(dir) => dir.synced.clone_from(&dir.names),
            }
        }
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let state = self.alive()?;
        let dir = state.dir(state.find(path)?)?;
        let entry = |(name, id): (&String, &NodeId)| DirEntry {
            name: name.clone(),
            is_dir: matches!(state.nodes.get(id), Some(Node::Dir(_))),
        };
        Ok(dir.names.iter().map(entry).collect())
    }

    fn file_len(&self, path: &Path) -> io::Result<Option<u64>> {
        let state = self.alive()?;
        match state.find(path) {
            Ok(id) => match state.nodes.get(&id) {
                Some(Node::File(file)) => Ok(Some(file.bytes.len() as u64)),
                _ => Ok(None),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn modified_ms(&self, _path: &Path) -> io::Result<Option<i64>> {
        Ok(None)
    }

    fn space(&self, _path: &Path) -> io::Result<DiskSpace> {
        Ok(DiskSpace { total_bytes: u64::MAX, usable_bytes: u64::MAX })
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        let mut state = self.alive()?;
        let id = state.find_or_create(path)?;
        if !state.locked.insert(id) {
            return Ok(None);
        }
        Ok(Some(Box::new(SimLock { disk: self.clone(), id, boot: state.boot })))
    }
}

#[derive(Debug)]
struct SimLock {
    disk: SimDisk,
    id: NodeId,
    boot: u64,
}

impl DiskLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.disk.state.lock();
        if state.boot == self.boot {
            state.locked.remove(&self.id);
        }
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    id: NodeId,
    boot: u64,
}

impl SimFile {
    fn change<T>(&self, act: impl FnOnce(&mut Bytes) -> T) -> io::Result<T> {
        self.disk.state.lock().change()?;
        self.with(act)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Bytes) -> T) -> io::Result<T> {
        let mut state = self.disk.state.lock();
        if state.boot != self.boot {
            return Err(io::Error::other("the machine crashed after this file was opened"));
        }
        state.file_mut(self.id).map(act)
    }
}

fn index(pos: u64) -> io::Result<usize> {
    usize::try_from(pos).map_err(|_| io::ErrorKind::InvalidInput.into())
}

impl DiskFile for SimFile {
    fn read_at(&self, buf: &mut [u8], pos: u64) -> io::Result<usize> {
        let pos = index(pos)?;
        self.with(|file| {
            let from = file.bytes.get(pos..).unwrap_or(&[]);
            let len = from.len().min(buf.len());
            buf[..len].copy_from_slice(&from[..len]);
            len
        })
    }

    fn write_at(&self, buf: &[u8], pos: u64) -> io::Result<usize> {
        let pos = index(pos)?;
        self.change(|file| {
            let end = pos + buf.len();
            if file.bytes.len() < end {
                file.bytes.resize(end, 0);
            }
            file.bytes[pos..end].copy_from_slice(buf);
            buf.len()
        })
    }

    fn writev_at(&self, bufs: &[IoSlice<'_>], pos: u64) -> io::Result<usize> {
        let mut done = 0;
        for buf in bufs {
            done += self.write_at(buf, pos + done as u64)?;
        }
        Ok(done)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.change(|file| file.synced.clone_from(&file.bytes))
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        self.with(|file| file.bytes.len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let len = index(len)?;
        self.change(|file| file.bytes.resize(len, 0))
    }

    fn set_modified_ms(&self, _ms: i64) -> io::Result<()> {
        self.with(|_| ())
    }

    fn allocate(&self, _pos: u64, _len: u64) -> io::Result<()> {
        self.with(|_| ())
    }

    fn start_writeback(&self, _pos: u64, _len: u64) -> io::Result<()> {
        self.with(|_| ())
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}
