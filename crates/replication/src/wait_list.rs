//! Operations parked until an offset is reached: a partition's delayed produces, fetches and deletes.

use std::collections::BTreeMap;

use ottla_model::Offset;

/// Names a parked operation, to cancel it when its deadline passes or its connection goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket {
    offset: Offset,
    id: u64,
}

/// The list is at its limit; the operation comes back, to be answered at once.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many operations wait")]
pub struct Full<T>(pub T);

/// Tokens of type `T` by the offset they wait for. Whose turn has come is returned, in order of offset, then of arrival;
/// nothing is called back. Expiry is the caller's: it cancels by [`Ticket`]. While nobody waits, nothing is allocated.
///
/// A partition keeps one list per kind:
///
/// | kind | parked at | taken with |
/// |--|--|--|
/// | produce, acks=all | offset after the last record | [`reached`](Self::reached)(HW), each then asked of `PartitionMachine::acknowledged` |
/// | consumer's fetch | fetch offset | [`passed`](Self::passed)(HW or last stable offset) |
/// | follower's fetch | fetch offset | [`passed`](Self::passed)(LEO) |
/// | DeleteRecords | the new log start | [`reached`](Self::reached)(low watermark) |
///
/// A change of role, or of the log's start, takes [`all`](Self::all).
#[derive(Debug)]
pub struct WaitList<T> {
    waiting: BTreeMap<Ticket, T>,
    limit: usize,
    next_id: u64,
}

impl<T> WaitList<T> {
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { waiting: BTreeMap::new(), limit, next_id: 0 }
    }

    /// Parks `token` until `offset`.
    pub fn park(&mut self, offset: Offset, token: T) -> Result<Ticket, Full<T>> {
        if self.waiting.len() >= self.limit {
            return Err(Full(token));
        }
        let ticket = Ticket { offset, id: self.next_id };
        self.next_id += 1;
        self.waiting.insert(ticket, token);
        Ok(ticket)
    }

    /// Takes one back; `None` if it has gone already.
    pub fn cancel(&mut self, ticket: Ticket) -> Option<T> {
        self.waiting.remove(&ticket)
    }

    /// Takes those whose offset is at or below `end`: an end offset has reached what they require.
    pub fn reached(&mut self, end: Offset) -> impl Iterator<Item = T> + use<T> {
        self.take_below(Offset(end.get().saturating_add(1)))
    }

    /// Takes those whose offset is below `end`: there is something to read at it.
    pub fn passed(&mut self, end: Offset) -> impl Iterator<Item = T> + use<T> {
        self.take_below(end)
    }

    /// Takes everything.
    pub fn all(&mut self) -> impl Iterator<Item = T> + use<T> {
        std::mem::take(&mut self.waiting).into_values()
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    fn take_below(&mut self, end: Offset) -> std::collections::btree_map::IntoValues<Ticket, T> {
        let taken = match self.waiting.first_key_value() {
            Some((first, _)) if first.offset < end => {
                let left = self.waiting.split_off(&Ticket { offset: end, id: 0 });
                std::mem::replace(&mut self.waiting, left)
            }
            _ => BTreeMap::new(),
        };
        taken.into_values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> (WaitList<&'static str>, Vec<Ticket>) {
        let mut list = WaitList::new(4);
        let at = [(5, "b"), (3, "a"), (5, "c"), (9, "d")];
        let tickets = at.iter().map(|(offset, token)| list.park(Offset(*offset), *token).unwrap());
        let tickets = tickets.collect();
        (list, tickets)
    }

    #[test]
    fn reached_takes_at_or_below_in_order() {
        let (mut list, _) = list();
        assert_eq!(list.reached(Offset(2)).count(), 0);
        assert_eq!(list.reached(Offset(5)).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(list.len(), 1);
    }

    #[test]
    fn passed_takes_strictly_below() {
        let (mut list, _) = list();
        assert_eq!(list.passed(Offset(5)).collect::<Vec<_>>(), ["a"]);
        assert_eq!(list.passed(Offset(6)).collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!(list.all().collect::<Vec<_>>(), ["d"]);
        assert!(list.is_empty());
    }

    #[test]
    fn cancel_works_once() {
        let (mut list, tickets) = list();
        assert_eq!(list.cancel(tickets[2]), Some("c"));
        assert_eq!(list.cancel(tickets[2]), None);
        assert_eq!(list.reached(Offset(i64::MAX)).collect::<Vec<_>>(), ["a", "b", "d"]);
        assert_eq!(list.cancel(tickets[0]), None);
    }

    #[test]
    fn a_full_list_gives_the_token_back() {
        let (mut list, _) = list();
        assert_eq!(list.park(Offset(1), "e"), Err(Full("e")));
    }
}
