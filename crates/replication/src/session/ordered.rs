//! A map with an order of its own, in which an entry moves to the end, or rests, at the cost of that entry.

use std::collections::BTreeMap;

/// Where an entry is; stable until it is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotId(usize);

impl SlotId {
    /// Slots are numbered from 0, without gaps but for those that are free.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0
    }
}

#[derive(Clone, Debug)]
struct Slot<K, V> {
    key: K,
    value: V,
    /// Its place in the order; no two have the same.
    turn: u64,
}

/// Entries in order of insertion or last [`move_to_end`](Self::move_to_end). Those that rest keep their place, and
/// [`due`](Self::due) passes them over.
#[derive(Clone, Debug)]
pub(super) struct OrderedMap<K, V> {
    slots: Vec<Option<Slot<K, V>>>,
    free: Vec<usize>,
    index: BTreeMap<K, usize>,
    /// Those that do not rest, by turn.
    due: BTreeMap<u64, usize>,
    next_turn: u64,
}

impl<K: Ord + Clone, V> OrderedMap<K, V> {
    pub(super) const fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            index: BTreeMap::new(),
            due: BTreeMap::new(),
            next_turn: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    pub(super) fn slot(&self, key: &K) -> Option<SlotId> {
        self.index.get(key).copied().map(SlotId)
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.at(self.slot(key)?).map(|slot| &slot.value)
    }

    pub(super) fn at_mut(&mut self, at: SlotId) -> Option<&mut V> {
        self.slots.get_mut(at.0)?.as_mut().map(|slot| &mut slot.value)
    }

    /// Adds at the end; a key that is there already is replaced where it stands. It is due.
    pub(super) fn insert(&mut self, key: K, value: V) {
        if let Some(at) = self.slot(&key) {
            if let Some(old) = self.at_mut(at) {
                *old = value;
            }
            self.wake(at);
            return;
        }
        let slot = Some(Slot { key: key.clone(), value, turn: self.take_turn() });
        let at = if let Some(at) = self.free.pop() {
            self.slots[at] = slot;
            at
        } else {
            self.slots.push(slot);
            self.slots.len() - 1
        };
        self.index.insert(key, at);
        self.wake(SlotId(at));
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.index.remove(key)?;
        self.rest(SlotId(at));
        self.free.push(at);
        self.slots[at].take().map(|slot| slot.value)
    }

    pub(super) fn move_to_end(&mut self, at: SlotId) {
        let turn = self.take_turn();
        let Some(slot) = self.slots.get_mut(at.0).and_then(Option::as_mut) else { return };
        let was_due = self.due.remove(&std::mem::replace(&mut slot.turn, turn)).is_some();
        if was_due {
            self.due.insert(turn, at.0);
        }
    }

    /// Passes an entry over until [`wake`](Self::wake).
    pub(super) fn rest(&mut self, at: SlotId) {
        if let Some(turn) = self.at(at).map(|slot| slot.turn) {
            self.due.remove(&turn);
        }
    }

    pub(super) fn wake(&mut self, at: SlotId) {
        if let Some(turn) = self.at(at).map(|slot| slot.turn) {
            self.due.insert(turn, at.0);
        }
    }

    /// Those that do not rest, in order.
    pub(super) fn due(&self) -> impl Iterator<Item = (SlotId, &K, &V)> {
        self.due.values().filter_map(|at| {
            let slot = self.at(SlotId(*at))?;
            Some((SlotId(*at), &slot.key, &slot.value))
        })
    }

    fn at(&self, at: SlotId) -> Option<&Slot<K, V>> {
        self.slots.get(at.0)?.as_ref()
    }

    fn take_turn(&mut self) -> u64 {
        self.next_turn += 1;
        self.next_turn
    }
}
