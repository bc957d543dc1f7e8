//! The threads that open logs: `num.recovery.threads.per.data.dir` of each log dir, until nothing is left.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use ottla_model::{TopicId, TopicPartition};
use ottla_storage::StorageError;
use parking_lot::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{OpeningJob, OpeningQueue};
use crate::clock::Clock;
use crate::partitions::LogHome;
use crate::partitions::log_home::{HomedLog, WantedLog};

/// What became of a log.
#[derive(Debug)]
pub(crate) struct Opened {
    pub name: TopicPartition,
    pub id: TopicId,
    pub log: Result<HomedLog, StorageError>,
}

/// Logs in the order in which they were opened; ends when all are.
pub(crate) type OpenedLogs = UnboundedReceiver<Opened>;

/// The threads.
#[derive(Debug)]
pub(crate) struct Opener {
    queue: Arc<OpeningQueue>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What a thread works with.
#[derive(Clone, Debug)]
struct Work {
    queue: Arc<OpeningQueue>,
    logs: Arc<LogHome>,
    clock: Clock,
    opened: UnboundedSender<Opened>,
}

impl Opener {
    /// Starts `thread_count` threads for each log dir, or as many as it has logs.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub(crate) fn start(
        queue: Arc<OpeningQueue>,
        logs: Arc<LogHome>,
        thread_count: usize,
        clock: Clock,
    ) -> std::io::Result<(Self, OpenedLogs)> {
        let (sender, opened) = unbounded_channel();
        let work = Work { queue: Arc::clone(&queue), logs, clock, opened: sender };
        let mut threads = Vec::new();
        for (dir, waiting) in queue.waiting().into_iter().enumerate() {
            for number in 0..waiting.min(thread_count.max(1)) {
                let work = work.clone();
                let named = std::thread::Builder::new().name(format!("recovery-{dir}-{number}"));
                threads.push(named.spawn(move || work.run(dir))?);
            }
        }
        Ok((Self { queue, threads: Mutex::new(threads) }, opened))
    }

    /// Ends the threads, each after the log that it is at.
    pub(crate) fn close(&self) {
        self.queue.close();
        for thread in self.threads.lock().drain(..) {
            if thread.join().is_err() {
                tracing::error!("a recovery thread panicked");
            }
        }
    }
}

impl Work {
    fn run(&self, dir: usize) {
        while let Some(job) = self.queue.next(dir) {
            let log = catch_unwind(AssertUnwindSafe(|| self.open(&job)));
            let log = log.unwrap_or_else(|_| Err(panicked(&job.name)));
            self.queue.done(&job.name);
            // Without a receiver the broker stops.
            let _ = self.opened.send(Opened { name: job.name, id: job.id, log });
        }
    }

    fn open(&self, job: &OpeningJob) -> Result<HomedLog, StorageError> {
        let wanted = WantedLog {
            name: &job.name,
            id: job.id,
            directory: job.directory,
            config: Arc::clone(&job.config),
        };
        self.logs.open(&wanted, self.clock.now())
    }
}

fn panicked(name: &TopicPartition) -> StorageError {
    StorageError::Corrupt { path: name.to_string().into(), what: "opening the log panicked".to_owned() }
}
