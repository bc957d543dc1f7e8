//! A map with an order of its own, in which an entry moves to the end in constant time.

use std::collections::BTreeMap;

/// Where an entry is; stable until it is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotId(usize);

#[derive(Clone, Debug)]
struct Slot<K, V> {
    entry: Option<(K, V)>,
    prev: Option<usize>,
    next: Option<usize>,
}

/// Entries in order of insertion or last [`move_to_end`](Self::move_to_end): a list threaded through a slab.
#[derive(Clone, Debug)]
pub(super) struct OrderedMap<K, V> {
    slots: Vec<Slot<K, V>>,
    free: Vec<usize>,
    index: BTreeMap<K, usize>,
    head: Option<usize>,
    tail: Option<usize>,
}

impl<K: Ord + Clone, V> OrderedMap<K, V> {
    pub(super) const fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new(), index: BTreeMap::new(), head: None, tail: None }
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        let slot = self.slots.get(*self.index.get(key)?)?;
        slot.entry.as_ref().map(|(_, value)| value)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let at = *self.index.get(key)?;
        self.at_mut(SlotId(at))
    }

    pub(super) fn at_mut(&mut self, at: SlotId) -> Option<&mut V> {
        self.slots.get_mut(at.0)?.entry.as_mut().map(|(_, value)| value)
    }

    /// Adds at the end; a key that is there already is replaced where it stands.
    pub(super) fn insert(&mut self, key: K, value: V) {
        if let Some(old) = self.get_mut(&key) {
            *old = value;
            return;
        }
        let slot = Slot { entry: Some((key.clone(), value)), prev: None, next: None };
        let at = if let Some(at) = self.free.pop() {
            self.slots[at] = slot;
            at
        } else {
            self.slots.push(slot);
            self.slots.len() - 1
        };
        self.index.insert(key, at);
        self.link_last(at);
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.index.remove(key)?;
        self.unlink(at);
        self.free.push(at);
        self.slots[at].entry.take().map(|(_, value)| value)
    }

    pub(super) fn move_to_end(&mut self, at: SlotId) {
        if self.tail != Some(at.0) && self.slots.get(at.0).is_some_and(|slot| slot.entry.is_some()) {
            self.unlink(at.0);
            self.link_last(at.0);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (SlotId, &K, &V)> {
        let mut at = self.head;
        std::iter::from_fn(move || {
            let here = at?;
            let slot = self.slots.get(here)?;
            at = slot.next;
            slot.entry.as_ref().map(|(key, value)| (SlotId(here), key, value))
        })
    }

    fn link_last(&mut self, at: usize) {
        self.slots[at].prev = self.tail;
        self.slots[at].next = None;
        match self.tail {
            Some(tail) => self.slots[tail].next = Some(at),
            None => self.head = Some(at),
        }
        self.tail = Some(at);
    }

    fn unlink(&mut self, at: usize) {
        let (prev, next) = (self.slots[at].prev, self.slots[at].next);
        match prev {
            Some(prev) => self.slots[prev].next = next,
            None => self.head = next,
        }
        match next {
            Some(next) => self.slots[next].prev = prev,
            None => self.tail = prev,
        }
    }
}
