//! Frames that controllers of Ottla exchange among themselves: an API key far above Kafka's, which no client is told of and
//! only controller listeners take.
//!
//! | request | type | answer | type |
//! |--|--|--|--|
//! | api key, 30000 | int16 | correlation id | int32 |
//! | version, 0 | int16 | body | the rest |
//! | correlation id | int32 | | |
//! | body | the rest | | |
//!
//! What the bodies say is the controller's own business (`ottla-controller`).

use bytes::{BufMut, Bytes, BytesMut};
use ottla_model::wire::Reader;

use crate::FRAME_PREFIX_LEN;

const API_KEY: i16 = 30_000;
const VERSION: i16 = 0;

/// A request as a whole frame, its length included.
#[must_use]
pub fn encode_peer_request(correlation_id: i32, body: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(FRAME_PREFIX_LEN + 8 + body.len());
    out.put_i32(i32::try_from(body.len() + 8).unwrap_or(i32::MAX));
    out.put_i16(API_KEY);
    out.put_i16(VERSION);
    out.put_i32(correlation_id);
    out.put_slice(body);
    out.freeze()
}

/// The correlation id and body of a frame (without its length) that is such a request; `None` for any other.
#[must_use]
pub fn split_peer_request(frame: &BytesMut) -> Option<(i32, Bytes)> {
    let mut from = Reader::new(frame);
    let is_ours = from.i16().ok()? == API_KEY && from.i16().ok()? == VERSION;
    let correlation_id = from.i32().ok()?;
    is_ours.then(|| (correlation_id, Bytes::copy_from_slice(from.remaining())))
}

/// An answer as a whole frame, its length included.
#[must_use]
pub fn encode_peer_answer(correlation_id: i32, body: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(FRAME_PREFIX_LEN + 4 + body.len());
    out.put_i32(i32::try_from(body.len() + 4).unwrap_or(i32::MAX));
    out.put_i32(correlation_id);
    out.put_slice(body);
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split_frame;

    #[test]
    fn a_request_reads_back_and_another_is_none() {
        let mut buffer = BytesMut::from(&encode_peer_request(7, b"body")[..]);
        let frame = split_frame(&mut buffer, 100).unwrap().unwrap();
        assert_eq!(split_peer_request(&frame), Some((7, Bytes::from_static(b"body"))));
        assert_eq!(split_peer_request(&BytesMut::from(&frame[..7])), None);
        assert_eq!(split_peer_request(&BytesMut::from(&[0, 18, 0, 0, 0, 0, 0, 7][..])), None);
        assert_eq!(crate::ApiKey::from_code(API_KEY), None);
    }
}
