//! Reads that would have to wait for the disk, on threads that may: afterwards the bytes are in memory, and whoever
//! serves connections goes on without having waited.

use std::sync::Arc;

use metrics::Counter;
use ottla_storage::FileSlice;
use tokio::sync::Semaphore;

/// So many threads wait for disks at once: enough to keep a disk busy, and few enough to leave some to others.
const THREADS: usize = 32;

/// The right to such threads.
#[derive(Clone)]
pub(crate) struct ColdReads {
    turns: Arc<Semaphore>,
    reads: Counter,
}

impl ColdReads {
    /// `reads` counts.
    pub(crate) fn new(reads: Counter) -> Self {
        Self { turns: Arc::new(Semaphore::new(THREADS)), reads }
    }

    /// Ends when the slices have been read. What fails is left to whoever uses them: there it fails again.
    pub(crate) fn warm(&self, slices: Vec<FileSlice>) -> impl Future<Output = ()> + Send + 'static {
        let turns = Arc::clone(&self.turns);
        self.reads.increment(1);
        async move {
            let Ok(turn) = turns.acquire_owned().await else { return };
            let reading = move || {
                let _turn = turn;
                if slices.len() > 1 {
                    // All of them at once, before the first is waited for.
                    for slice in &slices {
                        let _ = slice.file.read_ahead(slice.position, slice.length.into());
                    }
                }
                for slice in &slices {
                    let _ = slice.warm();
                }
            };
            let _ = tokio::task::spawn_blocking(reading).await;
        }
    }
}

impl std::fmt::Debug for ColdReads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ColdReads").field("free", &self.turns.available_permits()).finish_non_exhaustive()
    }
}
