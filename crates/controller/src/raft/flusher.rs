//! The thread that makes appended entries durable: one fdatasync answers for everything appended before it.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use ottla_storage::DiskFile;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::surroundings;

/// The thread syncs and calls back; it needs no more.
const STACK_BYTES: usize = 256 * 1024;

/// Told whether the bytes are durable.
pub(crate) type OnFlushed = Box<dyn FnOnce(io::Result<()>) + Send>;

struct Job {
    file: Arc<dyn DiskFile>,
    on_flushed: OnFlushed,
}

/// Takes flush jobs; dropped, it finishes those it has taken and ends.
pub(crate) struct Flusher {
    jobs: Option<Jobs>,
    thread: Option<JoinHandle<()>>,
}

enum Jobs {
    Thread(Sender<Job>),
    /// Of a simulation.
    Task(UnboundedSender<Job>),
}

impl Flusher {
    pub(crate) fn spawn() -> io::Result<Self> {
        if surroundings::is_simulated() {
            let (jobs, queue) = unbounded_channel();
            tokio::spawn(run_simulated(queue));
            return Ok(Self { jobs: Some(Jobs::Task(jobs)), thread: None });
        }
        let (jobs, queue) = channel();
        let builder = std::thread::Builder::new().name("metadata-flush".to_owned()).stack_size(STACK_BYTES);
        let thread = builder.spawn(move || run(&queue))?;
        Ok(Self { jobs: Some(Jobs::Thread(jobs)), thread: Some(thread) })
    }

    /// Syncs `file` soon. The queue is bounded by openraft, which appends a bounded number of entries ahead.
    pub(crate) fn flush(&self, file: Arc<dyn DiskFile>, on_flushed: OnFlushed) {
        let job = Job { file, on_flushed };
        let rejected = match &self.jobs {
            Some(Jobs::Thread(jobs)) => jobs.send(job).err().map(|error| error.0),
            Some(Jobs::Task(jobs)) => jobs.send(job).err().map(|error| error.0),
            None => Some(job),
        };
        if let Some(job) = rejected {
            (job.on_flushed)(Err(io::Error::other("the flush thread has ended")));
        }
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported by its jobs' absence already.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Flusher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Flusher")
    }
}

fn run(queue: &Receiver<Job>) {
    // A failed fdatasync is never retried: the kernel may have dropped the dirty pages, and a second call would lie.
    let mut failed: Option<String> = None;
    while let Ok(first) = queue.recv() {
        let mut jobs = vec![first];
        jobs.extend(queue.try_iter());
        finish(jobs, &mut failed);
    }
}

async fn run_simulated(mut queue: UnboundedReceiver<Job>) {
    let mut failed = None;
    while let Some(first) = queue.recv().await {
        let mut jobs = vec![first];
        tokio::time::sleep(surroundings::disk_time()).await;
        while let Ok(job) = queue.try_recv() {
            jobs.push(job);
        }
        finish(jobs, &mut failed);
    }
}

fn finish(jobs: Vec<Job>, failed: &mut Option<String>) {
    if failed.is_none() {
        *failed = sync_all(&jobs).err().map(|error| error.to_string());
    }
    for job in jobs {
        let result = failed.as_ref().map_or(Ok(()), |why| Err(io::Error::other(why.clone())));
        (job.on_flushed)(result);
    }
}

/// Syncs each file once, however many jobs name it; a run of jobs names a file, then its successor.
fn sync_all(jobs: &[Job]) -> io::Result<()> {
    for (i, job) in jobs.iter().enumerate() {
        let again_later = jobs.get(i + 1).is_some_and(|next| Arc::ptr_eq(&next.file, &job.file));
        if !again_later {
            job.file.sync_data()?;
        }
    }
    Ok(())
}
