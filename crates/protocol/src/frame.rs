//! Frames: a 4-byte big-endian length, then that many bytes.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::{EncodeError, Request, RequestHeader, Response, encode_response_header};

/// Bytes of a frame's length prefix.
pub const FRAME_PREFIX_LEN: usize = 4;

/// Why a stream cannot be cut into frames any further: close it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("a frame announces a length of {0}")]
    Negative(i32),
    #[error("a frame announces {len} bytes, {max} are allowed")]
    TooLarge { len: usize, max: usize },
}

/// The length of the frame that `buffer` begins with, prefix not counted; `None` until the prefix has come in.
/// Ask it before reading on, so that nothing is reserved for a frame that will be refused.
pub fn frame_len(buffer: &[u8], max: usize) -> Result<Option<usize>, FrameError> {
    let Some(prefix) = buffer.first_chunk::<FRAME_PREFIX_LEN>() else {
        return Ok(None);
    };
    let announced = i32::from_be_bytes(*prefix);
    let len = usize::try_from(announced).map_err(|_| FrameError::Negative(announced))?;
    if len > max {
        return Err(FrameError::TooLarge { len, max });
    }
    Ok(Some(len))
}

/// Takes the first frame off `buffer`, without its prefix; `None` until it has come in whole. `max` in bytes.
pub fn split_frame(buffer: &mut BytesMut, max: usize) -> Result<Option<BytesMut>, FrameError> {
    let Some(len) = frame_len(buffer, max)? else {
        return Ok(None);
    };
    if buffer.len() - FRAME_PREFIX_LEN < len {
        return Ok(None);
    }
    buffer.advance(FRAME_PREFIX_LEN);
    Ok(Some(buffer.split_to(len)))
}

/// A request as a whole frame, prefix and header included. `header.key` is set to the request's.
pub fn encode_request<R: Request>(header: &RequestHeader, request: &R) -> Result<Bytes, EncodeError> {
    let header = RequestHeader { key: R::KEY, ..header.clone() };
    framed(|out| {
        header.encode(out)?;
        request.encode(header.version, out)
    })
}

/// A response as a whole frame, prefix and header included. An ApiVersions request of a version that we lack is
/// answered in version 0 (KIP-511).
pub fn encode_response<R: Response>(
    version: i16,
    correlation_id: i32,
    response: &R,
) -> Result<Bytes, EncodeError> {
    framed(|out| {
        encode_response_header(R::KEY, version, correlation_id, out);
        response.encode(version, out)
    })
}

fn framed(body: impl FnOnce(&mut BytesMut) -> Result<(), EncodeError>) -> Result<Bytes, EncodeError> {
    let mut out = BytesMut::with_capacity(256);
    out.put_i32(0);
    body(&mut out)?;
    let len = out.len() - FRAME_PREFIX_LEN;
    let prefix = i32::try_from(len).map_err(|_| EncodeError::TooLong { len })?;
    out[..FRAME_PREFIX_LEN].copy_from_slice(&prefix.to_be_bytes());
    Ok(out.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_cut_off_as_they_come_in_whole() {
        let mut buffer = BytesMut::new();
        let mut frames = Vec::new();
        for byte in [0, 0, 0, 2, b'a', b'b', 0, 0, 0, 0, 0, 0, 0, 1, b'c'] {
            buffer.put_u8(byte);
            frames.extend(split_frame(&mut buffer, 2).unwrap());
        }
        assert_eq!(frames, [&b"ab"[..], b"", b"c"]);
        assert!(buffer.is_empty());
    }

    #[test]
    fn lengths_out_of_bounds_are_refused_before_the_frame_comes_in() {
        let len = |prefix: i32| frame_len(&prefix.to_be_bytes(), 100);
        assert_eq!(len(100), Ok(Some(100)));
        assert_eq!(len(101), Err(FrameError::TooLarge { len: 101, max: 100 }));
        assert_eq!(len(-1), Err(FrameError::Negative(-1)));
        assert_eq!(len(i32::MIN), Err(FrameError::Negative(i32::MIN)));
        assert_eq!(frame_len(&[0, 0, 0], 100), Ok(None));
    }
}
