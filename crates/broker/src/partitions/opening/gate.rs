//! What stands in the registry for a replica whose log is not open yet, and how requests wait for it.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use ottla_model::TopicPartition;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::OpeningQueue;
use crate::dispatch::Reply;

/// A log that is to be opened. Whoever waits for it goes on when this is dropped.
#[derive(Debug)]
pub(crate) struct Gate {
    name: TopicPartition,
    asked: AtomicBool,
    queue: Arc<OpeningQueue>,
    over: watch::Sender<()>,
}

impl Gate {
    pub(crate) fn new(name: TopicPartition, queue: Arc<OpeningQueue>) -> Self {
        Self { name, asked: AtomicBool::new(false), queue, over: watch::Sender::new(()) }
    }

    pub(crate) fn name(&self) -> &TopicPartition {
        &self.name
    }

    /// Somebody asks for the log: it goes to the front.
    pub(crate) fn want(&self) {
        if !self.asked.swap(true, Ordering::Relaxed) {
            self.queue.want(&self.name);
        }
    }

    /// To wait with.
    pub(crate) fn opening(&self) -> Opening {
        Opening(self.over.subscribe())
    }
}

/// The opening of a log.
#[derive(Debug)]
pub(crate) struct Opening(watch::Receiver<()>);

impl Opening {
    /// Ends when the log is open, or never will be.
    async fn over(mut self) {
        while self.0.changed().await.is_ok() {}
    }
}

/// Waits until all are over, or the time is up.
pub(crate) async fn all_over(openings: Vec<Opening>, deadline: Instant) {
    let all = async {
        for opening in openings {
            opening.over().await;
        }
    };
    let _ = timeout_at(deadline, all).await;
}

/// Waits until one of them is over; for ever, if there is none.
pub(crate) async fn any_over(openings: Vec<Opening>) {
    let mut openings: Vec<_> = openings.into_iter().map(|opening| Box::pin(opening.over())).collect();
    poll_fn(|context| {
        let is_over = openings.iter_mut().any(|opening| opening.as_mut().poll(context).is_ready());
        if is_over { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Answers at once where nothing is still to be opened; else when all of it is, or after `limit`.
pub(crate) fn when_open<T: Send + 'static>(
    openings: Vec<Opening>,
    limit: Duration,
    answer: impl FnOnce() -> T + Send + 'static,
) -> Reply<T> {
    if openings.is_empty() {
        return Reply::Ready(answer());
    }
    let deadline = Instant::now() + limit;
    Reply::ordered(async move {
        all_over(openings, deadline).await;
        answer()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gates() -> (Gate, Gate) {
        let queue = Arc::new(OpeningQueue::default());
        let gate = |partition| Gate::new(TopicPartition::new("t", partition), Arc::clone(&queue));
        (gate(0), gate(1))
    }

    #[tokio::test]
    async fn who_waits_goes_on_when_all_are_open_or_the_time_is_up() {
        let (one, other) = gates();
        let limit = Duration::from_secs(60);
        let Reply::Ordered(mut answer) = when_open(vec![one.opening(), other.opening()], limit, || 1) else {
            panic!("two logs are not open");
        };
        drop(one);
        assert!(futures_pending(&mut answer).await);
        drop(other);
        assert_eq!(answer.await, 1);
        let (one, _other) = gates();
        let limit = Duration::from_millis(1);
        let Reply::Ordered(answer) = when_open(vec![one.opening()], limit, || 2) else { panic!() };
        assert_eq!(answer.await, 2, "the time is up");
        assert!(matches!(when_open(Vec::new(), limit, || 3), Reply::Ready(3)));
    }

    #[tokio::test]
    async fn one_of_several_is_enough_for_who_waits_for_any() {
        let (one, other) = gates();
        let mut waiting = Box::pin(any_over(vec![one.opening(), other.opening()]));
        assert!(futures_pending(&mut waiting).await);
        drop(other);
        waiting.await;
    }

    async fn futures_pending<F: Future + Unpin>(future: &mut F) -> bool {
        poll_fn(|context| Poll::Ready(std::pin::Pin::new(&mut *future).poll(context).is_pending())).await
    }
}
