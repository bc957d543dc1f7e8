//! The threads that write logs to the disk: fdatasync runs nowhere else.
//!
//! A partition is queued once, however many appends ask; whatever was appended when its turn comes is flushed with it.
//! So `flush.messages=1` is a group commit.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use ottla_storage::Writeback;
use parking_lot::{Condvar, Mutex};

use super::Partition;
use crate::clock::Clock;
use crate::telemetry::Metrics;

/// A disk that takes seconds must not keep other disks' partitions waiting: while all threads are at work, more are
/// started, up to this many.
const THREADS_MAX: usize = 32;
/// To open a segment's files costs a recovery as much as to read so many bytes.
const SEGMENT_COST_BYTES: u64 = 64 << 10;
/// A thread more than the usual ones ends after this long without work.
const IDLE_MAX: Duration = Duration::from_secs(5);

/// A queue of partitions and the threads that serve it.
#[derive(Debug)]
pub(crate) struct Flusher {
    crew: Arc<Crew>,
}

/// What the threads share.
#[derive(Debug)]
struct Crew {
    state: Mutex<QueueState>,
    wanted: Condvar,
    /// A thread has ended.
    ended: Condvar,
    /// Threads that stay.
    usual: usize,
    clock: Clock,
    /// See [`Flusher::spared`].
    spared: AtomicU64,
    /// Its gauges look at partitions, which know this crew: not to be kept alive by it.
    metrics: Weak<Metrics>,
}

#[derive(Debug, Default)]
struct QueueState {
    jobs: VecDeque<Job>,
    closed: bool,
    threads: usize,
    idle: usize,
}

#[derive(Debug)]
enum Job {
    Flush(Arc<Partition>),
    Writeback(Writeback),
}

impl Flusher {
    /// Starts `thread_count` threads.
    pub(crate) fn start(thread_count: usize, clock: Clock, metrics: &Arc<Metrics>) -> std::io::Result<Self> {
        let metrics = Arc::downgrade(metrics);
        let (state, wanted, ended, spared) = Default::default();
        let crew = Arc::new(Crew { state, wanted, ended, usual: thread_count, clock, spared, metrics });
        for _ in 0..thread_count {
            crew.enlist(&mut crew.state.lock())?;
        }
        Ok(Self { crew })
    }

    /// Queues the partition.
    pub(crate) fn flush(&self, partition: &Arc<Partition>) {
        if partition.queue_flush() {
            self.push(Job::Flush(Arc::clone(partition)));
        }
    }

    /// Has the kernel begin to write a range, so that no later append or flush stalls behind a full queue.
    pub(crate) fn write_back(&self, range: Writeback) {
        self.push(Job::Writeback(range));
    }

    /// What was flushed since the start, in bytes that a recovery would have to read: once a checkpoint says so, it need
    /// not.
    pub(crate) fn spared(&self) -> u64 {
        self.crew.spared.load(Ordering::Relaxed)
    }

    fn push(&self, job: Job) {
        self.crew.push(job);
    }

    /// Serves what is queued and ends the threads.
    pub(crate) fn close(&self) {
        let mut state = self.crew.state.lock();
        state.closed = true;
        self.crew.wanted.notify_all();
        while state.threads > 0 {
            self.crew.ended.wait(&mut state);
        }
    }
}

impl Crew {
    /// Starts one more thread.
    fn enlist(self: &Arc<Self>, state: &mut QueueState) -> std::io::Result<()> {
        let crew = Arc::clone(self);
        let named = std::thread::Builder::new().name(format!("flush-{}", state.threads));
        named.spawn(move || Member(crew).0.serve())?;
        state.threads += 1;
        Ok(())
    }

    fn push(self: &Arc<Self>, job: Job) {
        let mut state = self.state.lock();
        state.jobs.push_back(job);
        if state.jobs.len() > state.idle && state.threads < THREADS_MAX && !state.closed {
            // Without it the job waits for a thread that is there.
            if let Err(error) = self.enlist(&mut state) {
                tracing::warn!(%error, "no further flush thread");
            }
        }
        self.wanted.notify_one();
    }

    fn serve(self: &Arc<Self>) {
        while let Some(job) = self.next() {
            match job {
                // A failure is logged where the replica goes offline.
                Job::Flush(partition) => {
                    let started = Instant::now();
                    let flushed = partition.flush(|| self.clock.now()).unwrap_or_default();
                    let segments = u64::try_from(flushed.closed_segments).unwrap_or(u64::MAX);
                    let spared = flushed.bytes + segments * SEGMENT_COST_BYTES;
                    self.spared.fetch_add(spared, Ordering::Relaxed);
                    if let Some(metrics) = self.metrics.upgrade() {
                        metrics.broker.log_flushed(started.elapsed());
                    }
                    if partition.flush_ended() {
                        self.push(Job::Flush(partition));
                    }
                }
                Job::Writeback(range) => range.start(),
            }
        }
    }

    /// The next job; `None` if this thread is to end.
    fn next(&self) -> Option<Job> {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.closed {
                return None;
            }
            state.idle += 1;
            let waited = self.wanted.wait_for(&mut state, IDLE_MAX);
            state.idle -= 1;
            if waited.timed_out() && state.jobs.is_empty() && state.threads > self.usual {
                return None;
            }
        }
    }
}

/// A thread, counted until it ends, in whatever way.
struct Member(Arc<Crew>);

impl Drop for Member {
    fn drop(&mut self) {
        self.0.state.lock().threads -= 1;
        self.0.ended.notify_all();
    }
}
