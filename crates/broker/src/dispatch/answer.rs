//! An encoded answer, and the reasons for which there is none.

use bytes::Bytes;
use ottla_protocol::fetch::{Gathered, Segment};
use ottla_protocol::messages::ApiVersionsResponse;
use ottla_protocol::messages::api_versions_response::ApiVersion;
use ottla_protocol::{ApiKey, DecodeError, EncodeError, ErrorCode, HeaderError, Response, encode_response};

use crate::net::LogSlice;

/// The segments of one response frame, its length prefix included.
pub(crate) type Answer = Gathered<LogSlice>;

/// Why a connection is closed instead of a request answered, as Kafka does.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Closed {
    #[error("request header: {0}")]
    Header(#[from] HeaderError),
    #[error("{key:?} is not served")]
    NotServed { key: ApiKey },
    #[error("{key:?} version {version} is not supported")]
    UnsupportedVersion { key: ApiKey, version: i16 },
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error("answer: {0}")]
    Encode(#[from] EncodeError),
    #[error("a request that gets no answer failed")]
    Unanswerable,
}

/// An answer whose body is in memory.
pub(crate) fn encoded<R: Response>(
    version: i16,
    correlation_id: i32,
    response: &R,
) -> Result<Answer, Closed> {
    Ok(of_bytes(encode_response(version, correlation_id, response)?))
}

/// A whole frame.
pub(crate) fn of_bytes(frame: Bytes) -> Answer {
    Answer { len: frame.len(), segments: vec![Segment::Bytes(frame)] }
}

/// What a client gets that asks for an ApiVersions version we do not know (KIP-511): a version 0 body with the error
/// and the range it may use.
pub(super) fn api_versions_unsupported(correlation_id: i32) -> Result<Answer, Closed> {
    let spec = ApiKey::ApiVersions.spec();
    let range = ApiVersion::default()
        .with_api_key(spec.key.code())
        .with_min_version(spec.min)
        .with_max_version(spec.max);
    let response = ApiVersionsResponse::default()
        .with_error_code(ErrorCode::UnsupportedVersion.code())
        .with_api_keys(vec![range]);
    encoded(0, correlation_id, &response)
}
