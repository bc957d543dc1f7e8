//! A scrape as the body of an answer: made on a thread of its own, no faster than the peer takes it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::sync::{mpsc, oneshot};

use super::{Metrics, Names, openmetrics};

/// Pieces that wait for the socket.
const PIECES_MAX: usize = 2;

/// What comes of a scrape.
#[derive(Debug)]
enum Piece {
    Text(Bytes),
    /// Without it the text is not whole.
    End,
}

/// The answer ends too early: its connection is cut, so that nobody takes a part for the whole.
#[derive(Debug, thiserror::Error)]
#[error("the series cannot be read to the end")]
pub(super) struct Broken;

/// A body of pieces.
#[derive(Debug)]
pub(super) struct Pieces {
    from: mpsc::Receiver<Piece>,
    has_ended: bool,
}

impl Pieces {
    /// The series of this moment. They may be many, and lags are read off logs: clients' requests do not wait for that.
    /// `None`: they cannot be read.
    pub(super) async fn of(metrics: Arc<Metrics>, names: Names, open: bool) -> Option<Self> {
        let (to, from) = mpsc::channel(PIECES_MAX);
        let (begin, begun) = oneshot::channel();
        tokio::task::spawn_blocking(move || {
            let scrape = metrics.scrape(names);
            // A peer that is gone needs no more.
            let _ = begin.send(());
            let mut pieces = scrape.map(|text| if open { openmetrics::of(&text) } else { text });
            let send = |piece| to.blocking_send(piece).is_ok();
            if pieces.all(|text| send(Piece::Text(text.into())))
                && (!open || send(Piece::Text(Bytes::from_static(openmetrics::END.as_bytes()))))
            {
                send(Piece::End);
            }
        });
        begun.await.ok()?;
        Some(Self { from, has_ended: false })
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        Poll::Ready(match ready!(self.from.poll_recv(context)) {
            Some(Piece::Text(text)) => Some(Ok(Frame::data(text))),
            Some(Piece::End) => {
                self.has_ended = true;
                None
            }
            None => Some(Err(Broken)),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn what_breaks_off_is_no_answer() {
        let metrics = Arc::new(Metrics::new(Instant::now()));
        let whole = Pieces::of(Arc::clone(&metrics), Names::Both, false).await.expect("is read");
        let whole = whole.collect().await.expect("is whole").to_bytes();
        assert!(whole.starts_with(b"# "));
        let (to, from) = mpsc::channel(1);
        to.send(Piece::Text(Bytes::from_static(b"x 1\n"))).await.expect("is taken");
        drop(to);
        assert!(Pieces { from, has_ended: false }.collect().await.is_err());
    }

    #[tokio::test]
    async fn a_scrape_that_fails_is_none() {
        let metrics = Arc::new(Metrics::new(Instant::now()));
        metrics.on_scrape(Box::new(|_, _| panic!("a gauge that cannot be read")));
        assert!(Pieces::of(metrics, Names::Both, false).await.is_none());
    }
}
