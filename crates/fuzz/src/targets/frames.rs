//! A connection's bytes: frames and request headers.

use bytes::BytesMut;
use ottla_protocol::{ApiKey, RequestHeader, split_frame};

use super::Target;

pub(crate) const FRAMES: Target = Target {
    name: "frames",
    about: "a stream of frames: each is within the limit and its header is read or refused",
    run,
    quick: 200_000,
    seeds,
};

const FRAME_LEN_MAX: usize = 1_000;

fn run(bytes: &[u8]) {
    let mut stream = BytesMut::from(bytes);
    while let Ok(Some(mut frame)) = split_frame(&mut stream, FRAME_LEN_MAX) {
        assert!(frame.len() <= FRAME_LEN_MAX);
        let _ = RequestHeader::split_from(&mut frame);
    }
    let _ = RequestHeader::split_from(&mut BytesMut::from(bytes));
}

/// An empty request of every version of every API, as a client called "c".
fn seeds() -> Vec<Vec<u8>> {
    let of = |key: &ApiKey| {
        (key.spec().min..=key.spec().max).map(|version| frame(key.code(), version)).collect::<Vec<_>>()
    };
    ApiKey::ALL.iter().flat_map(of).collect()
}

fn frame(key: i16, version: i16) -> Vec<u8> {
    let mut body = key.to_be_bytes().to_vec();
    body.extend(version.to_be_bytes());
    body.extend([0, 0, 0, 7, 0, 1, b'c', 0]);
    let mut frame = u32::try_from(body.len()).unwrap_or(0).to_be_bytes().to_vec();
    frame.extend(body);
    frame
}
