//! A connection that sends and receives bytes as they are: for frames that no decent client would send.

use std::time::Duration;

use bytes::{BufMut, BytesMut};
use ottla_protocol::split_frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio::time::timeout;

use crate::ClientError;

/// Bytes over TCP, with Kafka's framing at hand. Every wait is bounded by `wait`.
#[derive(Debug)]
pub struct RawConnection {
    stream: TcpStream,
    received: BytesMut,
    wait: Duration,
}

impl RawConnection {
    /// Frames longer than this are refused when received.
    const FRAME_MAX: usize = 256 << 20;

    pub async fn connect(address: impl ToSocketAddrs, wait: Duration) -> Result<Self, ClientError> {
        let stream = bounded(wait, TcpStream::connect(address)).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: BytesMut::new(), wait })
    }

    /// Sends bytes without a length before them.
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        bounded(self.wait, self.stream.write_all(bytes)).await
    }

    /// Sends `payload` (header and body) behind its length.
    pub async fn send_frame(&mut self, payload: &[u8]) -> Result<(), ClientError> {
        let mut frame = BytesMut::with_capacity(payload.len() + 4);
        frame.put_i32(i32::try_from(payload.len()).unwrap_or(i32::MAX));
        frame.put_slice(payload);
        self.send_bytes(&frame).await
    }

    /// The next frame, without its length; [`ClientError::Closed`] if the other side closes first.
    pub async fn receive_frame(&mut self) -> Result<BytesMut, ClientError> {
        loop {
            if let Some(frame) = split_frame(&mut self.received, Self::FRAME_MAX)? {
                return Ok(frame);
            }
            if bounded(self.wait, self.stream.read_buf(&mut self.received)).await? == 0 {
                return Err(ClientError::Closed);
            }
        }
    }

    /// Whether the other side closes, without another byte, before the wait is over.
    pub async fn is_closed_by_peer(&mut self) -> bool {
        let mut byte = [0];
        match timeout(self.wait, self.stream.read(&mut byte)).await {
            Ok(Ok(read)) => read == 0,
            // A reset is a close, too: the peer had unread bytes of ours.
            Ok(Err(_)) => true,
            Err(_) => false,
        }
    }

    /// Says that nothing more will be sent; receiving goes on.
    pub async fn finish_sending(&mut self) -> Result<(), ClientError> {
        bounded(self.wait, self.stream.shutdown()).await
    }
}

async fn bounded<T>(wait: Duration, io: impl Future<Output = std::io::Result<T>>) -> Result<T, ClientError> {
    match timeout(wait, io).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(ClientError::Timeout(wait.as_millis())),
    }
}
