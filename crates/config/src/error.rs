//! Why a setting is refused, in Kafka's words.

use crate::Scope;

/// Why a setting was refused. All but one are `INVALID_CONFIG` on the wire, and they stop the start when they come from
/// a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// No setting of this name exists in this scope.
    #[error("{}", unknown_text(*.scope, .name))]
    Unknown { scope: Scope, name: String },
    /// The value has the wrong type or is outside what is allowed. `value` is `[hidden]` for passwords.
    #[error("Invalid value {value} for configuration {name}: {reason}")]
    InvalidValue { name: String, value: String, reason: String },
    /// The value is refused with a message that does not name it.
    #[error("{message}")]
    Refused { name: String, message: String },
    /// A request that Kafka calls invalid where one would expect an invalid config.
    #[error("{message}")]
    InvalidRequest { name: String, message: String },
    /// Settings that are each allowed, but not together.
    #[error("{message}")]
    Conflict { message: String },
    /// A value that Kafka honours and Ottla does not yet. `value` is `[hidden]` for passwords.
    #[error("Invalid value {value} for configuration {name}: {reason}")]
    NotYet { name: String, value: String, reason: String },
    /// A setting that must be given is not.
    #[error("Missing required configuration \"{name}\" which has no default value.")]
    Missing { name: String },
    /// Not Java Properties syntax.
    #[error("line {line}: {reason}")]
    Syntax { line: usize, reason: String },
}

impl ConfigError {
    /// The setting that is wrong; none where several are together, or the file's syntax.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Unknown { name, .. }
            | Self::InvalidValue { name, .. }
            | Self::Refused { name, .. }
            | Self::InvalidRequest { name, .. }
            | Self::NotYet { name, .. }
            | Self::Missing { name } => Some(name),
            Self::Conflict { .. } | Self::Syntax { .. } => None,
        }
    }

    /// An [`ConfigError::InvalidValue`].
    pub(crate) fn invalid(name: &str, value: &str, reason: impl Into<String>) -> Self {
        Self::InvalidValue { name: name.to_owned(), value: value.to_owned(), reason: reason.into() }
    }

    /// A [`ConfigError::NotYet`]: what is missing, and what to do.
    pub(crate) fn not_yet(name: &str, value: &str, missing: &str, hint: &str) -> Self {
        let reason = format!("{missing} is not supported yet; {hint}");
        Self::NotYet { name: name.to_owned(), value: value.to_owned(), reason }
    }

    /// A [`ConfigError::Refused`].
    pub(crate) fn refused(name: &str, message: impl Into<String>) -> Self {
        Self::Refused { name: name.to_owned(), message: message.into() }
    }

    /// A [`ConfigError::Conflict`].
    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::Conflict { message: message.into() }
    }
}

fn unknown_text(scope: Scope, name: &str) -> String {
    match scope {
        Scope::Topic => format!("Unknown topic config name: {name}"),
        Scope::Broker => format!("Unknown broker config name: {name}"),
        Scope::Group => format!("Unknown group config name: {name}"),
        Scope::ClientMetrics => format!("Unknown client metrics configuration: {name}"),
    }
}
