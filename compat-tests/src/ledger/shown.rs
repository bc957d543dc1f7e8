//! What consumers were shown: a record stays where it was seen, whoever leads then. A high watermark that passes what a
//! failover can lose shows here first.

use std::collections::BTreeMap;

use super::records::{Entry, Read};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// Two records at one offset.
    Changed { before: Entry, now: Entry },
    /// Shown once, and not there any more.
    Gone(Entry),
    /// A fetch that began behind what was shown was told that it is out of range.
    OutOfRange { partition: i32, offset: i64 },
}

/// All that any consumer of a topic was shown.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    entries: BTreeMap<(i32, i64), Entry>,
}

impl Shown {
    /// A consumer is shown a record.
    pub fn see(&mut self, now: Entry) -> Option<Violation> {
        let before = *self.entries.entry((now.partition, now.offset)).or_insert(now);
        (before != now).then_some(Violation::Changed { before, now })
    }

    pub fn count(&self) -> usize {
        self.entries.len()
    }

    /// Everything from each log's start is still as it was shown. `read` began after the last look.
    pub fn check(&self, read: &Read) -> Vec<Violation> {
        let found: BTreeMap<_, _> =
            read.entries.iter().map(|entry| ((entry.partition, entry.offset), *entry)).collect();
        let kept = self.entries.iter().filter(|((partition, offset), _)| *offset >= read.start(*partition));
        kept.filter_map(|(place, before)| match found.get(place) {
            None => Some(Violation::Gone(*before)),
            Some(now) => (now != before).then_some(Violation::Changed { before: *before, now: *now }),
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(offset: i64, sequence: u64) -> Entry {
        Entry { partition: 1, offset, producer: 0, sequence }
    }

    fn shown() -> Shown {
        let mut shown = Shown::default();
        for n in 0..5 {
            assert_eq!(shown.see(entry(n, n.unsigned_abs())), None);
        }
        shown
    }

    fn read(entries: Vec<Entry>) -> Read {
        Read { starts: BTreeMap::new(), entries }
    }

    #[test]
    fn what_is_shown_again_and_what_comes_later_passes() {
        let mut shown = shown();
        assert_eq!(shown.see(entry(2, 2)), None);
        assert_eq!(shown.see(entry(9, 7)), None);
        let all = (0..5).map(|n| entry(n, n.unsigned_abs())).chain([entry(9, 7), entry(10, 8)]);
        assert_eq!(shown.check(&read(all.collect())), []);
    }

    #[test]
    fn planted_other_record_at_an_offset_is_found() {
        let changed = Violation::Changed { before: entry(2, 2), now: entry(2, 9) };
        assert_eq!(shown().see(entry(2, 9)), Some(changed));
        let all = [0, 1, 9, 3, 4].into_iter().zip(0..).map(|(sequence, n)| entry(n, sequence));
        assert_eq!(shown().check(&read(all.collect())), [changed]);
    }

    #[test]
    fn planted_loss_of_what_was_shown_is_found_unless_the_log_starts_behind_it() {
        let mut read = read((1..4).map(|n| entry(n, n.unsigned_abs())).collect());
        assert_eq!(shown().check(&read), [Violation::Gone(entry(0, 0)), Violation::Gone(entry(4, 4))]);
        read.starts.insert(1, 1);
        assert_eq!(shown().check(&read), [Violation::Gone(entry(4, 4))]);
    }
}
