//! The buffer in which small parts of answers are put together for one send.
//!
//! A worker hands the same warm and initialised buffer from connection to connection: making one anew for each answer
//! would cost more than what is copied into it.

use std::cell::Cell;

/// Bytes gathered for one send before the socket is asked to take them.
pub(super) const GATHER_LEN: usize = 256 * 1024;

thread_local! {
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Bytes that wait to be sent. Without any, it holds no memory.
///
/// ```text
/// 0 ..... start ..... end ..... bytes.len()
///   sent  |   waiting  |   room
/// ```
#[derive(Debug, Default)]
pub(super) struct Gather {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Gather {
    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(super) fn waiting(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Bytes that still fit behind those that wait.
    pub(super) fn room(&self) -> usize {
        if self.is_empty() { GATHER_LEN } else { self.bytes.len() - self.end }
    }

    /// The next `len` bytes, to be written over; no more than there is room for.
    pub(super) fn grow(&mut self, len: usize) -> &mut [u8] {
        if self.bytes.is_empty() && len > 0 {
            self.bytes = SPARE.take();
            if self.bytes.is_empty() {
                self.bytes = vec![0; GATHER_LEN];
            }
        }
        let from = self.end;
        self.end += len;
        &mut self.bytes[from..self.end]
    }

    /// Takes back the last `len` bytes of what [`Self::grow`] gave.
    pub(super) fn shrink(&mut self, len: usize) {
        self.end -= len;
    }

    /// `len` bytes were sent.
    pub(super) fn sent(&mut self, len: usize) {
        self.start += len;
        if self.is_empty() {
            let bytes = std::mem::take(self).bytes;
            // What a slow connection kept for itself is of another length.
            if bytes.len() == GATHER_LEN {
                SPARE.set(bytes);
            }
        }
    }

    /// The socket takes no more for now: what waits is kept in no more memory than it needs.
    pub(super) fn park(&mut self) {
        if !self.is_empty() && self.bytes.len() == GATHER_LEN {
            let waiting = self.waiting().to_vec();
            let end = waiting.len();
            SPARE.set(std::mem::replace(self, Self { bytes: waiting, start: 0, end }).bytes);
        }
    }
}
