//! What a setting's value may be, with the messages of Kafka's validators.

use crate::{ConfigError, Value};

/// The values that a setting allows; printed as Kafka documents them (`[0,...]`, `[compact, delete]`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Check {
    /// Every value of the type.
    Any,
    /// Numbers from this one.
    AtLeast(i64),
    /// Numbers from the first to the last, both allowed.
    Between(i64, i64),
    /// Fractions from the first to the last, both allowed.
    Fraction(f64, f64),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// One of these words, in any case.
    OneOfAnyCase(&'static [&'static str]),
    /// A list without duplicates, of these words only (of any, if there are none).
    ListOf { words: &'static [&'static str], may_be_empty: bool },
    /// At least one character.
    NonEmpty,
    /// -1 (the codec's default) or 1 to 9.
    GzipLevel,
    /// `*`, nothing, or `partition:broker` pairs (KIP-73).
    ThrottledReplicas,
    /// `id@host:port` entries.
    QuorumVoters,
    /// `host:port` entries.
    BootstrapServers,
    /// `latest`, `earliest` or `by_duration:PnDTnHnMn.nS` (KIP-1106).
    ShareOffsetReset,
}

impl Check {
    /// # Errors
    /// The value is not allowed.
    pub(crate) fn apply(&self, name: &str, value: &Value) -> Result<(), ConfigError> {
        match (self, value) {
            (Self::AtLeast(low), _) => in_range(name, value, *low, i64::MAX),
            (Self::Between(low, high), _) => in_range(name, value, *low, *high),
            _ => Ok(()),
        }
    }
}

fn in_range(name: &str, value: &Value, low: i64, high: i64) -> Result<(), ConfigError> {
    let Some(n) = value.as_i64() else { return Ok(()) };
    if n < low {
        return Err(ConfigError::invalid(name, &n.to_string(), format!("Value must be at least {low}")));
    }
    if n > high {
        return Err(ConfigError::invalid(name, &n.to_string(), format!("Value must be no more than {high}")));
    }
    Ok(())
}
