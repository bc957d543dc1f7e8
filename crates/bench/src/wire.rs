//! One blocking connection that sends frames made beforehand and throws answers away.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rustix::net::RecvFlags;

use crate::{Result, broker};

/// An answer that does not come is a failure, not a pause.
const ANSWER_WAIT: Duration = Duration::from_secs(60);
/// What one receive throws away at most.
const DISCARD_LEN: usize = 1 << 20;

/// A connection to a broker or to a floor.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    discarded: Vec<u8>,
}

impl Wire {
    pub(crate) fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_WAIT))?;
        broker::use_cubic(&stream);
        Ok(Self { stream, discarded: vec![0; DISCARD_LEN] })
    }

    /// The same for what may take minutes.
    pub(crate) fn connect_patiently(address: SocketAddr) -> Result<Self> {
        let wire = Self::connect(address)?;
        wire.stream.set_read_timeout(Some(15 * ANSWER_WAIT))?;
        Ok(wire)
    }

    /// Whom it is connected to.
    pub(crate) fn peer(&self) -> Result<SocketAddr> {
        Ok(self.stream.peer_addr()?)
    }

    /// Another end of the connection, for a thread that receives while this one sends.
    pub(crate) fn receiver(&self) -> Result<Self> {
        Ok(Self { stream: self.stream.try_clone()?, discarded: vec![0; DISCARD_LEN] })
    }

    pub(crate) fn send(&mut self, frame: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(frame)?)
    }

    /// Sends a frame and gives the answer's payload.
    pub(crate) fn call(&mut self, frame: &[u8]) -> Result<BytesMut> {
        self.send(frame)?;
        let mut answer = BytesMut::zeroed(self.answer_len()?);
        self.stream.read_exact(&mut answer)?;
        Ok(answer)
    }

    /// Sends each frame, `in_flight` of them unanswered at a time; gives the sum of the answers' bytes.
    pub(crate) fn drive<'a>(
        &mut self,
        frames: impl IntoIterator<Item = &'a Bytes>,
        in_flight: usize,
    ) -> Result<usize> {
        let mut answer_bytes = 0;
        let mut unanswered = VecDeque::new();
        for frame in frames {
            if unanswered.len() == in_flight {
                unanswered.pop_front();
                answer_bytes += self.discard()?;
            }
            self.send(frame)?;
            unanswered.push_back(());
        }
        for () in unanswered {
            answer_bytes += self.discard()?;
        }
        Ok(answer_bytes)
    }

    fn answer_len(&mut self) -> Result<usize> {
        let mut prefix = [0; 4];
        self.stream.read_exact(&mut prefix)?;
        Ok(usize::try_from(u32::from_be_bytes(prefix))?)
    }

    /// Receives an answer and throws it away; gives its length.
    pub(crate) fn discard(&mut self) -> Result<usize> {
        let len = self.answer_len()?;
        let mut left = len;
        while left > 0 {
            let want = left.min(DISCARD_LEN);
            // TRUNC: the kernel drops the bytes, so that the client's copies do not heat the cache.
            let (_, got) = rustix::net::recv(&self.stream, &mut self.discarded[..want], RecvFlags::TRUNC)?;
            if got == 0 {
                return Err("the connection was closed in the middle of an answer".into());
            }
            left -= got.min(left);
        }
        Ok(len)
    }
}
