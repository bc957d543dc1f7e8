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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::cold_file::{Asked, ColdFile};

    const LEN: u32 = 4_096;

    fn slice(file: &Arc<ColdFile>, position: u64) -> FileSlice {
        FileSlice { file: Arc::clone(file) as Arc<_>, position, length: LEN }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn so_many_wait_for_disks_at_once_and_the_others_for_them() {
        let (cold_reads, file) = (ColdReads::new(Counter::noop()), ColdFile::new(1 << 20));
        file.shut();
        let mut all: Vec<_> =
            (0..2 * THREADS).map(|_| Box::pin(cold_reads.warm(vec![slice(&file, 0)]))).collect();
        for warming in &mut all {
            poll_fn(|context| Poll::Ready(warming.as_mut().poll(context).is_ready())).await;
        }
        // What was handed to a thread before this has begun by its end.
        tokio::task::spawn_blocking(|| ()).await.unwrap();
        let until = Instant::now() + Duration::from_secs(30);
        while file.waiting().0 < THREADS && Instant::now() < until {
            tokio::task::yield_now().await;
        }
        assert_eq!(file.waiting().0, THREADS);
        file.reopen();
        for warming in all {
            warming.await;
        }
        assert_eq!(file.waiting(), (0, THREADS));
        assert_eq!(file.asked.lock().len(), 2 * THREADS);
    }

    #[tokio::test]
    async fn disk_is_asked_for_all_of_an_answer_before_the_first_is_waited_for() {
        let (cold_reads, file) = (ColdReads::new(Counter::noop()), ColdFile::new(1 << 20));
        cold_reads.warm(vec![slice(&file, 0), slice(&file, 65_536)]).await;
        let expected = [Asked::ReadAhead(0), Asked::ReadAhead(65_536), Asked::Read(0), Asked::Read(65_536)];
        assert_eq!(*file.asked.lock(), expected);
    }
}
