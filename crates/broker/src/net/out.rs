//! The answers of one connection on their way out: bytes are gathered, small file slices are copied in beside them,
//! large ones leave by sendfile. What is on the disk only is not waited for here: whoever writes has it read first.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use bytes::Bytes;
use ottla_protocol::fetch::{RecordsSlice, Segment};
use ottla_storage::FileSlice;
use rustix::net::SendFlags;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::gather::Gather;
use super::slice::LogSlice;
use crate::dispatch::Answer;

/// Bytes sent in one turn before other connections of the worker get theirs.
const TURN_LEN: usize = 1024 * 1024;
/// Segments that wait for a reader that does not read.
const SEGMENTS_MAX: usize = 1_000;
/// Sendfile is cheapest from a page boundary on; the bytes before it are copied.
const PAGE_LEN: u64 = 4096;
/// How long what was in memory is taken to be there still.
const CACHED_FOR: Duration = Duration::from_secs(1);

/// A queue of segments, written in order.
#[derive(Debug)]
pub(super) struct OutQueue {
    segments: VecDeque<Segment<LogSlice>>,
    /// Bytes of the segments that are in memory.
    held_len: usize,
    gathered: Gather,
    /// What the gathered bytes are, and how many of them have been sent.
    parts: VecDeque<Segment<LogSlice>>,
    parts_sent_len: usize,
    /// Bytes sent since [`Self::take_sent_len`].
    sent_len: usize,
    /// Slices of at least this many bytes leave by sendfile; 0 turns sendfile off.
    sendfile_min_len: usize,
    cached: Cached,
    /// The socket keeps what does not fill a packet for what follows.
    is_corked: bool,
}

/// Bytes of files at the front of the queue that were found in memory, or brought there, a moment ago.
#[derive(Debug, Default)]
struct Cached {
    len: usize,
    seen: Option<Instant>,
}

impl Cached {
    fn of(len: usize) -> Self {
        Self { len, seen: Some(Instant::now()) }
    }

    fn has(&self, len: usize) -> bool {
        self.len >= len
    }

    fn take(&mut self, len: usize) {
        self.len = self.len.saturating_sub(len);
    }

    fn forget_old(&mut self) {
        if self.len > 0 && self.seen.is_none_or(|seen| seen.elapsed() > CACHED_FOR) {
            self.len = 0;
        }
    }
}

/// What comes after what has been gathered.
enum Next {
    /// Nothing, or the buffer is full.
    Nothing,
    Sendfile,
    /// What is on the disk only.
    OnDisk,
}

/// How a turn of writing ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrote {
    /// Nothing is left to send.
    All,
    /// The socket takes no more now.
    Full,
    /// The turn is used up; more can be sent.
    Turn,
    /// What is next must be read from the disk first: [`OutQueue::lacks`].
    OnDisk,
}

impl OutQueue {
    pub(super) fn new(sendfile_min_len: usize) -> Self {
        Self {
            segments: VecDeque::new(),
            held_len: 0,
            gathered: Gather::default(),
            parts: VecDeque::new(),
            parts_sent_len: 0,
            sent_len: 0,
            sendfile_min_len,
            cached: Cached::default(),
            is_corked: false,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty() && self.gathered.is_empty()
    }

    /// Whether another answer may be made before some of these have left, where they may have `held_len_max` bytes in
    /// memory.
    pub(super) fn has_room(&self, held_len_max: usize) -> bool {
        self.segments.len() < SEGMENTS_MAX && self.held_len < held_len_max
    }

    /// Bytes of memory that wait to be sent.
    pub(super) fn held_len(&self) -> usize {
        self.held_len + self.gathered.waiting().len()
    }

    /// Bytes sent since the last call.
    pub(super) fn take_sent_len(&mut self) -> usize {
        std::mem::take(&mut self.sent_len)
    }

    pub(super) fn push(&mut self, answer: Answer) {
        for segment in answer.segments {
            if let Segment::Bytes(bytes) = &segment {
                self.held_len += bytes.len();
            }
            self.segments.push_back(segment);
        }
    }

    /// Sends until the socket is full, the queue empty or the turn used up. What was read of files for a socket that took
    /// no more is kept if `may_hold`, and else read again later.
    pub(super) fn write(&mut self, stream: &TcpStream, may_hold: bool) -> io::Result<Wrote> {
        let wrote = self.write_on(stream, may_hold)?;
        if wrote != Wrote::Turn {
            self.cork(stream, false)?;
        }
        Ok(wrote)
    }

    fn write_on(&mut self, stream: &TcpStream, may_hold: bool) -> io::Result<Wrote> {
        let mut sent_len = 0;
        self.cached.forget_old();
        loop {
            let next = self.gather()?;
            let sent = if !self.gathered.is_empty() {
                self.send_gathered(stream)
            } else {
                match next {
                    Next::Nothing => return Ok(Wrote::All),
                    Next::OnDisk => return Ok(Wrote::OnDisk),
                    Next::Sendfile if !self.front_is_cached()? => return Ok(Wrote::OnDisk),
                    Next::Sendfile => self.send_file(stream),
                }
            };
            match sent {
                Ok(len) => {
                    sent_len += len;
                    self.sent_len += len;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if may_hold {
                        self.gathered.park();
                    } else {
                        self.scatter();
                    }
                    return Ok(Wrote::Full);
                }
                Err(error) => return Err(error),
            }
            if sent_len >= TURN_LEN && !self.is_empty() {
                return Ok(Wrote::Turn);
            }
        }
    }

    /// What to read from the disk before more is written: the next slices, as much as leaves in one turn.
    pub(super) fn lacks(&self) -> Vec<FileSlice> {
        let mut left = TURN_LEN;
        let mut lacks = Vec::new();
        for segment in &self.segments {
            if left == 0 {
                break;
            }
            if let Segment::File(slice) = segment {
                let slice = slice.split_at(left).0;
                left -= slice.len();
                lacks.push(slice.0);
            }
        }
        lacks
    }

    /// `len` bytes of [`Self::lacks`] have been read.
    pub(super) fn warmed(&mut self, len: usize) {
        self.cached = Cached::of(len);
    }

    /// Moves segments from the front into one buffer, up to a slice that leaves by sendfile or must be read first.
    fn gather(&mut self) -> io::Result<Next> {
        while self.gathered.room() > 0 {
            match self.segments.pop_front() {
                None => return Ok(Next::Nothing),
                Some(Segment::Bytes(bytes)) => self.gather_bytes(bytes),
                Some(Segment::File(slice)) => {
                    if let Some(next) = self.gather_slice(slice)? {
                        return Ok(next);
                    }
                }
            }
        }
        Ok(Next::Nothing)
    }

    fn gather_bytes(&mut self, mut bytes: Bytes) {
        let head = bytes.split_to(self.gathered.room().min(bytes.len()));
        self.gathered.grow(head.len()).copy_from_slice(&head);
        self.held_len = self.held_len.saturating_sub(head.len());
        self.parts.push_back(Segment::Bytes(head));
        if !bytes.is_empty() {
            self.segments.push_front(Segment::Bytes(bytes));
        }
    }

    /// Copies a slice's bytes in, or only those before a page boundary when the rest leaves by sendfile; what comes next
    /// if that is the end of gathering.
    fn gather_slice(&mut self, slice: LogSlice) -> io::Result<Option<Next>> {
        let by_sendfile = self.leaves_by_sendfile(&slice);
        let copy_len = if by_sendfile {
            usize::try_from(slice.position().next_multiple_of(PAGE_LEN) - slice.position()).unwrap_or(0)
        } else {
            slice.len()
        };
        let room = self.gathered.room();
        let (head, tail) = slice.split_at(copy_len.min(room));
        let buf = self.gathered.grow(head.len());
        let read = if self.cached.has(head.len()) { head.read_into(buf) } else { head.read_cached_into(buf) };
        if let Err(error) = read {
            self.gathered.shrink(head.len());
            if error.kind() != io::ErrorKind::WouldBlock {
                return Err(error);
            }
            self.segments.push_front(Segment::File(slice));
            return Ok(Some(Next::OnDisk));
        }
        self.cached.take(head.len());
        if !head.is_empty() {
            self.parts.push_back(Segment::File(head));
        }
        if !tail.is_empty() {
            self.segments.push_front(Segment::File(tail));
        }
        Ok((by_sendfile && copy_len <= room).then_some(Next::Sendfile))
    }

    fn leaves_by_sendfile(&self, slice: &LogSlice) -> bool {
        self.sendfile_min_len != 0 && slice.len() >= self.sendfile_min_len && slice.fd().is_some()
    }

    fn send_gathered(&mut self, stream: &TcpStream) -> io::Result<usize> {
        let flags = if self.segments.is_empty() {
            SendFlags::NOSIGNAL
        } else {
            SendFlags::NOSIGNAL | SendFlags::MORE
        };
        let sent = stream.try_io(Interest::WRITABLE, || {
            rustix::net::send(stream.as_fd(), self.gathered.waiting(), flags).map_err(io::Error::from)
        })?;
        self.gathered.sent(sent);
        self.parts_sent_len += sent;
        if self.gathered.is_empty() {
            self.parts.clear();
            self.parts_sent_len = 0;
        }
        Ok(sent)
    }

    /// Undoes the gathering of what has not been sent.
    fn scatter(&mut self) {
        self.gathered.sent(self.gathered.waiting().len());
        let mut sent_len = std::mem::take(&mut self.parts_sent_len);
        let mut parts = std::mem::take(&mut self.parts);
        while let Some(part) = parts.pop_front_if(|part| len_of(part) <= sent_len) {
            sent_len -= len_of(&part);
        }
        if let Some(part) = parts.pop_front() {
            parts.push_front(match part {
                Segment::Bytes(bytes) => Segment::Bytes(bytes.slice(sent_len..)),
                Segment::File(slice) => Segment::File(slice.split_at(sent_len).1),
            });
        }
        while let Some(part) = parts.pop_back() {
            if let Segment::Bytes(bytes) = &part {
                self.held_len += bytes.len();
            }
            self.segments.push_front(part);
        }
    }

    /// Whether what would leave by sendfile next is in memory: sendfile itself would wait for the disk.
    fn front_is_cached(&mut self) -> io::Result<bool> {
        let Some(Segment::File(slice)) = self.segments.front() else { return Ok(true) };
        if self.cached.has(1) {
            // So much of it leaves, and then it is asked again.
            return Ok(true);
        }
        let head = slice.split_at(TURN_LEN).0;
        let is_cached = head.is_cached()?;
        if is_cached {
            self.cached = Cached::of(head.len());
        }
        Ok(is_cached)
    }

    fn cork(&mut self, stream: &TcpStream, on: bool) -> io::Result<()> {
        if self.is_corked != on {
            rustix::net::sockopt::set_tcp_cork(stream.as_fd(), on)?;
            self.is_corked = on;
        }
        Ok(())
    }

    fn send_file(&mut self, stream: &TcpStream) -> io::Result<usize> {
        if self.segments.len() > 1 {
            // Sendfile itself cannot say that there is more: what follows would be a packet of its own, and its reader
            // would be woken twice.
            self.cork(stream, true)?;
        }
        let Some(Segment::File(slice)) = self.segments.front_mut() else {
            return Ok(0);
        };
        let Some(fd) = slice.fd() else {
            return Err(io::Error::other("a slice without a descriptor cannot leave by sendfile"));
        };
        let mut position = slice.position();
        let len = slice.len().min(TURN_LEN).min(self.cached.len);
        let sent = stream.try_io(Interest::WRITABLE, || {
            rustix::fs::sendfile(stream.as_fd(), fd, Some(&mut position), len).map_err(io::Error::from)
        })?;
        if sent == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "a log segment is shorter than the slice of it",
            ));
        }
        let rest = slice.split_at(sent).1;
        self.cached.take(sent);
        if rest.is_empty() {
            self.segments.pop_front();
        } else {
            *slice = rest;
        }
        Ok(sent)
    }
}

pub(super) fn len_of(segment: &Segment<LogSlice>) -> usize {
    match segment {
        Segment::Bytes(bytes) => bytes.len(),
        Segment::File(slice) => slice.len(),
    }
}
