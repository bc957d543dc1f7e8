//! The same work on several threads at once.

use super::close::worse;
use crate::error::StorageError;

/// Runs `work` on `count` threads (at least the caller's own) until all have ended; gives the worst error. A panic of
/// one is the caller's panic.
pub(super) fn on_threads(
    count: usize,
    work: impl Fn() -> Result<(), StorageError> + Sync,
) -> Result<(), StorageError> {
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..count).map(|_| scope.spawn(&work)).collect();
        let mut outcome = work();
        for other in others {
            let other = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            outcome = worse(outcome, other);
        }
        outcome
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn as_many_threads_work_at_once_as_are_asked_for() {
        for count in 1..4 {
            // Nobody passes before all are there.
            let all_there = Barrier::new(count);
            let work = || {
                all_there.wait();
                Ok(())
            };
            assert!(on_threads(count, work).is_ok());
        }
    }
}
