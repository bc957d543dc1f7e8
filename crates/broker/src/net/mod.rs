//! Sockets: the listener, one task a connection, answers out by gathered writes and sendfile.

mod admission;
mod bind;
mod conn;
mod connection_rate;
mod gather;
mod intake;
mod listener;
mod out;
#[cfg(test)]
mod out_tests;
mod sends;
mod slice;
mod spare;
mod unread;

use std::time::Duration;

pub(crate) use admission::Admission;
pub(crate) use listener::Listener;
pub(crate) use slice::LogSlice;

/// What bounds one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NetLimits {
    /// `socket.request.max.bytes`.
    pub frame_max_len: usize,
    /// Requests of one connection that are processed and not answered, at most.
    pub unanswered_max: usize,
    /// Slices of at least this many bytes leave by sendfile; 0 turns sendfile off.
    pub sendfile_min_len: usize,
    /// `connections.max.idle.ms`.
    pub idle_timeout: Duration,
    /// `ottla.memory.stall.timeout.ms`.
    pub stall_timeout: Duration,
    /// `ottla.slow.request.ms`: requests that take longer are logged.
    pub slow_after: Option<Duration>,
}
