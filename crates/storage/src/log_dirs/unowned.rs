//! The logs that a start has found and nobody owns yet. Until somebody does, the checkpoints must go on saying of them what
//! they said: no one else knows it.

use std::collections::BTreeMap;

use ottla_model::{Offset, TopicPartition};
use parking_lot::Mutex;

use super::OffsetCheckpoint;

/// What the checkpoints say of one log, in the order of [`OffsetCheckpoint::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Checkpointed {
    offsets: [Option<Offset>; OffsetCheckpoint::ALL.len()],
    /// It cannot be opened, and is left as it is.
    failed: bool,
}

impl Checkpointed {
    pub(super) fn get(&self, which: OffsetCheckpoint) -> Option<Offset> {
        self.offsets.get(which.place()).copied().flatten()
    }

    pub(super) fn set(&mut self, which: OffsetCheckpoint, offset: Offset) {
        if let Some(place) = self.offsets.get_mut(which.place()) {
            *place = Some(offset);
        }
    }
}

/// Logs without an owner.
#[derive(Debug, Default)]
pub(super) struct Unowned {
    logs: Mutex<BTreeMap<TopicPartition, Checkpointed>>,
}

impl Unowned {
    pub(super) fn found(&self, logs: BTreeMap<TopicPartition, Checkpointed>) {
        *self.logs.lock() = logs;
    }

    pub(super) fn get(&self, name: &TopicPartition) -> Option<Checkpointed> {
        self.logs.lock().get(name).copied()
    }

    /// It could not be opened.
    pub(super) fn failed(&self, name: &TopicPartition) {
        if let Some(log) = self.logs.lock().get_mut(name) {
            log.failed = true;
        }
    }

    pub(super) fn remove<'a>(&self, names: impl IntoIterator<Item = &'a TopicPartition>) {
        let mut logs = self.logs.lock();
        for name in names {
            logs.remove(name);
        }
    }

    /// Whether one is still to be opened.
    pub(super) fn has_unopened(&self) -> bool {
        self.logs.lock().values().any(|log| !log.failed)
    }

    pub(super) fn offsets(&self, which: OffsetCheckpoint) -> BTreeMap<TopicPartition, Offset> {
        let logs = self.logs.lock();
        logs.iter().filter_map(|(name, log)| Some((name.clone(), log.get(which)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_checkpoint_goes_on_saying_what_it_said_until_the_log_has_an_owner() {
        let (a, b) = (TopicPartition::new("a", 0), TopicPartition::new("b", 0));
        let mut log = Checkpointed::default();
        for (number, which) in OffsetCheckpoint::ALL.into_iter().enumerate().skip(1) {
            log.set(which, Offset(i64::try_from(number).unwrap_or(0)));
        }
        let unowned = Unowned::default();
        unowned.found(BTreeMap::from([(a.clone(), log), (b.clone(), Checkpointed::default())]));
        for (number, which) in OffsetCheckpoint::ALL.into_iter().enumerate() {
            let offset = Offset(i64::try_from(number).unwrap_or(0));
            let expected = if number == 0 { BTreeMap::new() } else { BTreeMap::from([(a.clone(), offset)]) };
            assert_eq!(unowned.offsets(which), expected);
        }
        unowned.failed(&b);
        assert!(unowned.has_unopened());
        unowned.remove([&a]);
        assert!(!unowned.has_unopened(), "what failed waits for nobody");
        assert_eq!(unowned.offsets(OffsetCheckpoint::LogStart), BTreeMap::new());
    }
}
