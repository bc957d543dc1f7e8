//! One share of the budget: counts bytes, and tells who waits when some are given back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::{Notify, Semaphore};

/// A bounded number of bytes. It only counts: whoever takes them says how many they are.
#[derive(Debug)]
pub(crate) struct Pool {
    limit: u64,
    used: AtomicU64,
    pushed_back: AtomicU64,
    /// How many wait for room, and what tells them that some was made.
    waiting: AtomicUsize,
    room: Notify,
    /// The right to go beyond the limit, which one taker has at a time: so that what is larger than the whole pool
    /// passes alone, and takers that each hold a part never wait for each other in a circle.
    pub(crate) beyond: Arc<Semaphore>,
}

impl Pool {
    /// A pool of `limit` bytes.
    pub(crate) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self {
            limit,
            used: AtomicU64::new(0),
            pushed_back: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
            room: Notify::new(),
            beyond: Arc::new(Semaphore::new(1)),
        })
    }

    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Acquire)
    }

    /// How often somebody was told to wait, was refused or sent away for want of room.
    pub(crate) fn pushed_back(&self) -> u64 {
        self.pushed_back.load(Ordering::Relaxed)
    }

    pub(crate) fn push_back(&self) {
        self.pushed_back.fetch_add(1, Ordering::Relaxed);
    }

    /// For a pool whose bytes are counted elsewhere: what is used now, and how often it has pushed back in all.
    pub(crate) fn measured(&self, used: u64, pushed_back: u64) {
        self.set_used(used);
        self.pushed_back.store(pushed_back, Ordering::Relaxed);
    }

    /// For a pool that is measured: what is used now.
    pub(crate) fn set_used(&self, used: u64) {
        self.used.store(used, Ordering::Release);
    }

    /// For a pool that is measured: `len` bytes more, until the next time.
    pub(crate) fn add(&self, len: usize) {
        self.used.fetch_add(wide(len), Ordering::AcqRel);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.used() >= self.limit
    }

    /// Whether somebody waits for room, or would have to.
    pub(crate) fn is_wanted(&self) -> bool {
        self.is_full() || self.waiting.load(Ordering::Acquire) > 0
    }

    /// Ends when `len` bytes more would fit. Takes nothing: others may be quicker.
    pub(crate) async fn room(&self, len: usize) {
        let _waiting = Waiting::new(&self.waiting);
        loop {
            let room = self.room.notified();
            if self.used().saturating_add(wide(len)) <= self.limit {
                return;
            }
            room.await;
        }
    }

    /// An account without bytes.
    pub(crate) fn account(self: &Arc<Self>) -> Charge {
        Charge { pool: Arc::clone(self), len: 0 }
    }

    /// Takes `len` bytes if they fit.
    pub(crate) fn try_charge(self: &Arc<Self>, len: usize) -> Option<Charge> {
        let mut charge = self.account();
        if charge.try_set(len) {
            return Some(charge);
        }
        self.push_back();
        None
    }

    /// Takes `len` bytes, whether they fit or not.
    pub(crate) fn charge(self: &Arc<Self>, len: usize) -> Charge {
        let mut charge = self.account();
        charge.set(len);
        charge
    }

    fn try_take(&self, len: u64) -> bool {
        let taken = self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
            used.checked_add(len).filter(|sum| *sum <= self.limit)
        });
        taken.is_ok()
    }

    fn give_back(&self, len: u64) {
        self.used.fetch_sub(len, Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.room.notify_waiters();
        }
    }
}

/// One who waits, until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Bytes taken from a pool, given back when dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    pool: Arc<Pool>,
    len: u64,
}

impl Charge {
    pub(crate) fn len(&self) -> usize {
        usize::try_from(self.len).unwrap_or(usize::MAX)
    }

    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Makes it `len` bytes; more than it is only if they fit.
    pub(crate) fn try_set(&mut self, len: usize) -> bool {
        let wanted = wide(len);
        if wanted > self.len && !self.pool.try_take(wanted - self.len) {
            return false;
        }
        self.give_back_above(wanted);
        self.len = wanted;
        true
    }

    /// Makes it `len` bytes, whether they fit or not.
    pub(crate) fn set(&mut self, len: usize) {
        let wanted = wide(len);
        if wanted > self.len {
            self.pool.used.fetch_add(wanted - self.len, Ordering::AcqRel);
        }
        self.give_back_above(wanted);
        self.len = wanted;
    }

    fn give_back_above(&self, wanted: u64) {
        if wanted < self.len {
            self.pool.give_back(self.len - wanted);
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.give_back_above(0);
    }
}

fn wide(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        TryCharge(usize),
        Charge(usize),
        TrySet(usize, usize),
        Set(usize, usize),
        Drop(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0_usize..120).prop_map(Step::TryCharge),
            (0_usize..120).prop_map(Step::Charge),
            (any::<usize>(), 0_usize..120).prop_map(|(at, len)| Step::TrySet(at, len)),
            (any::<usize>(), 0_usize..120).prop_map(|(at, len)| Step::Set(at, len)),
            any::<usize>().prop_map(Step::Drop),
        ]
    }

    proptest! {
        #[test]
        fn what_is_used_is_what_is_held_and_nobody_asks_his_way_beyond_the_limit(
            steps in proptest::collection::vec(step(), 0..60)
        ) {
            let pool = Pool::new(200);
            let mut held: Vec<Charge> = Vec::new();
            for step in steps {
                let before = pool.used();
                let mut asked = None;
                match step {
                    Step::TryCharge(len) => {
                        let charge = pool.try_charge(len);
                        asked = Some((len, charge.is_some()));
                        held.extend(charge);
                    }
                    Step::Charge(len) => held.push(pool.charge(len)),
                    Step::TrySet(at, len) if !held.is_empty() => {
                        let at = at % held.len();
                        let more = len.saturating_sub(held[at].len());
                        asked = Some((more, held[at].try_set(len)));
                    }
                    Step::Set(at, len) if !held.is_empty() => {
                        let at = at % held.len();
                        held[at].set(len);
                    }
                    Step::Drop(at) if !held.is_empty() => drop(held.swap_remove(at % held.len())),
                    _ => {}
                }
                if let Some((more, given)) = asked {
                    prop_assert_eq!(given, more == 0 || before + wide(more) <= pool.limit());
                }
                prop_assert_eq!(pool.used(), held.iter().map(|charge| charge.len).sum::<u64>());
            }
            drop(held);
            prop_assert_eq!(pool.used(), 0);
        }
    }

    #[tokio::test]
    async fn who_waits_for_room_is_told() {
        let pool = Pool::new(10);
        let full = pool.charge(30);
        let mut other = pool.charge(5);
        let waiting = pool.room(1);
        let mut waiting = std::pin::pin!(waiting);
        assert!(futures_poll(waiting.as_mut()).await.is_none());
        other.set(0);
        assert!(futures_poll(waiting.as_mut()).await.is_none(), "it is still beyond its limit");
        drop(full);
        waiting.await;
    }

    async fn futures_poll<F: Future + Unpin>(future: F) -> Option<F::Output> {
        tokio::time::timeout(std::time::Duration::from_millis(5), future).await.ok()
    }
}
