//! A map that remembers, for every outstanding write, what it replaced.

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeBounds;

/// Numbers the writes of a shard, ascending from 1. Offsets do not serve: a record is replayed before it has one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WriteId(pub u64);

/// Sorted map with two views: the *latest* one, with every replayed record, and the *committed* one, with those
/// records only whose write has been committed.
///
/// Between [`begin`](Self::begin) and its commit or revert a write is outstanding. Before the first `begin` (while
/// loading) changes are committed as they are made.
#[derive(Clone, Debug)]
pub struct TimelineMap<K, V> {
    entries: BTreeMap<K, Entry<V>>,
    /// Keys that each outstanding write touched, oldest write first.
    touched: VecDeque<(WriteId, Vec<K>)>,
    open: Option<WriteId>,
}

/// A key's versions. `None` as a value: the key is absent in that version.
#[derive(Clone, Debug)]
struct Entry<V> {
    latest: Option<V>,
    latest_write: WriteId,
    /// Versions that outstanding writes replaced, oldest first; the first is the committed one.
    older: Vec<(WriteId, Option<V>)>,
}

const COMMITTED: WriteId = WriteId(0);

impl<K, V> Default for TimelineMap<K, V> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), touched: VecDeque::new(), open: None }
    }
}

impl<K: Ord + Clone, V> TimelineMap<K, V> {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From here on changes belong to `write`, which must be larger than any before.
    pub fn begin(&mut self, write: WriteId) {
        self.open = Some(write);
    }

    /// Makes all writes up to and including `write` the committed version.
    pub fn commit(&mut self, write: WriteId) {
        while self.touched.front().is_some_and(|(id, _)| *id <= write) {
            let Some((id, keys)) = self.touched.pop_front() else { return };
            for key in keys {
                self.commit_key(&key, id);
            }
        }
    }

    /// Undoes `write` and all later ones.
    pub fn revert(&mut self, write: WriteId) {
        while self.touched.back().is_some_and(|(id, _)| *id >= write) {
            let Some((id, keys)) = self.touched.pop_back() else { return };
            for key in keys {
                self.revert_key(&key, id);
            }
        }
    }

    #[must_use]
    pub fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key)?.latest.as_ref()
    }

    #[must_use]
    pub fn get_committed(&self, key: &K) -> Option<&V> {
        self.entries.get(key)?.committed()
    }

    #[must_use]
    pub fn contains_key(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    /// The latest version, to be changed in place: for soft state that no record carries and no revert restores.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key)?.latest.as_mut()
    }

    pub fn insert(&mut self, key: K, value: V) {
        self.put(key, Some(value));
    }

    /// Whether the key was there.
    pub fn remove(&mut self, key: &K) -> bool {
        let present = self.contains_key(key);
        if present {
            self.put(key.clone(), None);
        }
        present
    }

    /// The latest view, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().filter_map(|(key, entry)| Some((key, entry.latest.as_ref()?)))
    }

    /// The committed view, sorted.
    pub fn iter_committed(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().filter_map(|(key, entry)| Some((key, entry.committed()?)))
    }

    /// The latest view of a range of keys.
    pub fn range(&self, range: impl RangeBounds<K>) -> impl Iterator<Item = (&K, &V)> {
        self.entries.range(range).filter_map(|(key, entry)| Some((key, entry.latest.as_ref()?)))
    }

    /// The committed view of a range of keys.
    pub fn range_committed(&self, range: impl RangeBounds<K>) -> impl Iterator<Item = (&K, &V)> {
        self.entries.range(range).filter_map(|(key, entry)| Some((key, entry.committed()?)))
    }

    /// Keys that outstanding writes touched, oldest first, with repetitions.
    pub fn outstanding(&self) -> impl Iterator<Item = &K> {
        self.touched.iter().flat_map(|(_, keys)| keys)
    }

    fn put(&mut self, key: K, value: Option<V>) {
        let Some(write) = self.open else { return self.put_committed(key, value) };
        let absent = || Entry { latest: None, latest_write: COMMITTED, older: Vec::new() };
        let entry = self.entries.entry(key.clone()).or_insert_with(absent);
        let replaced = std::mem::replace(&mut entry.latest, value);
        if entry.latest_write == write {
            return;
        }
        entry.older.push((entry.latest_write, replaced));
        entry.latest_write = write;
        match self.touched.back_mut() {
            Some((id, keys)) if *id == write => keys.push(key),
            _ => self.touched.push_back((write, vec![key])),
        }
    }

    fn put_committed(&mut self, key: K, value: Option<V>) {
        match value {
            None => drop(self.entries.remove(&key)),
            some => drop(
                self.entries.insert(key, Entry { latest: some, latest_write: COMMITTED, older: Vec::new() }),
            ),
        }
    }

    fn commit_key(&mut self, key: &K, write: WriteId) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        // The version of `write` is now the committed one: what it replaced goes.
        let kept = entry.older.iter().position(|(id, _)| *id >= write);
        entry.older.drain(..kept.unwrap_or(entry.older.len()));
        if entry.latest.is_none() && entry.older.is_empty() {
            self.entries.remove(key);
        }
    }

    fn revert_key(&mut self, key: &K, write: WriteId) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        while entry.latest_write >= write {
            let Some((id, value)) = entry.older.pop() else { break };
            (entry.latest_write, entry.latest) = (id, value);
        }
        if entry.latest.is_none() && entry.older.is_empty() {
            self.entries.remove(key);
        }
    }
}

impl<K: Ord + Clone, V: Clone> TimelineMap<K, V> {
    /// Changes the latest version as a part of the open write: the version before is kept, so this clones the value the
    /// first time that a write touches it. Whether the key was there.
    pub fn update(&mut self, key: &K, change: impl FnOnce(&mut V)) -> bool {
        let Some(mut value) = self.get(key).cloned() else { return false };
        change(&mut value);
        self.put(key.clone(), Some(value));
        true
    }
}

impl<V> Entry<V> {
    fn committed(&self) -> Option<&V> {
        match self.older.first() {
            Some((_, value)) => value.as_ref(),
            None => self.latest.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests;
