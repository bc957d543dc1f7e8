//! One connection: one task that reads what has come in, processes whole frames in order, and writes the answers that
//! are ready in one call.
//!
//! ```text
//! socket -> buffer -> frames -> dispatcher -> queue of answers (ready | waiting) -> out queue -> socket
//! ```

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until};

use super::NetLimits;
use super::budget::{Budget, Permit};
use super::out::{OutQueue, Wrote};
use crate::dispatch::{Answer, Closed, ConnectionInfo, Dispatcher, Reply, ReplyFuture};
use ottla_protocol::{FRAME_PREFIX_LEN, FrameError, frame_len, split_frame};

/// What one receive asks for at most; a larger frame is then read into an allocation of its own.
const READ_LEN: usize = 64 * 1024;

/// A connection that had so many requests at once lets others go first.
const TURN_FRAMES: usize = 50;

/// How long a stopping broker waits for parked answers.
const DRAIN: Duration = Duration::from_millis(500);

/// Why a connection ended, for its one debug line.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectionEnd {
    #[error("the peer closed it")]
    Peer,
    #[error("idle for too long")]
    Idle,
    #[error("the broker is stopping")]
    Stopping,
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Request(#[from] Closed),
    #[error(transparent)]
    Io(#[from] io::Error),
}

enum Slot {
    Ready(Answer),
    /// Still waiting; `true` if the next request waits for it too.
    Waiting(ReplyFuture<Result<Answer, Closed>>, bool),
}

/// The state of one connection.
pub(super) struct Connection {
    stream: TcpStream,
    info: Arc<ConnectionInfo>,
    dispatcher: Arc<Dispatcher>,
    limits: NetLimits,
    budget: Budget,
    buffer: BytesMut,
    permit: Option<Permit>,
    queue: VecDeque<Slot>,
    out: OutQueue,
    last_activity: Instant,
    /// When the broker stops: what is parked may still be answered until then.
    drain_until: Option<Instant>,
}

impl Connection {
    pub(super) fn new(
        stream: TcpStream,
        info: ConnectionInfo,
        dispatcher: Arc<Dispatcher>,
        limits: NetLimits,
        budget: Budget,
    ) -> Self {
        Self {
            stream,
            info: Arc::new(info),
            dispatcher,
            out: OutQueue::new(limits.sendfile_min_len),
            limits,
            budget,
            buffer: BytesMut::new(),
            permit: None,
            queue: VecDeque::new(),
            last_activity: Instant::now(),
            drain_until: None,
        }
    }

    pub(super) fn peer(&self) -> SocketAddr {
        self.info.peer
    }

    /// Serves the connection until it ends. `stop` turning true lets parked answers out and then ends it.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) -> ConnectionEnd {
        let mut idle = Box::pin(sleep_until(self.idle_deadline()));
        loop {
            if let Err(end) = self.turn(&mut stop, idle.as_mut()).await {
                return end;
            }
        }
    }

    /// Does all that can be done at once, then waits for one event.
    async fn turn(
        &mut self,
        stop: &mut watch::Receiver<bool>,
        mut idle: Pin<&mut Sleep>,
    ) -> Result<(), ConnectionEnd> {
        if self.drain_until.is_none() && stop.has_changed().unwrap_or(true) {
            // Asked here and not only below: where the socket always has more to read, nothing else is looked at.
            self.drain_until = Some(Instant::now() + DRAIN);
        }
        let processed = self.process_frames()?;
        self.collect_ready();
        if self.out.write(&self.stream)? == Wrote::Turn {
            tokio::task::yield_now().await;
            return Ok(());
        }
        if self.is_drained() {
            return Err(ConnectionEnd::Stopping);
        }
        if processed >= TURN_FRAMES {
            // There may be as many more. Only this lets the runtime look at the other sockets, too: whoever is always
            // ready would else keep a worker, and with it the runtime's ear, for seconds.
            tokio::task::yield_now().await;
        }
        if self.may_process() && self.has_whole_frame()? {
            // Answers have left since the last frame was put off: the socket may stay silent until the next answer.
            tokio::task::coop::consume_budget().await;
            return Ok(());
        }
        let reading = self.may_process();
        tokio::select! {
            biased;
            answer = head_answer(&mut self.queue) => {
                self.queue.pop_front();
                self.out.push(answer?);
            }
            ready = self.stream.writable(), if !self.out.is_empty() => ready?,
            ready = self.stream.readable(), if reading => {
                ready?;
                self.read().await?;
            }
            _ = stop.changed(), if self.drain_until.is_none() => {
                self.drain_until = Some(Instant::now() + DRAIN);
            }
            () = sleep_until(self.drain_until.unwrap_or_else(Instant::now)), if self.drain_until.is_some() => {}
            () = idle.as_mut() => {
                let deadline = self.idle_deadline();
                if deadline <= Instant::now() && self.queue.is_empty() {
                    return Err(ConnectionEnd::Idle);
                }
                idle.reset(deadline.max(Instant::now() + Duration::from_secs(1)));
            }
        }
        Ok(())
    }

    /// Whether a stopping broker owes this connection nothing more, or no more time.
    fn is_drained(&self) -> bool {
        let nothing_left = self.queue.is_empty() && self.out.is_empty();
        self.drain_until.is_some_and(|until| nothing_left || Instant::now() >= until)
    }

    fn idle_deadline(&self) -> Instant {
        self.last_activity + self.limits.idle_timeout
    }

    /// Whether another request may be taken on: bounded answers, both waiting and unsent, and nothing ordered before it
    /// still in work.
    fn may_process(&self) -> bool {
        self.drain_until.is_none()
            && self.queue.len() < self.limits.unanswered_max
            && self.out.has_room()
            && !matches!(self.queue.back(), Some(Slot::Waiting(_, true)))
    }

    /// Processes what has come in whole; gives how many requests that were.
    fn process_frames(&mut self) -> Result<usize, ConnectionEnd> {
        let mut processed = 0;
        while self.may_process() {
            let Some(frame) = split_frame(&mut self.buffer, self.limits.frame_max_len)? else {
                break;
            };
            processed += 1;
            let reply = self.dispatcher.dispatch(&self.info, frame);
            self.permit = None;
            match reply {
                Reply::Ready(answer) => self.queue.push_back(Slot::Ready(answer?)),
                Reply::Parked(future) => self.queue.push_back(Slot::Waiting(future, false)),
                Reply::Ordered(future) => self.queue.push_back(Slot::Waiting(future, true)),
                Reply::Silent => {}
                Reply::Close => return Err(Closed::Unanswerable.into()),
            }
        }
        if self.buffer.is_empty() {
            // An idle connection holds no buffer; the allocator gives the same warm one back.
            self.buffer = BytesMut::new();
        }
        Ok(processed)
    }

    fn collect_ready(&mut self) {
        while let Some(Slot::Ready(_)) = self.queue.front() {
            if let Some(Slot::Ready(answer)) = self.queue.pop_front() {
                self.out.push(answer);
            }
        }
    }

    fn has_whole_frame(&self) -> Result<bool, FrameError> {
        let len = frame_len(&self.buffer, self.limits.frame_max_len)?;
        Ok(len.is_some_and(|len| self.buffer.len() >= len + FRAME_PREFIX_LEN))
    }

    /// Bytes that the frame at the front of the buffer still lacks; 0 while its length is not known.
    fn missing_len(&self) -> Result<usize, FrameError> {
        let whole =
            frame_len(&self.buffer, self.limits.frame_max_len)?.map_or(0, |len| len + FRAME_PREFIX_LEN);
        Ok(whole.saturating_sub(self.buffer.len()))
    }

    async fn read(&mut self) -> Result<(), ConnectionEnd> {
        let missing = self.missing_len()?;
        if missing > READ_LEN && self.permit.is_none() {
            self.permit = Some(self.budget.acquire(missing).await);
        }
        self.buffer.reserve(missing.max(READ_LEN));
        match self.stream.try_read_buf(&mut self.buffer) {
            Ok(0) => Err(ConnectionEnd::Peer),
            Ok(_) => {
                self.last_activity = Instant::now();
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The answer at the head of the queue, once it is there; never, if the queue is empty. Cancel safe: the future stays
/// in the queue.
async fn head_answer(queue: &mut VecDeque<Slot>) -> Result<Answer, Closed> {
    std::future::poll_fn(|context| match queue.front_mut() {
        Some(Slot::Waiting(future, _)) => future.as_mut().poll(context),
        _ => Poll::Pending,
    })
    .await
}
