//! What compaction must keep: of each key the last acknowledged value, unless a later one came, or its deletion.

use std::collections::BTreeMap;

/// One record of a compacted topic. A key's sequence numbers grow in the order in which they were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keyed {
    pub key: u32,
    pub sequence: u64,
    /// It deletes the key.
    pub tombstone: bool,
    pub offset: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// The key's last acknowledged value is gone, and what is left is older or nothing.
    ValueGone { acknowledged: Keyed, left: Option<Keyed> },
    /// The key was deleted, and an older value is its last one.
    DeletedKeyAlive { tombstone: Keyed, alive: Keyed },
    /// A later record of a key was sent earlier, or twice.
    Reordered { before: Keyed, after: Keyed },
    /// Acknowledged at another offset.
    Moved { acknowledged: Keyed, read: Keyed },
}

/// Checks the whole topic. `sent` holds all records that ever left, in order of their sequence numbers, whatever the
/// answer; `acknowledged` those with a good answer, at their offsets.
pub fn check(sent: &[Keyed], acknowledged: &[Keyed], read: &[Keyed]) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut last: BTreeMap<u32, Keyed> = BTreeMap::new();
    let mut all: BTreeMap<(u32, u64), Keyed> = BTreeMap::new();
    for &after in read {
        if let Some(&before) = last.get(&after.key).filter(|before| before.sequence >= after.sequence) {
            violations.push(Violation::Reordered { before, after });
        }
        last.insert(after.key, after);
        all.insert((after.key, after.sequence), after);
    }
    let mut expected: BTreeMap<u32, Keyed> = BTreeMap::new();
    for &entry in acknowledged {
        if let Some(&found) = all.get(&(entry.key, entry.sequence)).filter(|found| **found != entry) {
            violations.push(Violation::Moved { acknowledged: entry, read: found });
        }
        let known = expected.entry(entry.key).or_insert(entry);
        if known.sequence < entry.sequence {
            *known = entry;
        }
    }
    let deleted_later =
        |entry: Keyed| sent.iter().any(|s| s.key == entry.key && s.sequence > entry.sequence && s.tombstone);
    for entry in expected.into_values() {
        match last.get(&entry.key).copied() {
            Some(found) if found.sequence >= entry.sequence => {}
            Some(alive) if entry.tombstone && !alive.tombstone => {
                violations.push(Violation::DeletedKeyAlive { tombstone: entry, alive });
            }
            None if entry.tombstone || deleted_later(entry) => {}
            left => violations.push(Violation::ValueGone { acknowledged: entry, left }),
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(key: u32, sequence: u64) -> Keyed {
        Keyed { key, sequence, tombstone: false, offset: i64::try_from(sequence).unwrap() }
    }

    fn tombstone(key: u32, sequence: u64) -> Keyed {
        Keyed { tombstone: true, ..value(key, sequence) }
    }

    /// Key 1 ends with a value, key 2 with its deletion.
    fn sent() -> Vec<Keyed> {
        vec![value(1, 0), value(2, 1), value(1, 2), value(2, 3), tombstone(2, 4), value(1, 5)]
    }

    #[test]
    fn last_values_are_enough_with_or_without_the_tombstone() {
        assert_eq!(check(&sent(), &sent(), &sent()), []);
        assert_eq!(check(&sent(), &sent(), &[tombstone(2, 4), value(1, 5)]), []);
        assert_eq!(check(&sent(), &sent(), &[value(1, 5)]), []);
    }

    #[test]
    fn later_records_without_an_answer_may_be_there_and_may_have_deleted() {
        let acknowledged = &sent()[..4];
        assert_eq!(check(&sent(), acknowledged, &[value(1, 5)]), []);
        assert_eq!(check(&sent(), acknowledged, &[value(1, 2), value(2, 3)]), []);
    }

    #[test]
    fn planted_loss_of_a_last_value_is_found() {
        let left = Some(value(1, 2));
        let gone = Violation::ValueGone { acknowledged: value(1, 5), left };
        assert_eq!(check(&sent(), &sent(), &[value(1, 2), tombstone(2, 4)]), [gone]);
        let gone = Violation::ValueGone { acknowledged: value(1, 5), left: None };
        assert_eq!(check(&sent(), &sent(), &[]), [gone]);
    }

    #[test]
    fn planted_life_of_a_deleted_key_is_found() {
        let alive = Violation::DeletedKeyAlive { tombstone: tombstone(2, 4), alive: value(2, 3) };
        assert_eq!(check(&sent(), &sent(), &[value(2, 3), value(1, 5)]), [alive]);
    }

    #[test]
    fn planted_swap_and_duplicate_are_found() {
        let swapped = [value(1, 2), value(1, 0), value(1, 5)];
        let reordered = Violation::Reordered { before: value(1, 2), after: value(1, 0) };
        assert_eq!(check(&sent(), &[], &swapped), [reordered]);
        let twice = Violation::Reordered { before: value(1, 5), after: value(1, 5) };
        assert_eq!(check(&sent(), &[], &[value(1, 5), value(1, 5)]), [twice]);
    }

    #[test]
    fn record_at_another_offset_is_found() {
        let read = Keyed { offset: 9, ..value(1, 5) };
        let moved = Violation::Moved { acknowledged: value(1, 5), read };
        assert_eq!(check(&sent(), &sent(), &[read]), [moved]);
    }
}
