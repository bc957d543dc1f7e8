//! The thread that checks what was read of closed segments, behind the readers (`ottla_storage::SegmentCheck`).

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use ottla_storage::SegmentCheck;
use parking_lot::{Condvar, Mutex};

use super::DirFailures;

/// Checks that wait; a segment has at most one.
const QUEUE_LEN: usize = 1_000;
const STACK_BYTES: usize = 256 * 1024;

/// What is to be checked, each with the log's directory.
#[derive(Debug, Default)]
pub(crate) struct CheckQueue {
    jobs: Mutex<Jobs>,
    news: Condvar,
}

#[derive(Debug, Default)]
struct Jobs {
    waiting: VecDeque<(PathBuf, SegmentCheck)>,
    is_closed: bool,
}

impl CheckQueue {
    /// Has it checked soon; where many wait, when the part is read again.
    pub(super) fn push(&self, log: PathBuf, check: SegmentCheck) {
        let mut jobs = self.jobs.lock();
        if jobs.is_closed || jobs.waiting.len() >= QUEUE_LEN {
            drop(jobs);
            check.cancel();
            return;
        }
        jobs.waiting.push_back((log, check));
        drop(jobs);
        self.news.notify_one();
    }

    /// `None` once closed.
    fn next(&self) -> Option<(PathBuf, SegmentCheck)> {
        let mut jobs = self.jobs.lock();
        loop {
            if jobs.is_closed {
                return None;
            }
            if let Some(job) = jobs.waiting.pop_front() {
                return Some(job);
            }
            self.news.wait(&mut jobs);
        }
    }

    fn close(&self) {
        let mut jobs = self.jobs.lock();
        jobs.is_closed = true;
        jobs.waiting.clear();
        self.news.notify_all();
    }
}

/// The thread; it ends with this.
#[derive(Debug)]
pub(crate) struct Checker {
    failures: Arc<DirFailures>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Checker {
    pub(crate) fn start(failures: Arc<DirFailures>) -> std::io::Result<Self> {
        let of_thread = Arc::clone(&failures);
        let builder = std::thread::Builder::new().name("log-check".to_owned()).stack_size(STACK_BYTES);
        let thread = builder.spawn(move || run(&of_thread))?;
        Ok(Self { failures, thread: Mutex::new(Some(thread)) })
    }

    /// Waits until the check under way has ended.
    pub(crate) fn close(&self) {
        self.failures.checks().close();
        if let Some(thread) = self.thread.lock().take() {
            // A panic has been printed.
            let _ = thread.join();
        }
    }
}

impl Drop for Checker {
    fn drop(&mut self) {
        self.close();
    }
}

fn run(failures: &DirFailures) {
    while let Some((log, check)) = failures.checks().next() {
        match check.run() {
            Ok(damages) => damages.iter().for_each(|damage| failures.report(damage, &log)),
            Err(error) => failures.report(&error, &log),
        }
    }
}
