//! Producer ids are handed out once, whatever happens between.

use std::collections::BTreeSet;

/// Handed out a second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandedOutTwice(pub i64);

#[derive(Debug, Default)]
pub struct ProducerIds {
    known: BTreeSet<i64>,
}

impl ProducerIds {
    pub fn handed_out(&mut self, id: i64) -> Option<HandedOutTwice> {
        (!self.known.insert(id)).then_some(HandedOutTwice(id))
    }

    pub fn count(&self) -> usize {
        self.known.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planted_second_use_is_found() {
        let mut ids = ProducerIds::default();
        assert_eq!([5, 3, 1_000].map(|id| ids.handed_out(id)), [None, None, None]);
        assert_eq!(ids.handed_out(3), Some(HandedOutTwice(3)));
    }
}
