//! A file system in memory whose power can fail: what was not synced is then lost, or torn, or there.

mod pending;
mod seeded;

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::{DirEntry, Disk, DiskFile, DiskLock, DiskSpace, OpenMode};
use pending::{Contents, NameChange, Names, Node, NodeId, Nodes, survivors};

pub use seeded::Seeded;

/// A simulated disk; clones share it.
#[derive(Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
    /// The boot whose end is the end of this clone too; `None` for one that sees through them all.
    boot: Option<u64>,
}

/// A change that found the power off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedChange {
    /// `write`, `set_len`, `fsync`, `create`, `truncate`, `rename`, `remove`, `mkdir`, `fsync dir` or `syncfs`.
    pub op: &'static str,
    /// What it was to change; of a rename the new name.
    pub path: PathBuf,
}

impl SimDisk {
    #[must_use]
    pub fn new() -> Self {
        let nodes = BTreeMap::from([(ROOT, Node::Dir(Names::default()))]);
        let state = State {
            nodes,
            next_id: ROOT + 1,
            name_changes: Vec::new(),
            locked: BTreeSet::new(),
            boot: 0,
            changes: 0,
            changes_left: u64::MAX,
            failed: None,
            losing: None,
            trace: DefaultHasher::new(),
        };
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

    /// Power loss at its simplest: all that was not synced is gone. Locks are free, and files opened before fail from
    /// now on.
    pub fn crash(&self) {
        let mut state = self.state.lock();
        state.reboot();
        state.name_changes.clear();
        state.settle(Contents::forget);
    }

    /// Power loss as it is: chance decides for each page, length and name that was not synced whether it is there.
    pub fn power_cut(&self, seed: u64) {
        let mut state = self.state.lock();
        let random = &mut Seeded::new(seed);
        state.reboot();
        let changes = survivors(std::mem::take(&mut state.name_changes), random);
        for change in changes {
            change.reach_disk(&mut state.nodes);
        }
        state.settle(|contents| contents.cut(random));
    }

    /// Lets so many more changes happen; those after it fail, until a crash or a kill brings the disk back.
    pub fn fail_after(&self, changes: u64) {
        self.state.lock().changes_left = changes.saturating_add(1);
    }

    /// Of the fsyncs of files from now on the one of number `nth` fails, from 0, and what it was to make durable never is: the
    /// process goes on seeing it, and a later fsync succeeds and knows nothing of it. So does Linux with pages that it could
    /// not write. A crash or a kill ends it.
    pub fn lose_at_fsync(&self, nth: u64) {
        self.state.lock().losing = Some(nth);
    }

    /// Takes [`SimDisk::lose_at_fsync`] back where it has not come to it.
    pub fn lose_nothing(&self) {
        self.state.lock().losing = None;
    }

    /// Changes that were tried since the disk is there: what [`SimDisk::fail_after`] counts.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.state.lock().changes
    }

    /// The first change that failed since the last crash or kill.
    #[must_use]
    pub fn failed(&self) -> Option<FailedChange> {
        self.state.lock().failed.clone()
    }

    /// A hash of every change that was ever tried, with its bytes, and of what the files hold now.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let state = self.state.lock();
        let mut hasher = state.trace.clone();
        for (id, node) in &state.nodes {
            match node {
                Node::File(contents) => (id, &contents.bytes).hash(&mut hasher),
                Node::Dir(names) => (id, &names.now).hash(&mut hasher),
            }
        }
        hasher.finish()
    }

    /// Death of the process alone (kill -9): the page cache survives, locks are free, open files fail from now on.
    pub fn kill(&self) {
        self.state.lock().reboot();
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

const ROOT: NodeId = 0;

struct State {
    nodes: Nodes,
    next_id: NodeId,
    /// Those that no fsync of a directory has made durable, in their order.
    name_changes: Vec<NameChange>,
    locked: BTreeSet<NodeId>,
    /// Grows with each crash; a file handle of an earlier boot is dead.
    boot: u64,
    changes: u64,
    /// Changes that still succeed.
    changes_left: u64,
    failed: Option<FailedChange>,
    /// So many fsyncs before the one that loses what it was to sync.
    losing: Option<u64>,
    trace: DefaultHasher,
}

impl State {
    /// Counts a change.
    fn change(&mut self, op: &'static str, path: &Path) -> io::Result<()> {
        self.changes += 1;
        self.changes_left = self.changes_left.saturating_sub(1);
        (op, path).hash(&mut self.trace);
        if self.changes_left == 0 {
            self.failed.get_or_insert_with(|| FailedChange { op, path: path.to_owned() });
            return Err(io::Error::other("the power is off"));
        }
        Ok(())
    }

    fn reboot(&mut self) {
        self.boot += 1;
        self.locked.clear();
        self.changes_left = u64::MAX;
        self.failed = None;
        self.losing = None;
    }

    /// Whether this fsync is the one that loses.
    fn loses(&mut self) -> bool {
        let left = self.losing.take();
        self.losing = left.and_then(|left| left.checked_sub(1));
        left == Some(0)
    }

    /// Lets the process see what is on the disk.
    fn settle(&mut self, mut settle: impl FnMut(&mut Contents)) {
        for node in self.nodes.values_mut() {
            match node {
                Node::File(contents) => settle(contents),
                Node::Dir(names) => names.forget(),
            }
        }
    }

    fn find(&self, path: &Path) -> io::Result<NodeId> {
        let mut at = ROOT;
        for name in names(path) {
            at = *self.dir(at)?.now.get(name).ok_or(io::ErrorKind::NotFound)?;
        }
        Ok(at)
    }

    /// The directory that holds `path`, and the last name of `path`.
    fn parent(&self, path: &Path) -> io::Result<(NodeId, String)> {
        let dir = self.find(path.parent().ok_or(io::ErrorKind::InvalidInput)?)?;
        let name = path.file_name().and_then(|name| name.to_str()).ok_or(io::ErrorKind::InvalidInput)?;
        Ok((dir, name.to_owned()))
    }

    fn dir(&self, id: NodeId) -> io::Result<&Names> {
        match self.nodes.get(&id) {
            Some(Node::Dir(dir)) => Ok(dir),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn dir_mut(&mut self, id: NodeId) -> io::Result<&mut Names> {
        match self.nodes.get_mut(&id) {
            Some(Node::Dir(dir)) => Ok(dir),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn file_mut(&mut self, id: NodeId) -> io::Result<&mut Contents> {
        match self.nodes.get_mut(&id) {
            Some(Node::File(file)) => Ok(file),
            _ => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn add(&mut self, dir: NodeId, name: String, node: Node) -> io::Result<NodeId> {
        let id = self.next_id;
        self.next_id += 1;
        self.nodes.insert(id, node);
        self.dir_mut(dir)?.now.insert(name.clone(), id);
        self.name_changes.push(NameChange::Added { dir, name, id });
        Ok(id)
    }

    fn find_or_create(&mut self, path: &Path) -> io::Result<NodeId> {
        match self.find(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let (dir, name) = self.parent(path)?;
                self.change("create", path)?;
                self.add(dir, name, Node::File(Contents::default()))
            }
            other => other,
        }
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        let (dir, name) = self.parent(path)?;
        if !self.dir(dir)?.now.contains_key(&name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.change("remove", path)?;
        if let Some(id) = self.dir_mut(dir)?.now.remove(&name) {
            self.name_changes.push(NameChange::Removed { dir, name, id });
        }
        Ok(())
    }

    /// Makes durable what an fsync of that directory covers.
    fn sync_names(&mut self, covers: impl Fn(&NameChange) -> bool) {
        let (synced, pending) = std::mem::take(&mut self.name_changes).into_iter().partition(covers);
        self.name_changes = pending;
        let synced: Vec<NameChange> = synced;
        for change in synced {
            change.reach_disk(&mut self.nodes);
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
            OpenMode::Create | OpenMode::Truncate => state.find_or_create(path)?,
        };
        if mode == OpenMode::Truncate && !state.file_mut(id)?.bytes.is_empty() {
            state.change("truncate", path)?;
            state.file_mut(id)?.set_len(0);
        }
        state.file_mut(id)?;
        let boot = state.boot;
        Ok(Arc::new(SimFile { disk: self.clone(), path: path.to_owned(), id, boot }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.alive()?;
        let (from_dir, from_name) = state.parent(from)?;
        let (to_dir, to_name) = state.parent(to)?;
        let id = *state.dir(from_dir)?.now.get(&from_name).ok_or(io::ErrorKind::NotFound)?;
        state.change("rename", to)?;
        state.dir_mut(from_dir)?.now.remove(&from_name);
        state.dir_mut(to_dir)?.now.insert(to_name.clone(), id);
        state.name_changes.push(NameChange::Renamed { from: from_dir, to: to_dir, name: to_name, id });
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.alive()?.remove(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.alive()?;
        let id = state.find(path)?;
        if !state.dir(id)?.now.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        state.remove(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.alive()?;
        let mut at = ROOT;
        for name in names(path) {
            at = match state.dir(at)?.now.get(name) {
                Some(id) => *id,
                None => {
                    state.change("mkdir", path)?;
                    state.add(at, name.to_owned(), Node::Dir(Names::default()))?
                }
            };
        }
        state.dir(at).map(|_| ())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.alive()?;
        let id = state.find(path)?;
        state.dir(id)?;
        state.change("fsync dir", path)?;
        state.sync_names(|change| change.touches(id));
        Ok(())
    }

    fn sync_fs(&self, path: &Path) -> io::Result<()> {
        let mut state = self.alive()?;
        state.change("syncfs", path)?;
        state.sync_names(|_| true);
        for node in state.nodes.values_mut() {
            if let Node::File(contents) = node {
                contents.sync();
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
        Ok(dir.now.iter().map(entry).collect())
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
    /// By which it was opened.
    path: PathBuf,
    id: NodeId,
    boot: u64,
}

impl SimFile {
    fn change(&self, op: &'static str, act: impl FnOnce(&mut Contents)) -> io::Result<()> {
        let mut state = self.alive()?;
        state.change(op, &self.path)?;
        state.file_mut(self.id).map(act)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Contents) -> T) -> io::Result<T> {
        self.alive()?.file_mut(self.id).map(act)
    }

    fn alive(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.state.lock();
        if state.boot != self.boot {
            return Err(io::Error::other("the machine crashed after this file was opened"));
        }
        Ok(state)
    }
}

fn index(pos: u64) -> io::Result<usize> {
    usize::try_from(pos).map_err(|_| io::ErrorKind::InvalidInput.into())
}

impl DiskFile for SimFile {
    fn read_at(&self, buf: &mut [u8], pos: u64) -> io::Result<usize> {
        let pos = index(pos)?;
        self.with(|file| {
            let rest = file.bytes.get(pos..).unwrap_or(&[]);
            let len = rest.len().min(buf.len());
            buf[..len].copy_from_slice(&rest[..len]);
            len
        })
    }

    fn write_at(&self, buf: &[u8], pos: u64) -> io::Result<usize> {
        let pos = index(pos)?;
        let mut state = self.alive()?;
        (pos, buf).hash(&mut state.trace);
        state.change("write", &self.path)?;
        state.file_mut(self.id)?.write(pos, buf);
        Ok(buf.len())
    }

    fn writev_at(&self, bufs: &[IoSlice<'_>], pos: u64) -> io::Result<usize> {
        let all: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
        self.write_at(&all, pos)
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.alive()?.loses() {
            self.change("fsync", Contents::lose)?;
            return Err(io::Error::other("pages could not be written"));
        }
        self.change("fsync", Contents::sync)
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        self.with(|file| file.bytes.len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let len = index(len)?;
        if self.with(|file| file.bytes.len())? == len {
            return Ok(());
        }
        self.change("set_len", |file| file.set_len(len))
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
