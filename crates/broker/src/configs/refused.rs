//! Why a resource's configs are neither described nor changed.

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::StrBytes;

/// An answer's error code, and its message if it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub code: ErrorCode,
    pub message: String,
}

/// A message may quote a value that alone is as long as a string can be: the end of such a one is cut off.
pub(crate) fn text(mut message: String) -> StrBytes {
    if message.len() > MESSAGE_LEN_MAX {
        let end = (0..=MESSAGE_LEN_MAX).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0);
        message.truncate(end);
    }
    StrBytes::from_string(message)
}

/// Bytes of the longest string on the wire (`Short.MAX_VALUE`).
const MESSAGE_LEN_MAX: usize = 32_767;

impl Refused {
    pub(crate) fn invalid_request(message: impl Into<String>) -> Self {
        Self { code: ErrorCode::InvalidRequest, message: message.into() }
    }

    pub(crate) fn invalid_config(message: impl Into<String>) -> Self {
        Self { code: ErrorCode::InvalidConfig, message: message.into() }
    }

    /// For the wire: null where there is nothing to say.
    pub(crate) fn message(&self) -> Option<StrBytes> {
        (!self.message.is_empty()).then(|| text(self.message.clone()))
    }
}
