//! What a handler gives back: an answer now, or a future of one.

use std::future::Future;
use std::pin::Pin;

use tracing::{Instrument as _, Span};

/// A boxed future that a connection polls until its answer is there.
pub(crate) type ReplyFuture<T> = Pin<Box<dyn Future<Output = T> + Send + 'static>>;

/// A handler's result. Requests of one connection are processed in order and answered in order; the variants say what
/// the next request of the same connection waits for.
pub(crate) enum Reply<T> {
    /// The answer is ready.
    Ready(T),
    /// The request is processed, its answer waits for something (a high watermark, more bytes, a rebalance). The next
    /// request of the connection is processed meanwhile.
    Parked(ReplyFuture<T>),
    /// The request is still being processed; the next request of the connection waits for its end.
    Ordered(ReplyFuture<T>),
    /// No answer is sent (Produce with acks=0).
    Silent,
    /// The connection is closed: how Kafka reports an error where no answer can be sent.
    Close,
}

impl<T> Reply<T> {
    /// A request whose processing waits (a raft commit, a file operation).
    pub(crate) fn ordered(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self::Ordered(Box::pin(future))
    }

    /// A processed request whose answer waits.
    pub(crate) fn parked(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self::Parked(Box::pin(future))
    }

    /// The same reply, whose future runs in `span`.
    pub(crate) fn instrumented(self, span: Span) -> Self
    where
        T: 'static,
    {
        if span.is_disabled() {
            return self;
        }
        match self {
            Self::Parked(future) => Self::Parked(Box::pin(future.instrument(span))),
            Self::Ordered(future) => Self::Ordered(Box::pin(future.instrument(span))),
            done => done,
        }
    }

    /// The answer, for who waits for it himself; `None` if there is none.
    pub(crate) async fn answer(self) -> Option<T> {
        match self {
            Self::Ready(answer) => Some(answer),
            Self::Parked(future) | Self::Ordered(future) => Some(future.await),
            Self::Silent | Self::Close => None,
        }
    }

    /// The same reply with its answer turned into another type.
    pub(crate) fn map<U>(self, turn: impl FnOnce(T) -> U + Send + 'static) -> Reply<U>
    where
        T: 'static,
    {
        match self {
            Self::Ready(answer) => Reply::Ready(turn(answer)),
            Self::Parked(future) => Reply::Parked(Box::pin(async move { turn(future.await) })),
            Self::Ordered(future) => Reply::Ordered(Box::pin(async move { turn(future.await) })),
            Self::Silent => Reply::Silent,
            Self::Close => Reply::Close,
        }
    }
}

impl<T> std::fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ready(_) => "Ready",
            Self::Parked(_) => "Parked",
            Self::Ordered(_) => "Ordered",
            Self::Silent => "Silent",
            Self::Close => "Close",
        })
    }
}
