//! What all actors were answered, and what was found wrong.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::ledger::compacted::Keyed;
use crate::ledger::producer_ids::ProducerIds;
use crate::ledger::records::Entry;

/// Shared by the actors of one life.
#[derive(Debug, Default)]
pub struct History {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Of the topic `records`.
    acknowledged: Vec<Entry>,
    /// Of the topic `retained`, with timestamps.
    retained: Vec<(Entry, i64)>,
    keyed_sent: Vec<Keyed>,
    keyed_acknowledged: Vec<Keyed>,
    producer_ids: ProducerIds,
    counts: Counts,
    /// Answered commits, by group.
    commits: BTreeMap<String, usize>,
    wrong: Vec<String>,
}

/// Answers so far: records by partition, and commits by group.
pub(crate) type Progress = (BTreeMap<i32, usize>, BTreeMap<String, usize>);

/// How much was done, so that a run that did nothing shows.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub acknowledged: usize,
    pub commits: usize,
    pub rebalances: usize,
    pub created: usize,
    pub deleted: usize,
    pub configured: usize,
    pub producer_ids: usize,
    /// Records that retention has removed.
    pub removed: usize,
    /// Records that compaction has removed.
    pub compacted: usize,
}

impl Counts {
    /// Each with its name.
    pub fn all(&self) -> [(&'static str, usize); 9] {
        [
            ("acknowledged records", self.acknowledged),
            ("commits", self.commits),
            ("rebalances", self.rebalances),
            ("created topics", self.created),
            ("deleted topics", self.deleted),
            ("configs", self.configured),
            ("producer ids", self.producer_ids),
            ("retention", self.removed),
            ("compaction", self.compacted),
        ]
    }

    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            acknowledged: self.acknowledged + other.acknowledged,
            commits: self.commits + other.commits,
            rebalances: self.rebalances + other.rebalances,
            created: self.created + other.created,
            deleted: self.deleted + other.deleted,
            configured: self.configured + other.configured,
            producer_ids: self.producer_ids + other.producer_ids,
            removed: self.removed + other.removed,
            compacted: self.compacted + other.compacted,
        }
    }
}

impl History {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn acknowledged(&self, entries: impl IntoIterator<Item = Entry>) {
        self.lock().acknowledged.extend(entries);
    }

    pub(crate) fn retained(&self, entries: impl IntoIterator<Item = (Entry, i64)>) {
        self.lock().retained.extend(entries);
    }

    pub(crate) fn keyed_sent(&self, record: Keyed) {
        self.lock().keyed_sent.push(record);
    }

    pub(crate) fn keyed_acknowledged(&self, record: Keyed) {
        self.lock().keyed_acknowledged.push(record);
    }

    pub(crate) fn producer_id(&self, id: i64) {
        let again = self.lock().producer_ids.handed_out(id);
        self.found("producer ids", again);
    }

    pub(crate) fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.lock().counts);
    }

    pub(crate) fn committed(&self, group: &str) {
        let mut state = self.lock();
        state.counts.commits += 1;
        *state.commits.entry(group.to_owned()).or_default() += 1;
    }

    pub(crate) fn progress(&self) -> Progress {
        let state = self.lock();
        let mut records = BTreeMap::new();
        for entry in &state.acknowledged {
            *records.entry(entry.partition).or_default() += 1;
        }
        (records, state.commits.clone())
    }

    /// Notes what a checker has found.
    pub fn found<V: Debug>(&self, what: &str, violations: impl IntoIterator<Item = V>) {
        self.lock().wrong.extend(violations.into_iter().map(|violation| format!("{what}: {violation:?}")));
    }

    pub(crate) fn records(&self) -> Vec<Entry> {
        self.lock().acknowledged.clone()
    }

    pub(crate) fn retained_records(&self) -> Vec<(Entry, i64)> {
        self.lock().retained.clone()
    }

    /// What was acknowledged of the compacted topic; what was sent is asked for after the reading, see
    /// [`History::keyed_sent_so_far`].
    pub(crate) fn keyed_records(&self) -> Vec<Keyed> {
        self.lock().keyed_acknowledged.clone()
    }

    pub(crate) fn keyed_sent_so_far(&self) -> Vec<Keyed> {
        self.lock().keyed_sent.clone()
    }

    pub(crate) fn counts(&self) -> Counts {
        let state = self.lock();
        let acknowledged = state.acknowledged.len() + state.retained.len() + state.keyed_acknowledged.len();
        Counts { acknowledged, producer_ids: state.producer_ids.count(), ..state.counts }
    }

    /// What was found wrong so far.
    pub fn wrong(&self) -> Vec<String> {
        self.lock().wrong.clone()
    }
}
