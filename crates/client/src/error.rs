//! Why a call has no answer.

use ottla_protocol::{ApiKey, DecodeError, EncodeError, ErrorCode, FrameError, HeaderError};

/// A broker's refusal, or a connection that is of no use any more.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("cannot connect to {address}: {source}")]
    Connect { address: String, source: std::io::Error },
    #[error("the connection failed: {0}")]
    Io(#[from] std::io::Error),
    /// Also what pending calls get after an answer that could not be understood.
    #[error("the connection is closed")]
    Closed,
    #[error("no answer within {0} ms")]
    Timeout(u128),
    #[error("{0} calls are pending already")]
    TooManyPending(usize),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Kafka answers in the order of the requests.
    #[error("answer {found} came where {expected} was due")]
    OutOfOrder { expected: i32, found: i32 },
    #[error("{0} has no version that both sides speak")]
    NoCommonVersion(ApiKey),
    /// The answer carries this error code; [`ErrorCode::from_code`] found no name for it if `None`.
    #[error("{api} failed with error code {code} ({})", name.map_or("unknown", ErrorCode::name))]
    Broker { api: ApiKey, code: i16, name: Option<ErrorCode> },
    #[error("{0} answered without the partition that was asked for")]
    MissingPartition(ApiKey),
}

impl ClientError {
    /// The broker's error code, if that is what it is.
    #[must_use]
    pub const fn error_code(&self) -> Option<ErrorCode> {
        match self {
            Self::Broker { name, .. } => *name,
            _ => None,
        }
    }

    /// An answer's error code as an error.
    ///
    /// # Errors
    /// [`Self::Broker`] of any code but 0.
    pub fn check(api: ApiKey, code: i16) -> Result<(), Self> {
        match code {
            0 => Ok(()),
            code => Err(Self::Broker { api, code, name: ErrorCode::from_code(code) }),
        }
    }
}
