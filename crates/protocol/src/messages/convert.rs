//! The two ways a body is read and written: through the message crate behind the guard, or through our own parts.

use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::{Decodable, Encodable, Message};

use crate::part::{BodyReader, Part, Version};
use crate::{ApiKey, DecodeError, Direction, EncodeError, guard};

/// Decodes with the message crate. `as_version` is the crate's version with the same fields, where it lags.
pub(super) fn decode_crate<T: Message + Decodable>(
    key: ApiKey,
    direction: Direction,
    mut body: Bytes,
    version: i16,
    as_version: i16,
) -> Result<T, DecodeError> {
    if !has_version::<T>(key, version, as_version) {
        return Err(DecodeError::UnsupportedVersion { key, version });
    }
    // The crate reserves memory by the counts that it reads, before it looks for the elements.
    guard::check(key, direction, version, &body).map_err(|source| DecodeError::Guard {
        key,
        version,
        source,
    })?;
    T::decode(&mut body, as_version).map_err(|error| DecodeError::Body {
        key,
        version,
        reason: error.to_string(),
    })
}

pub(super) fn encode_crate<T: Message + Encodable>(
    key: ApiKey,
    message: &T,
    version: i16,
    as_version: i16,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    if !has_version::<T>(key, version, as_version) {
        return Err(EncodeError::UnsupportedVersion { key, version });
    }
    message.encode(out, as_version).map_err(|error| EncodeError::Body {
        key,
        version,
        reason: error.to_string(),
    })
}

// The crate's own range is not enough: it holds versions that Kafka never released (InitProducerId v6).
fn has_version<T: Message>(key: ApiKey, version: i16, as_version: i16) -> bool {
    key.spec().accepts(version) && (T::VERSIONS.min..=T::VERSIONS.max).contains(&as_version)
}

pub(super) fn decode_own<T: Part>(key: ApiKey, body: &Bytes, version: i16) -> Result<T, DecodeError> {
    if !key.spec().accepts(version) {
        return Err(DecodeError::UnsupportedVersion { key, version });
    }
    T::read(&mut BodyReader::new(body), at(key, version)).map_err(|source| DecodeError::Wire {
        key,
        version,
        source,
    })
}

pub(super) fn encode_own<T: Part>(
    key: ApiKey,
    message: &T,
    version: i16,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    if !key.spec().accepts(version) {
        return Err(EncodeError::UnsupportedVersion { key, version });
    }
    message.write(out, at(key, version))
}

fn at(key: ApiKey, version: i16) -> Version {
    Version { number: version, flexible: key.spec().is_flexible(version) }
}
