//! Committed offsets: what was answered stays, and nothing is there that nobody sent. Commits of a group only grow.

use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// An answered commit is gone, or an older one is there.
    WentBack { partition: i32, answered: i64, found: Option<i64> },
    /// Beyond everything that was sent.
    FromNowhere { partition: i32, sent: Option<i64>, found: i64 },
}

/// The commits of one group on one topic.
#[derive(Debug, Default)]
pub struct Commits {
    sent: BTreeMap<i32, i64>,
    answered: BTreeMap<i32, i64>,
}

impl Commits {
    pub fn sent(&mut self, partition: i32, offset: i64) {
        self.sent.insert(partition, offset);
    }

    pub fn answered(&mut self, partition: i32, offset: i64) {
        self.answered.insert(partition, offset);
    }

    pub fn answered_count(&self) -> usize {
        self.answered.len()
    }

    /// Checks what OffsetFetch says; -1 is no offset.
    pub fn check(&self, found: &BTreeMap<i32, i64>) -> Vec<Violation> {
        let found_at = |partition: &i32| found.get(partition).copied().filter(|offset| *offset >= 0);
        let mut violations = Vec::new();
        for (&partition, &answered) in &self.answered {
            let found = found_at(&partition);
            if found.is_none_or(|found| found < answered) {
                violations.push(Violation::WentBack { partition, answered, found });
            }
        }
        for &partition in found.keys() {
            let sent = self.sent.get(&partition).copied();
            if let Some(found) = found_at(&partition).filter(|found| sent.is_none_or(|sent| sent < *found)) {
                violations.push(Violation::FromNowhere { partition, sent, found });
            }
        }
        violations
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commits() -> Commits {
        let mut commits = Commits::default();
        commits.sent(0, 7);
        commits.answered(0, 7);
        commits.sent(0, 9);
        commits
    }

    #[test]
    fn answered_or_only_sent_commits_pass() {
        for offset in 7..=9 {
            assert_eq!(commits().check(&BTreeMap::from([(0, offset), (1, -1)])), []);
        }
    }

    #[test]
    fn planted_older_offset_and_planted_loss_are_found() {
        let back = |found| Violation::WentBack { partition: 0, answered: 7, found };
        assert_eq!(commits().check(&BTreeMap::from([(0, 6)])), [back(Some(6))]);
        assert_eq!(commits().check(&BTreeMap::from([(0, -1)])), [back(None)]);
        assert_eq!(commits().check(&BTreeMap::new()), [back(None)]);
    }

    #[test]
    fn planted_offset_that_nobody_sent_is_found() {
        let nowhere = |partition, sent, found| Violation::FromNowhere { partition, sent, found };
        assert_eq!(commits().check(&BTreeMap::from([(0, 10)])), [nowhere(0, Some(9), 10)]);
        assert_eq!(commits().check(&BTreeMap::from([(0, 9), (3, 0)])), [nowhere(3, None, 0)]);
    }
}
