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

use bytes::{BufMut, BytesMut};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until};

use super::NetLimits;
use super::intake::{Intake, LARGE_READ_LEN, READ_LEN};
use super::out::{OutQueue, Wrote};
use super::sends::Sends;
use super::spare;
use super::unread::Unread;
use crate::cold_reads::ColdReads;
use crate::dispatch::{Answer, Closed, ConnectionInfo, Dispatcher, Finished, Reply, ReplyFuture};
use crate::memory::{Charge, Memory};
use ottla_protocol::fetch::Segment;
use ottla_protocol::{FRAME_PREFIX_LEN, FrameError, frame_len, split_frame};

/// A connection that had so many requests at once lets others go first.
const TURN_FRAMES: usize = 50;

/// How long a stopping broker waits for parked answers.
const DRAIN: Duration = Duration::from_millis(500);

/// What a request that waits takes at least: its place, its future, its timer.
const PARKED_LEN: usize = 1024;

/// Why a connection ended, for its one debug line.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectionEnd {
    #[error("the peer closed it")]
    Peer,
    #[error("idle for too long")]
    Idle,
    #[error("memory for requests is short, and it keeps some and hardly sends")]
    SlowSender,
    #[error("memory for answers is short, and it keeps some and hardly reads")]
    SlowReader,
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
    Ready(Finished),
    Waiting(Waiting),
}

struct Waiting {
    answer: ReplyFuture<Result<Finished, Closed>>,
    /// The next request waits for it too.
    ordered: bool,
    _memory: Charge,
}

/// The state of one connection.
pub(super) struct Connection {
    stream: TcpStream,
    info: Arc<ConnectionInfo>,
    dispatcher: Arc<Dispatcher>,
    limits: NetLimits,
    memory: Arc<Memory>,
    buffer: BytesMut,
    intake: Intake,
    queue: VecDeque<Slot>,
    /// Bytes in memory of the answers in `queue`.
    queued_len: usize,
    out: OutQueue,
    sends: Sends,
    cold_reads: ColdReads,
    /// What the next answers lack is being read from the disk; so many bytes.
    warming: Option<(ReplyFuture<()>, usize)>,
    unread: Unread,
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
        memory: Arc<Memory>,
        cold_reads: ColdReads,
    ) -> Self {
        Self {
            stream,
            info: Arc::new(info),
            dispatcher,
            out: OutQueue::new(limits.sendfile_min_len),
            sends: Sends::default(),
            cold_reads,
            warming: None,
            intake: Intake::new(&memory.requests, limits.stall_timeout),
            unread: Unread::new(&memory.answers, limits.stall_timeout),
            limits,
            memory,
            buffer: BytesMut::new(),
            queue: VecDeque::new(),
            queued_len: 0,
            last_activity: Instant::now(),
            drain_until: None,
        }
    }

    pub(super) fn peer(&self) -> SocketAddr {
        self.info.peer
    }

    /// Serves the connection until it ends. `stop` turning true lets parked answers out and then ends it.
    pub(super) async fn run(mut self, stop: watch::Receiver<bool>) -> ConnectionEnd {
        let mut idle = Box::pin(sleep_until(self.idle_deadline()));
        // Waits from turn to turn: all connections wait at the same place, and coming and going there is not free.
        let mut changes = stop.clone();
        let mut stopping = Box::pin(async move {
            // A broker that is gone has stopped.
            let _ = changes.changed().await;
        });
        loop {
            if let Err(end) = self.turn(&stop, stopping.as_mut(), idle.as_mut()).await {
                return end;
            }
        }
    }

    /// Does all that can be done at once, then waits for one event.
    async fn turn(
        &mut self,
        stop: &watch::Receiver<bool>,
        mut stopping: Pin<&mut impl Future<Output = ()>>,
        mut idle: Pin<&mut Sleep>,
    ) -> Result<(), ConnectionEnd> {
        if self.drain_until.is_none() && stop.has_changed().unwrap_or(true) {
            // Asked here and not only below: where the socket always has more to read, nothing else is looked at.
            self.drain_until = Some(Instant::now() + DRAIN);
        }
        let processed = self.process_frames()?;
        self.collect_ready();
        let wrote = self.write()?;
        let sent_len = self.out.take_sent_len();
        self.sends.sent(sent_len, self.limits.slow_after, self.dispatcher.metrics(), self.info.peer);
        self.unread.settle(self.out.held_len() + self.queued_len, sent_len);
        if wrote == Wrote::Turn {
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
        if !reading {
            self.intake.leave_queue();
        }
        let check_at = self.intake.check_at().into_iter().chain(self.unread.check_at()).min();
        tokio::select! {
            biased;
            answer = head_answer(&mut self.queue) => {
                self.queue.pop_front();
                self.send(answer?);
            }
            ready = self.stream.writable(), if !self.out.is_empty() && self.warming.is_none() => ready?,
            len = warmed(&mut self.warming), if self.warming.is_some() => {
                self.warming = None;
                self.out.warmed(len);
                self.dispatcher.metrics().broker.fetched_from_disk(len);
                self.unread.kept_waiting();
            }
            ready = self.stream.readable(), if reading && !self.intake.waits() => {
                ready?;
                self.read()?;
            }
            () = self.intake.room(), if reading && self.intake.waits() => self.read()?,
            () = self.memory.answers.room(1), if self.memory.answers.is_full() => {}
            () = until(check_at), if check_at.is_some() => self.check_peer()?,
            () = stopping.as_mut(), if self.drain_until.is_none() => {
                self.drain_until = Some(Instant::now() + DRAIN);
            }
            () = until(self.drain_until), if self.drain_until.is_some() => {}
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

    /// Sends what can be sent without waiting for the disk; what cannot is being read afterwards.
    fn write(&mut self) -> io::Result<Wrote> {
        if self.warming.is_some() {
            return Ok(Wrote::OnDisk);
        }
        let wrote = self.out.write(&self.stream, !self.memory.answers.is_full())?;
        if wrote == Wrote::OnDisk {
            let lacks = self.out.lacks();
            let len = lacks.iter().map(|slice| slice.length as usize).sum();
            self.warming = Some((Box::pin(self.cold_reads.warm(lacks)), len));
        }
        Ok(wrote)
    }

    /// Sends a peer away that keeps memory and does not move, while others wait for it.
    fn check_peer(&mut self) -> Result<(), ConnectionEnd> {
        let now = Instant::now();
        if self.intake.is_slow(now) {
            return Err(ConnectionEnd::SlowSender);
        }
        if self.unread.is_slow(now) { Err(ConnectionEnd::SlowReader) } else { Ok(()) }
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
    /// still in work. Where too many requests wait, one of each connection may.
    fn may_process(&self) -> bool {
        self.drain_until.is_none()
            && self.queue.len() < self.limits.unanswered_max
            && self.out.has_room(self.unread.held_len_max().saturating_sub(self.queued_len))
            && !matches!(self.queue.back(), Some(Slot::Waiting(Waiting { ordered: true, .. })))
            && !self.memory.answers.is_full()
            && (self.queue.is_empty() || !self.memory.parked.is_full())
    }

    /// Processes what has come in whole; gives how many requests that were.
    fn process_frames(&mut self) -> Result<usize, ConnectionEnd> {
        let mut processed = 0;
        let mut now = None;
        while self.may_process() {
            let Some(frame) = split_frame(&mut self.buffer, self.limits.frame_max_len)? else {
                break;
            };
            processed += 1;
            let frame_len = frame.len();
            let began_at = now.take().unwrap_or_else(Instant::now);
            let reply = self.dispatcher.dispatch(&self.info, frame, self.last_activity, began_at);
            let waiting =
                |answer, ordered, memory| Slot::Waiting(Waiting { answer, ordered, _memory: memory });
            match reply {
                Reply::Ready(answer) => {
                    let finished = answer?;
                    now = Some(finished.request.answered_at);
                    if self.queue.is_empty() {
                        self.send(finished);
                    } else {
                        self.queued_len += held_len(&finished.answer);
                        self.queue.push_back(Slot::Ready(finished));
                    }
                }
                Reply::Parked(future) => {
                    let memory = self.memory.parked.charge(PARKED_LEN);
                    self.queue.push_back(waiting(future, false, memory));
                }
                Reply::Ordered(future) => {
                    let memory = self.memory.requests.charge(frame_len);
                    self.queue.push_back(waiting(future, true, memory));
                }
                Reply::Silent => {}
                Reply::Close => return Err(Closed::Unanswerable.into()),
            }
        }
        self.tidy_buffer();
        self.intake.settle(self.buffer.len(), processed > 0);
        Ok(processed)
    }

    /// A connection that waits holds no buffer, or one for the little that came.
    fn tidy_buffer(&mut self) {
        if self.buffer.is_empty() {
            spare::keep(std::mem::take(&mut self.buffer));
        } else if self.buffer.len() <= READ_LEN / 8 && self.buffer.capacity() >= READ_LEN / 2 {
            let little = BytesMut::from(&self.buffer[..]);
            let mut large = std::mem::replace(&mut self.buffer, little);
            large.clear();
            spare::keep(large);
        }
    }

    fn collect_ready(&mut self) {
        while let Some(Slot::Ready(_)) = self.queue.front() {
            if let Some(Slot::Ready(finished)) = self.queue.pop_front() {
                self.queued_len -= held_len(&finished.answer);
                self.send(finished);
            }
        }
    }

    fn send(&mut self, finished: Finished) {
        self.sends.push(finished.request, finished.answer.len);
        self.out.push(finished.answer);
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

    /// Receives what there is, if there is memory for it.
    fn read(&mut self) -> Result<(), ConnectionEnd> {
        let missing = self.missing_len()?;
        let Some(len) = self.intake.read_len(self.buffer.len(), missing) else { return Ok(()) };
        if self.buffer.capacity() == 0 {
            self.buffer = spare::take();
        }
        // Memory that nothing was written to yet costs nothing, and growing would cost copies.
        self.buffer.reserve(len.max(missing.min(LARGE_READ_LEN)));
        match self.stream.try_read_buf(&mut (&mut self.buffer).limit(len)) {
            Ok(0) => Err(ConnectionEnd::Peer),
            Ok(received) => {
                self.last_activity = Instant::now();
                self.intake.received(received);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Ends at a time; a timer is made only where somebody waits for it.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Bytes of an answer that are in memory; those of files cost nothing.
pub(super) fn held_len(answer: &Answer) -> usize {
    let held = answer.segments.iter().map(|segment| match segment {
        Segment::Bytes(bytes) => bytes.len(),
        Segment::File(_) => 0,
    });
    held.sum()
}

/// The answer at the head of the queue, once it is there; never, if the queue is empty. Cancel safe: the future stays
/// in the queue.
async fn head_answer(queue: &mut VecDeque<Slot>) -> Result<Finished, Closed> {
    std::future::poll_fn(|context| match queue.front_mut() {
        Some(Slot::Waiting(waiting)) => waiting.answer.as_mut().poll(context),
        _ => Poll::Pending,
    })
    .await
}

/// How many bytes have been read from the disk, once they have. Cancel safe.
async fn warmed(warming: &mut Option<(ReplyFuture<()>, usize)>) -> usize {
    match warming {
        Some((reading, len)) => {
            reading.as_mut().await;
            *len
        }
        None => std::future::pending().await,
    }
}
