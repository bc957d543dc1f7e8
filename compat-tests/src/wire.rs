//! Kafka's frames by hand: what no client would send, and proof that the broker still answers.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::SockRef;

const TIMEOUT: Duration = Duration::from_secs(30);
const API_VERSIONS: i16 = 18;

/// A raw connection to a broker.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
}

/// What the broker did with what we sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Reaction {
    Answered(Vec<u8>),
    Closed,
    /// Neither within the time given.
    Silent,
}

impl Connection {
    pub fn open(port: u16) -> io::Result<Self> {
        Self::open_at(Ipv4Addr::LOCALHOST, port)
    }

    pub fn open_at(host: Ipv4Addr, port: u16) -> io::Result<Self> {
        let address = SocketAddr::from((host, port));
        let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream })
    }

    /// Sends bytes as they are, without a length prefix.
    pub fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends one frame: its length, then the body.
    pub fn send_frame(&mut self, body: &[u8]) -> io::Result<()> {
        let len = i32::try_from(body.len()).map_err(io::Error::other)?;
        let mut frame = len.to_be_bytes().to_vec();
        frame.extend_from_slice(body);
        self.stream.write_all(&frame)
    }

    /// Reads one frame's body.
    pub fn read_frame(&mut self) -> io::Result<Vec<u8>> {
        let mut len = [0; 4];
        self.stream.read_exact(&mut len)?;
        let len = usize::try_from(i32::from_be_bytes(len)).map_err(io::Error::other)?;
        let mut body = vec![0; len];
        self.stream.read_exact(&mut body)?;
        Ok(body)
    }

    /// What comes within `limit`.
    pub fn reaction(&mut self, limit: Duration) -> Reaction {
        if self.stream.set_read_timeout(Some(limit)).is_err() {
            return Reaction::Closed;
        }
        match self.read_frame() {
            Ok(body) => Reaction::Answered(body),
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                Reaction::Silent
            }
            Err(_) => Reaction::Closed,
        }
    }

    /// Two handles of the same connection: one to send, one to read.
    pub fn split(self) -> io::Result<(Self, Self)> {
        let other = self.stream.try_clone()?;
        Ok((self, Self { stream: other }))
    }

    /// The next frame's body if it begins within `limit`.
    ///
    /// # Errors
    /// The connection has ended.
    pub fn read_frame_within(&mut self, limit: Duration) -> io::Result<Option<Vec<u8>>> {
        self.stream.set_read_timeout(Some(limit))?;
        let begun = self.stream.peek(&mut [0]);
        self.stream.set_read_timeout(Some(TIMEOUT))?;
        match begun {
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Ok(None),
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => self.read_frame().map(Some),
            Err(e) => Err(e),
        }
    }

    /// What was sent and has not left waits in the kernel; so many bytes of it at most, or twice that.
    pub fn set_send_buffer_len(&self, len: usize) -> io::Result<()> {
        SockRef::from(&self.stream).set_send_buffer_size(len)
    }

    /// Asks ApiVersions v0 and gives `(key, min, max)` of each API; an error code is an error.
    pub fn api_versions(&mut self, correlation_id: i32) -> io::Result<Vec<(i16, i16, i16)>> {
        self.send_frame(&request_header(API_VERSIONS, 0, correlation_id, "compat"))?;
        let body = self.read_frame()?;
        parse_api_versions(&body, correlation_id)
            .ok_or_else(|| io::Error::other("unexpected ApiVersions v0 answer"))
    }
}

/// Request header v1: key, version, correlation id, client id (KIP-511 makes ApiVersions answerable in any version).
pub fn request_header(api_key: i16, version: i16, correlation_id: i32, client_id: &str) -> Vec<u8> {
    let mut header = Vec::new();
    header.extend_from_slice(&api_key.to_be_bytes());
    header.extend_from_slice(&version.to_be_bytes());
    header.extend_from_slice(&correlation_id.to_be_bytes());
    let len = i16::try_from(client_id.len()).expect("a short client id");
    header.extend_from_slice(&len.to_be_bytes());
    header.extend_from_slice(client_id.as_bytes());
    header
}

/// The body of an ApiVersions v0 answer: correlation id, error code, array of (key, min, max).
fn parse_api_versions(body: &[u8], correlation_id: i32) -> Option<Vec<(i16, i16, i16)>> {
    let int16 = |pos: usize| Some(i16::from_be_bytes(body.get(pos..pos + 2)?.try_into().ok()?));
    let int32 = |pos: usize| Some(i32::from_be_bytes(body.get(pos..pos + 4)?.try_into().ok()?));
    if int32(0)? != correlation_id || int16(4)? != 0 {
        return None;
    }
    let count = usize::try_from(int32(6)?).ok()?;
    (0..count).map(|i| Some((int16(10 + 6 * i)?, int16(12 + 6 * i)?, int16(14 + 6 * i)?))).collect()
}
