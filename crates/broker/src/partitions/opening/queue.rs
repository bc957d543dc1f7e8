//! Which log is opened next: what somebody has asked for, in that order; then the internal topics', which coordinators
//! need; then the others, in the order in which they were put in.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use ottla_metadata::DirectoryId;
use ottla_model::{TopicId, TopicPartition};
use ottla_storage::LogConfig;
use parking_lot::{Condvar, Mutex};

use crate::internal_topics::is_internal;

/// A log that is to be opened.
#[derive(Clone, Debug)]
pub(crate) struct OpeningJob {
    pub name: TopicPartition,
    pub id: TopicId,
    /// Where the metadata says it is.
    pub directory: DirectoryId,
    pub config: Arc<LogConfig>,
}

/// The jobs of all log dirs.
#[derive(Debug, Default)]
pub(crate) struct OpeningQueue {
    state: Mutex<State>,
    /// A job has ended.
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    order: Order,
    jobs: HashMap<TopicPartition, OpeningJob>,
    running: HashSet<TopicPartition>,
    /// Jobs that were ever put in, and those of them that need no opening any more.
    total: usize,
    over: usize,
    closed: bool,
}

impl OpeningQueue {
    /// Puts a log of log dir number `dir` in.
    pub(crate) fn push(&self, dir: usize, job: OpeningJob) {
        let mut state = self.state.lock();
        state.order.push(dir, job.name.clone());
        state.jobs.insert(job.name.clone(), job);
        state.total += 1;
    }

    /// Somebody has asked for the log.
    pub(crate) fn want(&self, name: &TopicPartition) {
        self.state.lock().order.want(name);
    }

    /// The next job of a log dir, until [`OpeningQueue::done`] or [`OpeningQueue::forget`]; `None` if there is no more.
    pub(super) fn next(&self, dir: usize) -> Option<OpeningJob> {
        let mut state = self.state.lock();
        if state.closed {
            return None;
        }
        let name = state.order.next(dir)?;
        let job = state.jobs.remove(&name)?;
        state.running.insert(name);
        Some(job)
    }

    /// A job's thread is done with the log's files.
    pub(super) fn done(&self, name: &TopicPartition) {
        self.state.lock().running.remove(name);
        self.ended.notify_all();
    }

    /// So many logs are served, or never will be.
    pub(crate) fn count_over(&self, count: usize) {
        self.state.lock().over += count;
    }

    /// Takes logs out whose topics are gone. Waits for those that a thread is at, so that it does not work on files that
    /// are about to be another's.
    pub(crate) fn forget(&self, names: &[TopicPartition]) {
        let mut state = self.state.lock();
        for name in names {
            state.order.forget(name);
            if state.jobs.remove(name).is_some() {
                state.over += 1;
            }
        }
        while names.iter().any(|name| state.running.contains(name)) {
            self.ended.wait(&mut state);
        }
    }

    /// How many logs need no opening any more, and how many were found.
    pub(crate) fn progress(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.over, state.total)
    }

    /// Of each log dir, how many logs wait.
    pub(super) fn waiting(&self) -> Vec<usize> {
        self.state.lock().order.waiting()
    }

    /// Nothing more is begun.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
    }
}

/// The order, by names alone.
#[derive(Debug, Default)]
struct Order {
    dirs: Vec<Lines>,
    /// The dir of each that waits. Names in the lines that are not here are passed over.
    waiting: HashMap<TopicPartition, usize>,
}

/// The names of one dir.
#[derive(Debug, Default)]
struct Lines {
    wanted: VecDeque<TopicPartition>,
    internal: VecDeque<TopicPartition>,
    others: VecDeque<TopicPartition>,
}

impl Order {
    fn push(&mut self, dir: usize, name: TopicPartition) {
        if self.dirs.len() <= dir {
            self.dirs.resize_with(dir + 1, Lines::default);
        }
        let lines = &mut self.dirs[dir];
        let line = if is_internal(&name.topic) { &mut lines.internal } else { &mut lines.others };
        line.push_back(name.clone());
        self.waiting.insert(name, dir);
    }

    fn want(&mut self, name: &TopicPartition) {
        if let Some(lines) = self.waiting.get(name).and_then(|dir| self.dirs.get_mut(*dir)) {
            lines.wanted.push_back(name.clone());
        }
    }

    fn next(&mut self, dir: usize) -> Option<TopicPartition> {
        let Lines { wanted, internal, others } = self.dirs.get_mut(dir)?;
        for line in [wanted, internal, others] {
            while let Some(name) = line.pop_front() {
                if self.waiting.remove(&name).is_some() {
                    return Some(name);
                }
            }
        }
        None
    }

    fn forget(&mut self, name: &TopicPartition) {
        self.waiting.remove(name);
    }

    fn waiting(&self) -> Vec<usize> {
        let mut counts = vec![0; self.dirs.len()];
        for dir in self.waiting.values() {
            if let Some(count) = counts.get_mut(*dir) {
                *count += 1;
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(topic: &str, partition: i32) -> TopicPartition {
        TopicPartition::new(topic, partition)
    }

    fn queue() -> OpeningQueue {
        let queue = OpeningQueue::default();
        let job = |name| OpeningJob {
            name,
            id: TopicId::default(),
            directory: DirectoryId::UNASSIGNED,
            config: Arc::default(),
        };
        for partition in 0..3 {
            queue.push(0, job(name("t", partition)));
        }
        queue.push(0, job(name("__consumer_offsets", 0)));
        queue.push(1, job(name("t", 3)));
        queue
    }

    fn order(queue: &OpeningQueue, dir: usize) -> Vec<String> {
        let taken = std::iter::from_fn(|| queue.next(dir));
        taken.map(|job| format!("{}-{}", job.name.topic, job.name.partition)).collect()
    }

    #[test]
    fn what_is_asked_for_is_next_then_internal_topics_then_the_rest() {
        let queue = queue();
        queue.want(&name("t", 2));
        queue.want(&name("t", 3));
        queue.want(&name("t", 1));
        queue.want(&name("t", 2));
        queue.want(&name("u", 0));
        assert_eq!(queue.waiting(), [4, 1]);
        assert_eq!(order(&queue, 0), ["t-2", "t-1", "__consumer_offsets-0", "t-0"]);
        assert_eq!(order(&queue, 1), ["t-3"], "each dir has its own threads");
        assert_eq!(order(&queue, 2), [""; 0]);
        assert_eq!(queue.progress(), (0, 5));
    }

    #[test]
    fn what_is_forgotten_is_not_opened_and_what_is_being_opened_is_waited_for() {
        let queue = Arc::new(queue());
        queue.want(&name("t", 0));
        let running = queue.next(0).unwrap().name;
        assert_eq!(running, name("t", 0));
        queue.forget(&[name("t", 1)]);
        assert_eq!(queue.progress(), (1, 5));
        let forgetting = {
            let queue = Arc::clone(&queue);
            std::thread::spawn(move || queue.forget(&[name("t", 0), name("t", 2)]))
        };
        while queue.waiting()[0] > 1 {
            std::thread::yield_now();
        }
        assert!(!forgetting.is_finished());
        queue.done(&running);
        forgetting.join().unwrap();
        assert_eq!(order(&queue, 0), ["__consumer_offsets-0"]);
    }

    #[test]
    fn a_closed_queue_gives_nothing() {
        let queue = queue();
        queue.close();
        assert_eq!(order(&queue, 0), [""; 0]);
    }
}
