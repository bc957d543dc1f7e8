//! What every message can do, whoever wrote its fields: the traits that handlers and clients see.

use bytes::{Bytes, BytesMut};
use ottla_model::wire::WireError;

use crate::{ApiKey, GuardError};

/// A request body, at any version of its API.
pub trait Request: Sized + Send + 'static {
    const KEY: ApiKey;
    type Response: Response;

    /// Reads a body, header already taken off. Strings and byte fields are slices of `body`: copy what outlives the
    /// request, or it keeps the whole frame alive. Bytes left over behind the last field are ignored, as Kafka does
    /// (`RequestContext.parseRequest` of 4.4.0 never asks what remains).
    fn decode(body: Bytes, version: i16) -> Result<Self, DecodeError>;

    /// Appends the body to `out`.
    fn encode(&self, version: i16, out: &mut BytesMut) -> Result<(), EncodeError>;
}

/// A response body, at any version of its API.
pub trait Response: Sized + Send + 'static {
    const KEY: ApiKey;

    /// Appends the body to `out`.
    fn encode(&self, version: i16, out: &mut BytesMut) -> Result<(), EncodeError>;

    /// Reads a body, header already taken off. Slices and left-over bytes: as for requests.
    fn decode(body: Bytes, version: i16) -> Result<Self, DecodeError>;
}

/// Why bytes are not the message that they were taken for. Kafka closes the connection for each of these.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("{key} has no version {version} here")]
    UnsupportedVersion { key: ApiKey, version: i16 },
    #[error("{key} v{version}: {source}")]
    Guard { key: ApiKey, version: i16, source: GuardError },
    #[error("{key} v{version}: {source}")]
    Wire { key: ApiKey, version: i16, source: WireError },
    /// The message crate's own words.
    #[error("{key} v{version}: {reason}")]
    Body { key: ApiKey, version: i16, reason: String },
}

/// Why a message cannot be written. What was appended before is to be thrown away.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    #[error("{key} has no version {version} here")]
    UnsupportedVersion { key: ApiKey, version: i16 },
    /// A field is set that the version does not have and may not drop (`"ignorable": false`).
    #[error("{field} is set, which this version cannot carry")]
    NotInVersion { field: &'static str },
    #[error("{field} is null, which this version does not allow")]
    Null { field: &'static str },
    #[error("{len} is too long for the wire")]
    TooLong { len: usize },
    /// The message crate's own words.
    #[error("{key} v{version}: {reason}")]
    Body { key: ApiKey, version: i16, reason: String },
}
