//! The answers of one connection on their way out: bytes are gathered, small file slices are copied in beside them,
//! large ones leave by sendfile.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;

use bytes::Bytes;
use ottla_protocol::fetch::{RecordsSlice, Segment};
use rustix::net::SendFlags;
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::gather::Gather;
use super::slice::LogSlice;
use crate::dispatch::Answer;

/// Bytes sent in one turn before other connections of the worker get theirs.
const TURN_LEN: usize = 1024 * 1024;
/// Segments that wait for a reader that does not read.
const SEGMENTS_MAX: usize = 1_000;
/// Sendfile is cheapest from a page boundary on; the bytes before it are copied.
const PAGE_LEN: u64 = 4096;

/// A queue of segments, written in order.
#[derive(Debug)]
pub(super) struct OutQueue {
    segments: VecDeque<Segment<LogSlice>>,
    /// Bytes of the segments that are in memory.
    held_len: usize,
    gathered: Gather,
    /// Bytes sent since [`Self::take_sent_len`].
    sent_len: usize,
    /// Slices of at least this many bytes leave by sendfile; 0 turns sendfile off.
    sendfile_min_len: usize,
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
}

impl OutQueue {
    pub(super) fn new(sendfile_min_len: usize) -> Self {
        Self {
            segments: VecDeque::new(),
            held_len: 0,
            gathered: Gather::default(),
            sent_len: 0,
            sendfile_min_len,
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

    /// Sends until the socket is full, the queue empty or the turn used up.
    pub(super) fn write(&mut self, stream: &TcpStream) -> io::Result<Wrote> {
        let mut sent_len = 0;
        loop {
            self.gather()?;
            let sent = if !self.gathered.is_empty() {
                self.send_gathered(stream)
            } else if self.segments.is_empty() {
                return Ok(Wrote::All);
            } else {
                self.send_file(stream)
            };
            match sent {
                Ok(len) => {
                    sent_len += len;
                    self.sent_len += len;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.gathered.park();
                    return Ok(Wrote::Full);
                }
                Err(error) => return Err(error),
            }
            if sent_len >= TURN_LEN && !self.is_empty() {
                return Ok(Wrote::Turn);
            }
        }
    }

    /// Moves segments from the front into one buffer, up to a slice that leaves by sendfile.
    fn gather(&mut self) -> io::Result<()> {
        while self.gathered.room() > 0 {
            match self.segments.pop_front() {
                None => return Ok(()),
                Some(Segment::Bytes(bytes)) => self.gather_bytes(bytes),
                Some(Segment::File(slice)) => {
                    if self.gather_slice(slice)? {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    fn gather_bytes(&mut self, mut bytes: Bytes) {
        let head = bytes.split_to(self.gathered.room().min(bytes.len()));
        self.gathered.grow(head.len()).copy_from_slice(&head);
        self.held_len = self.held_len.saturating_sub(head.len());
        if !bytes.is_empty() {
            self.segments.push_front(Segment::Bytes(bytes));
        }
    }

    /// Copies a slice's bytes in, or only those before a page boundary when the rest leaves by sendfile (then true).
    fn gather_slice(&mut self, slice: LogSlice) -> io::Result<bool> {
        let by_sendfile = self.leaves_by_sendfile(&slice);
        let copy_len = if by_sendfile {
            usize::try_from(slice.position().next_multiple_of(PAGE_LEN) - slice.position()).unwrap_or(0)
        } else {
            slice.len()
        };
        let room = self.gathered.room();
        let (head, tail) = slice.split_at(copy_len.min(room));
        if let Err(error) = head.read_into(self.gathered.grow(head.len())) {
            self.gathered.shrink(head.len());
            return Err(error);
        }
        if !tail.is_empty() {
            self.segments.push_front(Segment::File(tail));
        }
        Ok(by_sendfile && copy_len <= room)
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
        Ok(sent)
    }

    fn send_file(&mut self, stream: &TcpStream) -> io::Result<usize> {
        let Some(Segment::File(slice)) = self.segments.front_mut() else {
            return Ok(0);
        };
        let Some(fd) = slice.fd() else {
            return Err(io::Error::other("a slice without a descriptor cannot leave by sendfile"));
        };
        let mut position = slice.position();
        let len = slice.len().min(TURN_LEN);
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
        if rest.is_empty() {
            self.segments.pop_front();
        } else {
            *slice = rest;
        }
        Ok(sent)
    }
}
