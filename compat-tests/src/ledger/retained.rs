//! What retention by time may take: whole records older than `retention.ms`, from a log's start on.

use std::collections::BTreeMap;

use super::records::{Entry, Read};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// Gone below the log start, and younger than `retention.ms`.
    RemovedTooEarly { entry: Entry, age_ms: i64 },
    /// A log's start was further on before.
    StartWentBack { partition: i32, from: i64, to: i64 },
}

/// The log starts that were seen.
#[derive(Debug, Default)]
pub struct Retained {
    starts: BTreeMap<i32, i64>,
}

impl Retained {
    /// Checks a reading of the whole topic that ended at `now_ms`. `sent` are acknowledged records with their timestamps.
    pub fn check(
        &mut self,
        sent: &[(Entry, i64)],
        read: &Read,
        now_ms: i64,
        retention_ms: i64,
    ) -> Vec<Violation> {
        let mut violations = Vec::new();
        for (&partition, &to) in &read.starts {
            let from = self.starts.insert(partition, to).unwrap_or(0);
            if to < from {
                violations.push(Violation::StartWentBack { partition, from, to });
            }
        }
        let removed = sent.iter().filter(|(entry, _)| entry.offset < read.start(entry.partition));
        violations.extend(removed.filter_map(|&(entry, timestamp)| {
            let age_ms = now_ms - timestamp;
            (age_ms < retention_ms).then_some(Violation::RemovedTooEarly { entry, age_ms })
        }));
        violations
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent() -> Vec<(Entry, i64)> {
        let entry = |n: i64| Entry { partition: 0, offset: n, producer: 1, sequence: n.unsigned_abs() };
        (0..10).map(|n| (entry(n), 1_000 + n)).collect()
    }

    fn from(start: i64) -> Read {
        Read { starts: BTreeMap::from([(0, start)]), entries: Vec::new() }
    }

    #[test]
    fn old_records_may_go() {
        assert_eq!(Retained::default().check(&sent(), &from(5), 1_104, 100), []);
    }

    #[test]
    fn planted_early_removal_is_found() {
        let early = Violation::RemovedTooEarly { entry: sent()[4].0, age_ms: 99 };
        assert_eq!(Retained::default().check(&sent(), &from(5), 1_103, 100), [early]);
    }

    #[test]
    fn planted_return_of_removed_records_is_found() {
        let mut retained = Retained::default();
        assert_eq!(retained.check(&[], &from(5), 0, 0), []);
        assert_eq!(retained.check(&[], &from(5), 0, 0), []);
        let back = Violation::StartWentBack { partition: 0, from: 5, to: 4 };
        assert_eq!(retained.check(&[], &from(4), 0, 0), [back]);
    }
}
