//! Named deadlines: scheduling a name again moves it.

use std::collections::{BTreeMap, BTreeSet};

use ottla_model::MonoMs;

/// Deadlines by name, polled with `now`. Names that fall due together come in the order of their names.
#[derive(Clone, Debug)]
pub struct Timers<K> {
    by_name: BTreeMap<K, MonoMs>,
    by_deadline: BTreeSet<(MonoMs, K)>,
}

impl<K: Ord + Clone> Default for Timers<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Ord + Clone> Timers<K> {
    #[must_use]
    pub const fn new() -> Self {
        Self { by_name: BTreeMap::new(), by_deadline: BTreeSet::new() }
    }

    /// Sets the deadline of `name`, replacing an earlier one.
    pub fn schedule(&mut self, name: K, deadline: MonoMs) {
        self.cancel(&name);
        self.by_deadline.insert((deadline, name.clone()));
        self.by_name.insert(name, deadline);
    }

    /// Whether there was a deadline to cancel.
    pub fn cancel(&mut self, name: &K) -> bool {
        match self.by_name.remove(name) {
            Some(deadline) => self.by_deadline.remove(&(deadline, name.clone())),
            None => false,
        }
    }

    #[must_use]
    pub fn deadline(&self, name: &K) -> Option<MonoMs> {
        self.by_name.get(name).copied()
    }

    #[must_use]
    pub fn next_deadline(&self) -> Option<MonoMs> {
        self.by_deadline.first().map(|(deadline, _)| *deadline)
    }

    /// Takes the earliest name whose deadline has come.
    pub fn pop_due(&mut self, now: MonoMs) -> Option<K> {
        let (deadline, name) = self.by_deadline.first()?.clone();
        if deadline > now {
            return None;
        }
        self.cancel(&name);
        Some(name)
    }

    /// Cancels every name that `drop` picks.
    pub fn cancel_where(&mut self, mut drop: impl FnMut(&K) -> bool) {
        let names: Vec<K> = self.by_name.keys().filter(|name| drop(name)).cloned().collect();
        for name in names {
            self.cancel(&name);
        }
    }

    /// All deadlines, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&K, MonoMs)> {
        self.by_name.iter().map(|(name, deadline)| (name, *deadline))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rescheduling_moves_a_deadline() {
        let mut timers = Timers::new();
        timers.schedule("a", MonoMs(10));
        timers.schedule("b", MonoMs(20));
        timers.schedule("a", MonoMs(30));
        assert_eq!(timers.next_deadline(), Some(MonoMs(20)));
        assert_eq!(timers.pop_due(MonoMs(19)), None);
        assert_eq!(timers.pop_due(MonoMs(40)), Some("b"));
        assert_eq!(timers.pop_due(MonoMs(40)), Some("a"));
        assert_eq!(timers.pop_due(MonoMs(40)), None);
    }
}
