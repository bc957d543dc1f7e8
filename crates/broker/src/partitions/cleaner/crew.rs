//! Which of the cleaner's threads are at work. A thread decides to leave, and is replaced, under one lock.

use parking_lot::Mutex;

/// By a thread's number: whether it is there to work.
#[derive(Debug, Default)]
pub(super) struct Crew {
    working: Mutex<Vec<bool>>,
}

impl Crew {
    /// The numbers below `wanted` that nobody works under; they count as taken from now on.
    pub(super) fn take_missing(&self, wanted: usize) -> Vec<usize> {
        let mut working = self.working.lock();
        if working.len() < wanted {
            working.resize(wanted, false);
        }
        let slots = working.iter_mut().enumerate().take(wanted);
        let missing = slots.filter_map(|(number, works)| (!std::mem::replace(works, true)).then_some(number));
        missing.collect()
    }

    /// Whether a thread goes on, as `is_wanted` says; if not it is missing from now on, though it may still run.
    pub(super) fn goes_on(&self, number: usize, is_wanted: impl FnOnce() -> bool) -> bool {
        let mut working = self.working.lock();
        let goes_on = is_wanted();
        if let Some(works) = working.get_mut(number) {
            *works = goes_on;
        }
        goes_on
    }

    /// How many of the first `wanted` are at work.
    pub(super) fn count(&self, wanted: usize) -> usize {
        self.working.lock().iter().take(wanted).filter(|works| **works).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_has_decided_to_leave_is_missing_at_once() {
        let crew = Crew::default();
        assert_eq!(crew.take_missing(2), [0, 1]);
        assert_eq!(crew.take_missing(2), [0; 0]);
        // Lowered to one, and raised again before the second thread has ended.
        assert!(!crew.goes_on(1, || false));
        assert_eq!(crew.count(2), 1);
        assert_eq!(crew.take_missing(2), [1]);
    }

    #[test]
    fn one_that_was_lowered_and_raised_before_it_looked_just_goes_on() {
        let crew = Crew::default();
        crew.take_missing(2);
        assert_eq!(crew.take_missing(1), [0; 0]);
        assert!(crew.goes_on(1, || true));
        assert_eq!(crew.take_missing(2), [0; 0]);
        assert_eq!(crew.count(2), 2);
    }
}
