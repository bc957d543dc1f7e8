//! Numbers of groups that only grow: generations of classic groups, epochs of consumer groups and their members.

use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// A larger one was answered before.
    WentBack { of: String, answered: i32, found: i32 },
    /// A new generation has the number of one that was complete already.
    Repeated { of: String, complete: i32, found: i32 },
    /// A member that was answered is not known any more.
    Forgotten { of: String, answered: i32 },
}

/// What was answered, by what it is the number of.
#[derive(Debug, Default)]
pub struct Epochs {
    answered: BTreeMap<String, i32>,
    complete: BTreeMap<String, i32>,
}

impl Epochs {
    /// An answer, or a look at the group.
    pub fn seen(&mut self, of: &str, found: i32) -> Option<Violation> {
        let answered = self.answered.entry(of.to_owned()).or_insert(found);
        if found < *answered {
            return Some(Violation::WentBack { of: of.to_owned(), answered: *answered, found });
        }
        *answered = found;
        None
    }

    /// A rebalance has begun with this number.
    pub fn began(&mut self, of: &str, found: i32) -> Option<Violation> {
        if let Some(&complete) = self.complete.get(of).filter(|complete| **complete >= found) {
            return Some(Violation::Repeated { of: of.to_owned(), complete, found });
        }
        self.seen(of, found)
    }

    /// The rebalance with this number was answered to its end: it is kept.
    pub fn completed(&mut self, of: &str, number: i32) {
        self.complete.insert(of.to_owned(), number);
    }

    /// The broker does not know a member that it has answered.
    pub fn forgotten(&self, of: &str) -> Option<Violation> {
        let answered = *self.answered.get(of)?;
        Some(Violation::Forgotten { of: of.to_owned(), answered })
    }

    pub fn count(&self) -> usize {
        self.answered.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_may_stay_and_grow() {
        let mut epochs = Epochs::default();
        for number in [3, 3, 4, 9] {
            assert_eq!(epochs.seen("a", number), None);
        }
        assert_eq!(epochs.seen("b", 1), None, "another group's");
        assert_eq!(epochs.forgotten("c"), None, "never answered");
    }

    #[test]
    fn planted_older_number_is_found() {
        let mut epochs = Epochs::default();
        epochs.seen("a", 4);
        let back = Violation::WentBack { of: "a".to_owned(), answered: 4, found: 3 };
        assert_eq!(epochs.seen("a", 3), Some(back.clone()));
        assert_eq!(epochs.began("a", 3), Some(back));
    }

    #[test]
    fn planted_second_use_of_a_complete_generation_is_found() {
        let mut epochs = Epochs::default();
        assert_eq!(epochs.began("a", 4), None);
        assert_eq!(epochs.began("a", 4), None, "the first one was never complete");
        epochs.completed("a", 4);
        let repeated = Violation::Repeated { of: "a".to_owned(), complete: 4, found: 4 };
        assert_eq!(epochs.began("a", 4), Some(repeated));
        assert_eq!(epochs.began("a", 5), None);
    }

    #[test]
    fn planted_loss_of_a_member_is_found() {
        let mut epochs = Epochs::default();
        epochs.seen("a", 4);
        assert_eq!(epochs.forgotten("a"), Some(Violation::Forgotten { of: "a".to_owned(), answered: 4 }));
    }
}
