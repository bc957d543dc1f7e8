//! One connection: requests go out in the order of the calls, answers come back in the same order.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use ottla_protocol::messages::StrBytes;
use ottla_protocol::{
    ApiKey, FRAME_PREFIX_LEN, Request, RequestHeader, Response, encode_request, frame_len, split_frame,
    split_response_header,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Mutex as AsyncMutex, oneshot};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::ClientError;

/// How a connection behaves.
#[derive(Clone, Debug)]
pub struct ConnectionConfig {
    pub client_id: Option<String>,
    /// For connecting, for sending, and for each answer.
    pub timeout: Duration,
    /// Calls that may be without an answer at a time.
    pub pending_max: usize,
    /// Bytes of the longest answer.
    pub frame_max: usize,
}

impl Default for ConnectionConfig {
    fn default() -> Self {
        Self {
            client_id: Some("ottla-client".to_owned()),
            timeout: Duration::from_secs(30),
            pending_max: 1_000,
            frame_max: 256 << 20,
        }
    }
}

/// A connection to one broker. Any number of tasks may call at once; dropping it closes it and ends what is pending.
pub struct Connection {
    writer: AsyncMutex<Box<dyn AsyncWrite + Send + Unpin>>,
    shared: Arc<Shared>,
    config: ConnectionConfig,
    client_id: Option<StrBytes>,
    reader: AbortHandle,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("config", &self.config).finish_non_exhaustive()
    }
}

/// A call that has been sent. Dropping it forgets the answer, which is still read off the wire.
#[derive(Debug)]
pub struct Pending<R> {
    answer: oneshot::Receiver<Result<Bytes, ClientError>>,
    version: i16,
    timeout: Duration,
    response: std::marker::PhantomData<fn() -> R>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    next_correlation_id: i32,
    closed: bool,
}

struct Waiting {
    correlation_id: i32,
    key: ApiKey,
    version: i16,
    answer: oneshot::Sender<Result<Bytes, ClientError>>,
}

impl Connection {
    /// Connects over TCP. `address` is `host:port`.
    pub async fn connect(address: &str, config: ConnectionConfig) -> Result<Self, ClientError> {
        let failed = |source| ClientError::Connect { address: address.to_owned(), source };
        let stream = timeout(config.timeout, TcpStream::connect(address)).await;
        let stream = stream.map_err(|_| ClientError::Timeout(config.timeout.as_millis()))?.map_err(failed)?;
        stream.set_nodelay(true)?;
        Ok(Self::over(stream, config))
    }

    /// Talks over any stream that is connected already. Must be called within a tokio runtime.
    pub fn over(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        config: ConnectionConfig,
    ) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        let shared = Arc::new(Shared::default());
        let task = tokio::spawn(read_answers(reader, Arc::clone(&shared), config.frame_max));
        Self {
            writer: AsyncMutex::new(Box::new(writer)),
            shared,
            client_id: config.client_id.clone().map(StrBytes::from_string),
            config,
            reader: task.abort_handle(),
        }
    }

    /// Sends a request and waits for its answer.
    pub async fn call<R: Request>(&self, request: &R, version: i16) -> Result<R::Response, ClientError> {
        self.start(request, version).await?.answer().await
    }

    /// Sends a request; its answer is awaited later. Several in a row are pipelined.
    pub async fn start<R: Request>(
        &self,
        request: &R,
        version: i16,
    ) -> Result<Pending<R::Response>, ClientError> {
        let (sender, answer) = oneshot::channel();
        self.send(request, version, Some(sender)).await?;
        let response = std::marker::PhantomData;
        Ok(Pending { answer, version, timeout: self.config.timeout, response })
    }

    /// Sends a request that gets no answer (Produce with acks=0).
    pub async fn send_only<R: Request>(&self, request: &R, version: i16) -> Result<(), ClientError> {
        self.send(request, version, None).await
    }

    /// Calls that have been sent and not answered.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.shared.lock().waiting.len()
    }

    async fn send<R: Request>(
        &self,
        request: &R,
        version: i16,
        answer: Option<oneshot::Sender<Result<Bytes, ClientError>>>,
    ) -> Result<(), ClientError> {
        // Held from the correlation id to the last byte: the order of waiting calls is the order on the wire.
        let mut writer = self.writer.lock().await;
        let correlation_id = self.shared.next_correlation_id(self.config.pending_max)?;
        let header =
            RequestHeader { key: R::KEY, version, correlation_id, client_id: self.client_id.clone() };
        let frame = encode_request(&header, request)?;
        if let Some(answer) = answer {
            self.shared.expect(Waiting { correlation_id, key: R::KEY, version, answer })?;
        }
        let written = timeout(self.config.timeout, async {
            writer.write_all(&frame).await?;
            writer.flush().await
        });
        let failed = match written.await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => ClientError::Io(error),
            Err(_) => ClientError::Timeout(self.config.timeout.as_millis()),
        };
        // Half a frame may be out: nothing after it could be understood.
        self.shared.close();
        Err(failed)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.reader.abort();
        self.shared.close();
    }
}

impl<R: Response> Pending<R> {
    /// Waits for the answer.
    pub async fn answer(self) -> Result<R, ClientError> {
        let answer = timeout(self.timeout, self.answer).await;
        let body = answer
            .map_err(|_| ClientError::Timeout(self.timeout.as_millis()))?
            .map_err(|_| ClientError::Closed)??;
        Ok(R::decode(body, self.version)?)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_correlation_id(&self, pending_max: usize) -> Result<i32, ClientError> {
        let mut state = self.lock();
        if state.closed {
            return Err(ClientError::Closed);
        }
        if state.waiting.len() >= pending_max {
            return Err(ClientError::TooManyPending(state.waiting.len()));
        }
        let id = state.next_correlation_id;
        state.next_correlation_id = id.wrapping_add(1);
        Ok(id)
    }

    fn expect(&self, waiting: Waiting) -> Result<(), ClientError> {
        let mut state = self.lock();
        if state.closed {
            return Err(ClientError::Closed);
        }
        state.waiting.push_back(waiting);
        Ok(())
    }

    /// Ends everything that waits: a dropped sender reads as [`ClientError::Closed`].
    fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.waiting.clear();
    }

    fn answered(&self, mut frame: BytesMut) -> Result<(), ClientError> {
        let waiting = self.lock().waiting.pop_front().ok_or(ClientError::Closed)?;
        let found = split_response_header(waiting.key, waiting.version, &mut frame);
        let outcome = match found {
            Ok(found) if found == waiting.correlation_id => {
                // Nobody may wait any more; the answer is off the wire all the same.
                let _ = waiting.answer.send(Ok(frame.freeze()));
                return Ok(());
            }
            Ok(found) => ClientError::OutOfOrder { expected: waiting.correlation_id, found },
            Err(error) => ClientError::Header(error),
        };
        let _ = waiting.answer.send(Err(outcome));
        Err(ClientError::Closed)
    }
}

async fn read_answers(mut reader: impl AsyncRead + Unpin, shared: Arc<Shared>, frame_max: usize) {
    let mut received = BytesMut::with_capacity(16 << 10);
    loop {
        match split_frame(&mut received, frame_max) {
            Ok(Some(frame)) => match shared.answered(frame) {
                Ok(()) => continue,
                Err(_) => break,
            },
            // Room for all of it at once: a follower's answers are of megabytes.
            Ok(None) => {
                if let Ok(Some(len)) = frame_len(&received, frame_max) {
                    received.reserve((FRAME_PREFIX_LEN + len).saturating_sub(received.len()));
                }
            }
            Err(_) => break,
        }
        match reader.read_buf(&mut received).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    shared.close();
}
