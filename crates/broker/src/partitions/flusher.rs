//! The threads that write logs to the disk: fdatasync runs nowhere else.
//!
//! A partition is queued once, however many appends ask; whatever was appended when its turn comes is flushed with it.
//! So `flush.messages=1` is a group commit.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use ottla_storage::Writeback;
use parking_lot::{Condvar, Mutex};

use super::Partition;
use crate::clock::Clock;
use crate::telemetry::Metrics;

/// A queue of partitions and the threads that serve it.
#[derive(Debug)]
pub(crate) struct Flusher {
    queue: Arc<Queue>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<QueueState>,
    wanted: Condvar,
}

#[derive(Debug, Default)]
struct QueueState {
    jobs: VecDeque<Job>,
    closed: bool,
}

#[derive(Debug)]
enum Job {
    Flush(Arc<Partition>),
    Writeback(Writeback),
}

impl Flusher {
    /// Starts `thread_count` threads.
    pub(crate) fn start(thread_count: usize, clock: Clock, metrics: Arc<Metrics>) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let threads = (0..thread_count).map(|number| {
            let (queue, metrics) = (Arc::clone(&queue), Arc::clone(&metrics));
            std::thread::Builder::new()
                .name(format!("flush-{number}"))
                .spawn(move || serve(&queue, clock, &metrics))
        });
        let threads = Mutex::new(threads.collect::<Result<_, _>>()?);
        Ok(Self { queue, threads })
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

    fn push(&self, job: Job) {
        self.queue.push(job);
    }

    /// Serves what is queued and ends the threads.
    pub(crate) fn close(&self) {
        self.queue.state.lock().closed = true;
        self.queue.wanted.notify_all();
        for thread in self.threads.lock().drain(..) {
            if thread.join().is_err() {
                tracing::error!("a flush thread panicked");
            }
        }
    }
}

fn serve(queue: &Queue, clock: Clock, metrics: &Metrics) {
    while let Some(job) = queue.next() {
        match job {
            // A failure is logged where the replica goes offline.
            Job::Flush(partition) => {
                let started = Instant::now();
                let _ = partition.flush(|| clock.now());
                metrics.broker.log_flushed(started.elapsed());
                if partition.flush_ended() {
                    queue.push(Job::Flush(partition));
                }
            }
            Job::Writeback(range) => range.start(),
        }
    }
}

impl Queue {
    fn push(&self, job: Job) {
        self.state.lock().jobs.push_back(job);
        self.wanted.notify_one();
    }

    fn next(&self) -> Option<Job> {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.closed {
                return None;
            }
            self.wanted.wait(&mut state);
        }
    }
}
