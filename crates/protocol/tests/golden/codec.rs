//! One entry to every codec, by key, direction and version.

use std::fmt::Debug;

use bytes::{Bytes, BytesMut};
use ottla_protocol::{ApiKey, DecodeError, Direction, Request, Response, for_every_api, messages};

/// What a body was read as, and what that is written as.
#[derive(Debug)]
pub(crate) struct RoundTrip {
    /// The message's `Debug`.
    pub(crate) fields: String,
    pub(crate) body: Bytes,
}

macro_rules! codecs {
    ($($key:ident: $rk:ident $request:ident $([$($r:tt)*])? => $sk:ident $response:ident $([$($s:tt)*])?;)*) => {
        pub(crate) fn round_trip(
            key: ApiKey,
            direction: Direction,
            version: i16,
            body: Bytes,
        ) -> Result<RoundTrip, DecodeError> {
            match (key, direction) {
                $(
                    (ApiKey::$key, Direction::Request) => request::<messages::$request>(version, body),
                    (ApiKey::$key, Direction::Response) => response::<messages::$response>(version, body),
                )*
                (key, _) => Err(DecodeError::UnsupportedVersion { key, version }),
            }
        }
    };
}

for_every_api!(codecs);

fn request<R: Request + Debug>(version: i16, body: Bytes) -> Result<RoundTrip, DecodeError> {
    let request = R::decode(body, version)?;
    let mut out = BytesMut::new();
    request.encode(version, &mut out).unwrap();
    Ok(RoundTrip { fields: format!("{request:?}"), body: out.freeze() })
}

fn response<R: Response + Debug>(version: i16, body: Bytes) -> Result<RoundTrip, DecodeError> {
    let response = R::decode(body, version)?;
    let mut out = BytesMut::new();
    response.encode(version, &mut out).unwrap();
    Ok(RoundTrip { fields: format!("{response:?}"), body: out.freeze() })
}
