//! What is counted on the way of every request, in as many places as there are threads to count it.
//!
//! Two cores that count in the same word take it from each other each time, which costs more than all else about it. So
//! each thread counts in a shard of its own (where there are more threads than shards, in one that few others use), and
//! a scrape adds the shards up.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Enough for the threads of a small machine; more would cost every scrape.
const SHARDS: usize = 8;

thread_local! {
    static SHARD: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Which of a thread's shards is the next one's.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// A `T` for each shard, in cache lines of its own.
#[derive(Debug, Default)]
pub(super) struct Sharded<T>([Line<T>; SHARDS]);

/// Processors fetch lines by two.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Line<T>(T);

impl<T> Sharded<T> {
    /// The shard of the thread that asks.
    pub(super) fn mine(&self) -> &T {
        let at = SHARD.get().unwrap_or_else(|| {
            let at = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS;
            SHARD.set(Some(at));
            at
        });
        &self.0[at].0
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|line| &line.0)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    #[test]
    fn what_all_threads_count_is_found() {
        let sharded = Sharded::<AtomicU64>::default();
        std::thread::scope(|scope| {
            for _ in 0..2 * SHARDS {
                scope.spawn(|| {
                    let mine: *const AtomicU64 = sharded.mine();
                    for _ in 0..1_000 {
                        sharded.mine().fetch_add(1, Ordering::Relaxed);
                        assert!(std::ptr::eq(mine, sharded.mine()), "a thread keeps its shard");
                    }
                });
            }
        });
        let counts: Vec<u64> = sharded.all().map(|count| count.load(Ordering::Relaxed)).collect();
        assert_eq!(counts.iter().sum::<u64>(), 2_000 * SHARDS as u64);
        assert!(counts.iter().filter(|count| **count > 0).count() > 1, "{counts:?}");
    }
}
