//! What a producer was told, against what can be read back: every acknowledged record once, at its offset, in order.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

/// One record: a sequence number that the producer wrote as the value, in the order it sent them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Entry {
    pub partition: i32,
    pub offset: i64,
    pub sequence: u64,
}

/// A way in which what was read contradicts what was acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// Acknowledged, and nowhere in the log.
    Lost(Entry),
    /// Acknowledged at one offset, read at another place.
    Moved { acknowledged: Entry, read: Entry },
    /// One sequence number at two places.
    Duplicated { first: Entry, second: Entry },
    /// A later record of a partition has a smaller sequence number.
    Reordered { before: Entry, after: Entry },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// Checks `read` (the whole topic) against `acknowledged`. Records that were sent and never acknowledged may be there,
/// once. The producer is idempotent, so within a partition sequence numbers only grow.
pub fn check(acknowledged: &[Entry], read: &[Entry]) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut places: HashMap<u64, Entry> = HashMap::new();
    for &entry in read {
        if let Some(&first) = places.get(&entry.sequence) {
            violations.push(Violation::Duplicated { first, second: entry });
        } else {
            places.insert(entry.sequence, entry);
        }
    }
    violations.extend(order_violations(read));
    let distinct: HashSet<Entry> = acknowledged.iter().copied().collect();
    let mut missing: Vec<Entry> = distinct.into_iter().collect();
    missing.sort_by_key(|entry| entry.sequence);
    for entry in missing {
        match places.get(&entry.sequence) {
            None => violations.push(Violation::Lost(entry)),
            Some(&found) if found != entry => {
                violations.push(Violation::Moved { acknowledged: entry, read: found });
            }
            Some(_) => {}
        }
    }
    violations
}

fn order_violations(read: &[Entry]) -> Vec<Violation> {
    let mut partitions: BTreeMap<i32, Vec<Entry>> = BTreeMap::new();
    for &entry in read {
        partitions.entry(entry.partition).or_default().push(entry);
    }
    let mut violations = Vec::new();
    for entries in partitions.values_mut() {
        entries.sort_by_key(|entry| entry.offset);
        for pair in entries.windows(2) {
            if let [before, after] = *pair
                && after.sequence < before.sequence
            {
                violations.push(Violation::Reordered { before, after });
            }
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> Vec<Entry> {
        (0..20).map(|n| Entry { partition: (n % 2) as i32, offset: (n / 2) as i64, sequence: n }).collect()
    }

    #[test]
    fn whole_log_passes_with_unacknowledged_records_in_it() {
        let acknowledged: Vec<Entry> = log().into_iter().filter(|e| e.sequence % 3 != 0).collect();
        assert_eq!(check(&acknowledged, &log()), []);
    }

    #[test]
    fn planted_loss_is_found() {
        let mut read = log();
        let lost = read.remove(7);
        assert_eq!(check(&log(), &read), [Violation::Lost(lost)]);
    }

    #[test]
    fn planted_loss_at_the_end_is_found() {
        let mut read = log();
        let lost = read.pop().unwrap();
        assert_eq!(check(&log(), &read), [Violation::Lost(lost)]);
    }

    #[test]
    fn planted_duplicate_is_found() {
        let mut read = log();
        let first = read[19];
        let second = Entry { offset: 10, ..first };
        read.push(second);
        assert_eq!(check(&log(), &read), [Violation::Duplicated { first, second }]);
    }

    #[test]
    fn planted_swap_is_found() {
        let mut read = log();
        let (a, b) = (read[4].sequence, read[6].sequence);
        read[4].sequence = b;
        read[6].sequence = a;
        let violations = check(&[], &read);
        assert_eq!(violations, [Violation::Reordered { before: read[4], after: read[6] }]);
        assert_eq!(check(&log(), &read).len(), 3, "the swap, and two acknowledged records that moved");
    }

    #[test]
    fn record_at_another_offset_than_acknowledged_is_found() {
        let mut acknowledged = log();
        acknowledged[3].offset = 40;
        let moved = Violation::Moved { acknowledged: acknowledged[3], read: log()[3] };
        assert_eq!(check(&acknowledged, &log()), [moved]);
    }
}
