//! Acknowledged records against what can be read back: each once, at its offset, in the order of its producer.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// One record: which producer wrote it, and its number in the order in which that producer sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Entry {
    pub partition: i32,
    pub offset: i64,
    pub producer: u32,
    pub sequence: u64,
}

/// A way in which what was read contradicts what was acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// Acknowledged, and nowhere in the log.
    Lost(Entry),
    /// Acknowledged at one offset, read at another place.
    Moved { acknowledged: Entry, read: Entry },
    /// One record at two places.
    Duplicated { first: Entry, second: Entry },
    /// A later record of a partition was sent earlier by the same producer.
    Reordered { before: Entry, after: Entry },
    /// A producer that repeats whatever is not acknowledged has left something out.
    Gap { before: Entry, after: Entry },
}

/// What was read: everything from each partition's log start to its high watermark.
#[derive(Debug, Clone, Default)]
pub struct Read {
    /// Log start offsets; 0 for a partition that is not named.
    pub starts: BTreeMap<i32, i64>,
    pub entries: Vec<Entry>,
}

impl Read {
    pub fn start(&self, partition: i32) -> i64 {
        self.starts.get(&partition).copied().unwrap_or(0)
    }
}

/// Checks `read` against `acknowledged`. What was sent and never acknowledged may be there, once. `gapless` names the
/// producers that send everything again until it is acknowledged, to one partition each.
pub fn check(acknowledged: &[Entry], read: &Read, gapless: &BTreeSet<u32>) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut places: HashMap<(u32, u64), Entry> = HashMap::new();
    for &entry in &read.entries {
        match places.get(&(entry.producer, entry.sequence)) {
            Some(&first) => violations.push(Violation::Duplicated { first, second: entry }),
            None => {
                places.insert((entry.producer, entry.sequence), entry);
            }
        }
    }
    violations.extend(order_violations(&read.entries, gapless));
    let distinct: HashSet<Entry> = acknowledged.iter().copied().collect();
    let mut expected: Vec<Entry> = distinct.into_iter().collect();
    expected.sort_by_key(|entry| (entry.producer, entry.sequence));
    for entry in expected {
        match places.get(&(entry.producer, entry.sequence)) {
            None if entry.offset < read.start(entry.partition) => {}
            None => violations.push(Violation::Lost(entry)),
            Some(&found) if found != entry => {
                violations.push(Violation::Moved { acknowledged: entry, read: found });
            }
            Some(_) => {}
        }
    }
    violations
}

fn order_violations(read: &[Entry], gapless: &BTreeSet<u32>) -> Vec<Violation> {
    let mut streams: BTreeMap<(i32, u32), Vec<Entry>> = BTreeMap::new();
    for &entry in read {
        streams.entry((entry.partition, entry.producer)).or_default().push(entry);
    }
    let mut violations = Vec::new();
    for ((_, producer), entries) in &mut streams {
        entries.sort_by_key(|entry| entry.offset);
        for pair in entries.windows(2) {
            let [before, after] = *pair else { continue };
            if after.sequence < before.sequence {
                violations.push(Violation::Reordered { before, after });
            } else if after.sequence > before.sequence + 1 && gapless.contains(producer) {
                violations.push(Violation::Gap { before, after });
            }
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two producers, each alone in a partition.
    fn log() -> Read {
        let entry = |n: u32| Entry {
            partition: 0,
            offset: i64::from(n),
            producer: n % 2,
            sequence: u64::from(n / 2),
        };
        Read { starts: BTreeMap::new(), entries: (0..20).map(entry).collect() }
    }

    fn found(acknowledged: &[Entry], read: &Read) -> Vec<Violation> {
        check(acknowledged, read, &BTreeSet::new())
    }

    #[test]
    fn whole_log_passes_with_unacknowledged_records_in_it() {
        let acknowledged: Vec<Entry> = log().entries.into_iter().filter(|e| e.sequence % 3 != 0).collect();
        assert_eq!(check(&acknowledged, &log(), &BTreeSet::from([0, 1])), []);
    }

    #[test]
    fn planted_loss_is_found() {
        let mut read = log();
        let lost = read.entries.remove(7);
        assert_eq!(found(&log().entries, &read), [Violation::Lost(lost)]);
    }

    #[test]
    fn planted_loss_at_the_end_is_found() {
        let mut read = log();
        let lost = read.entries.pop().unwrap();
        assert_eq!(found(&log().entries, &read), [Violation::Lost(lost)]);
    }

    #[test]
    fn what_lies_below_the_log_start_is_not_lost_and_what_lies_at_it_is() {
        let mut read = log();
        let removed: Vec<Entry> = read.entries.drain(..5).collect();
        read.starts.insert(0, 5);
        assert_eq!(found(&log().entries, &read), []);
        read.starts.insert(0, 4);
        assert_eq!(found(&log().entries, &read), [Violation::Lost(removed[4])]);
    }

    #[test]
    fn planted_duplicate_is_found() {
        let mut read = log();
        let first = read.entries[19];
        let second = Entry { offset: 20, ..first };
        read.entries.push(second);
        assert_eq!(found(&log().entries, &read), [Violation::Duplicated { first, second }]);
    }

    #[test]
    fn planted_swap_is_found() {
        let mut read = log();
        let (a, b) = (read.entries[4].sequence, read.entries[6].sequence);
        read.entries[4].sequence = b;
        read.entries[6].sequence = a;
        let swapped = Violation::Reordered { before: read.entries[4], after: read.entries[6] };
        assert_eq!(found(&[], &read), [swapped]);
        assert_eq!(
            found(&log().entries, &read).len(),
            3,
            "the swap, and two acknowledged records that moved"
        );
    }

    #[test]
    fn record_at_another_offset_than_acknowledged_is_found() {
        let mut acknowledged = log().entries;
        acknowledged[3].offset = 40;
        let moved = Violation::Moved { acknowledged: acknowledged[3], read: log().entries[3] };
        assert_eq!(found(&acknowledged, &log()), [moved]);
    }

    #[test]
    fn gap_of_a_producer_that_repeats_is_found_and_of_another_is_none() {
        let mut read = log();
        read.entries.remove(8);
        let gap = Violation::Gap { before: log().entries[6], after: log().entries[10] };
        assert_eq!(check(&[], &read, &BTreeSet::from([0])), [gap]);
        assert_eq!(check(&[], &read, &BTreeSet::from([1])), []);
    }
}
