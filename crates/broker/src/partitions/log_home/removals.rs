//! The directories of removed logs that wait for their files to go. Source: Kafka's `LogManager.logsToBeDeleted`.

use std::collections::VecDeque;

use ottla_model::MonoMs;
use ottla_storage::DeletedPartition;

/// In the order in which they were removed.
#[derive(Debug, Default)]
pub(super) struct Removals {
    queue: VecDeque<Removal>,
}

#[derive(Debug)]
struct Removal {
    dir: usize,
    deleted: DeletedPartition,
    since: MonoMs,
}

impl Removals {
    pub(super) fn add(&mut self, dir: usize, deleted: Vec<DeletedPartition>, now: MonoMs) {
        self.queue.extend(deleted.into_iter().map(|deleted| Removal { dir, deleted, since: now }));
    }

    /// Whether one has waited for `delay_ms`: a setting that may have changed since.
    pub(super) fn has_due(&self, delay_ms: u64, now: MonoMs) -> bool {
        self.queue.front().is_some_and(|removal| now.since_ms(removal.since) >= delay_ms)
    }

    /// One that has, and the number of the log dir that it is in.
    pub(super) fn take_due(&mut self, delay_ms: u64, now: MonoMs) -> Option<(usize, DeletedPartition)> {
        if !self.has_due(delay_ms, now) {
            return None;
        }
        self.queue.pop_front().map(|removal| (removal.dir, removal.deleted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_waits_for_as_long_as_the_setting_says_now() {
        let mut removals = Removals::default();
        let deleted = |name: &str| DeletedPartition { path: name.into() };
        removals.add(0, vec![deleted("a"), deleted("b")], MonoMs(1_000));
        removals.add(1, vec![deleted("c")], MonoMs(1_500));
        assert!(!removals.has_due(60_000, MonoMs(60_999)));
        assert_eq!(removals.take_due(60_000, MonoMs(60_999)), None);
        assert_eq!(removals.take_due(60_000, MonoMs(61_000)), Some((0, deleted("a"))));
        assert_eq!(removals.take_due(60_000, MonoMs(61_000)), Some((0, deleted("b"))));
        assert_eq!(removals.take_due(60_000, MonoMs(61_000)), None);
        assert_eq!(removals.take_due(100, MonoMs(1_600)), Some((1, deleted("c"))));
        assert!(!removals.has_due(0, MonoMs(100_000)));
    }
}
