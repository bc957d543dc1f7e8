//! Walks the subscribers of one topic from the least and from the most loaded end while their loads change.
//!
//! ```text
//! sorted members by load:   [ 1 1 1 | 2 3 4 | 6 6 ]
//!                  least loaded range ^     ^ most loaded range
//! ```
//! Each partition given to a member of the least loaded range (in turn) grows that range once all have had one; each
//! partition taken from the most loaded range shrinks it likewise. The two meet when the topic is balanced.

/// Members are indices into the sizes that the caller keeps up to date.
#[derive(Debug, Default)]
pub(super) struct MemberBalancer {
    sorted: Vec<usize>,
    least_end: usize,
    least_load: i64,
    next_least: usize,
    most_start: usize,
    most_end: usize,
    most_load: i64,
    /// Index into `sorted` of the member to take from next; -1 before the first.
    next_most: isize,
}

/// The number of partitions of each member, by member index.
pub(super) type Loads = [i64];

impl MemberBalancer {
    /// Starts over with the subscribers of a topic; returns the difference between the highest and the lowest load.
    pub(super) fn start(&mut self, subscribers: &[usize], loads: &Loads) -> i64 {
        self.sorted.clear();
        self.sorted.extend_from_slice(subscribers);
        self.sorted.sort_by_key(|m| (load(loads, *m), *m));
        let (Some(first), Some(last)) = (self.sorted.first(), self.sorted.last()) else { return 0 };
        let (lowest, highest) = (load(loads, *first), load(loads, *last));
        self.least_end = 0;
        self.least_load = lowest - 1;
        self.next_least = 0;
        self.most_start = self.sorted.len();
        self.most_end = self.sorted.len();
        self.most_load = highest + 1;
        self.next_most = signed(self.sorted.len()) - 1;
        highest - lowest
    }

    /// The member that the next partition goes to.
    pub(super) fn next_least_loaded(&mut self, loads: &Loads) -> Option<usize> {
        if self.next_least >= self.least_end {
            // Everyone in the range has had one: the range is one load higher, and those of that load join it.
            self.least_load += 1;
            while self.sorted.get(self.least_end).is_some_and(|m| load(loads, *m) == self.least_load) {
                self.least_end += 1;
            }
            self.next_least = 0;
        }
        let member = self.sorted.get(self.next_least).copied();
        self.next_least += 1;
        member
    }

    /// The member that the next partition is taken from; `None` when all are excluded.
    pub(super) fn next_most_loaded(&mut self, loads: &Loads) -> Option<usize> {
        if self.next_most < signed(self.most_start) {
            self.lower_most_loaded(loads);
        }
        let member = usize::try_from(self.next_most).ok().and_then(|i| self.sorted.get(i)).copied()?;
        self.next_most -= 1;
        Some(member)
    }

    fn lower_most_loaded(&mut self, loads: &Loads) {
        let below = self.most_start.checked_sub(1).and_then(|i| self.sorted.get(i)).map(|m| load(loads, *m));
        match below {
            // All of the range were excluded: jump to the next load that exists.
            Some(next) if self.most_end <= self.most_start => self.most_load = next,
            _ => self.most_load -= 1,
        }
        while self.most_start > 0
            && self.sorted.get(self.most_start - 1).is_some_and(|m| load(loads, *m) == self.most_load)
        {
            self.most_start -= 1;
        }
        self.next_most = signed(self.most_end) - 1;
    }

    /// The member last given by `next_most_loaded` has none of this topic's partitions: leave it out from here on.
    pub(super) fn exclude_most_loaded(&mut self) {
        let Ok(index) = usize::try_from(self.next_most + 1) else { return };
        if self.most_end > 0 && index < self.sorted.len() {
            self.most_end -= 1;
            self.sorted.swap(index, self.most_end);
        }
    }

    pub(super) fn is_balanced(&self) -> bool {
        self.most_load - self.least_load <= 1
    }
}

fn load(loads: &Loads, member: usize) -> i64 {
    loads.get(member).copied().unwrap_or(0)
}

fn signed(index: usize) -> isize {
    isize::try_from(index).unwrap_or(isize::MAX)
}
