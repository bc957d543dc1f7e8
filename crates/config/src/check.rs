//! What a setting's value may be, with the messages of Kafka's validators.

use crate::duration::parse_iso_duration_ms;
use crate::value::double_text;
use crate::{ConfigError, Value};

/// The values that a setting allows.
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
    /// A list of these words only (of any, if there are none).
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

/// What is allowed, as Kafka's documentation prints it; nothing where every value is.
impl std::fmt::Display for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Any => Ok(()),
            Self::AtLeast(low) => write!(f, "[{low},...]"),
            Self::Between(low, high) => write!(f, "[{low},...,{high}]"),
            Self::Fraction(low, high) => write!(f, "[{low},...,{high}]"),
            Self::OneOf(words) => write!(f, "[{}]", words.join(", ")),
            Self::OneOfAnyCase(words) => write!(f, "(case insensitive) [{}]", words.join(", ")),
            Self::ListOf { words: [], may_be_empty: true } => Ok(()),
            Self::ListOf { words: [], .. } => f.write_str("not empty"),
            Self::ListOf { words, .. } => write!(f, "[{}]", words.join(", ")),
            Self::NonEmpty => f.write_str("non-empty string"),
            Self::GzipLevel => f.write_str("[1,...,9] or -1"),
            Self::ThrottledReplicas => f.write_str("[partitionId]:[brokerId],[partitionId]:[brokerId],..."),
            Self::QuorumVoters => f.write_str("{id}@{host}:{port},..."),
            Self::BootstrapServers => f.write_str("{host}:{port},..."),
            Self::ShareOffsetReset => f.write_str("[latest, earliest, by_duration:PnDTnHnMn.nS]"),
        }
    }
}

impl Check {
    /// # Errors
    /// The value is not allowed; the message is Kafka's.
    pub(crate) fn apply(&self, name: &str, value: &Value) -> Result<(), ConfigError> {
        match (self, value) {
            (Self::AtLeast(low), _) => in_range(name, value, *low, i64::MAX),
            (Self::Between(low, high), _) => in_range(name, value, *low, *high),
            (Self::Fraction(low, high), Value::Double(x)) => in_fraction(name, *x, *low, *high),
            (Self::GzipLevel, Value::Int(n)) => gzip_level(name, *n),
            (Self::OneOf(words), Value::String(text)) => one_of(name, text, words),
            (Self::OneOfAnyCase(words), Value::String(text)) => one_of_any_case(name, text, words),
            (Self::NonEmpty, Value::String(text)) if text.is_empty() => {
                Err(ConfigError::invalid(name, "", "String must be non-empty"))
            }
            (Self::ShareOffsetReset, Value::String(text)) => share_offset_reset(name, text),
            (Self::ListOf { words, may_be_empty }, Value::List(items)) => {
                list_of(name, items, words, *may_be_empty)
            }
            (Self::ThrottledReplicas, Value::List(items)) => throttled_replicas(name, items),
            (Self::QuorumVoters, Value::List(items)) => items.iter().try_for_each(|item| voter(name, item)),
            (Self::BootstrapServers, Value::List(items)) => {
                items.iter().try_for_each(|item| bootstrap_server(name, item))
            }
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

/// Not-a-number passes, as it does in Kafka.
fn in_fraction(name: &str, x: f64, low: f64, high: f64) -> Result<(), ConfigError> {
    if x < low {
        return Err(ConfigError::invalid(name, &double_text(x), format!("Value must be at least {low}")));
    }
    if x > high {
        return Err(ConfigError::invalid(
            name,
            &double_text(x),
            format!("Value must be no more than {high}"),
        ));
    }
    Ok(())
}

fn gzip_level(name: &str, level: i32) -> Result<(), ConfigError> {
    if level == -1 || (1..=9).contains(&level) {
        return Ok(());
    }
    Err(ConfigError::invalid(name, &level.to_string(), "Value must be between 1 and 9 or equal to -1"))
}

fn one_of(name: &str, text: &str, words: &[&str]) -> Result<(), ConfigError> {
    if words.contains(&text) {
        return Ok(());
    }
    Err(ConfigError::invalid(name, text, format!("String must be one of: {}", words.join(", "))))
}

fn one_of_any_case(name: &str, text: &str, words: &[&str]) -> Result<(), ConfigError> {
    if words.iter().any(|word| word.eq_ignore_ascii_case(text)) {
        return Ok(());
    }
    let reason = format!("String must be one of (case insensitive): {}", words.join(", "));
    Err(ConfigError::invalid(name, text, reason))
}

fn list_of(name: &str, items: &[String], words: &[&str], may_be_empty: bool) -> Result<(), ConfigError> {
    if items.is_empty() && !may_be_empty {
        let allowed = if words.is_empty() {
            "any non-empty value".to_owned()
        } else {
            format!("[{}]", words.join(", "))
        };
        let message = format!("Configuration '{name}' must not be empty. Valid values include: {allowed}");
        return Err(ConfigError::refused(name, message));
    }
    for item in items {
        if item.is_empty() {
            return Err(ConfigError::refused(
                name,
                format!("Configuration '{name}' values must not be empty."),
            ));
        }
        if !words.is_empty() {
            one_of(name, item, words)?;
        }
    }
    Ok(())
}

fn throttled_replicas(name: &str, items: &[String]) -> Result<(), ConfigError> {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let pair =
        |item: &String| item.split_once(':').is_some_and(|(left, right)| number(left) && number(right));
    // Kafka joins the entries first, so that empty ones beside a `*` pass.
    if matches!(items.concat().as_str(), "" | "*") || items.iter().all(pair) {
        return Ok(());
    }
    let reason = format!(
        "{name} must be the literal '*' or a list of replicas in the following format: \
         [partitionId]:[brokerId],[partitionId]:[brokerId],..."
    );
    Err(ConfigError::invalid(name, &format!("[{}]", items.join(", ")), reason))
}

const VOTER_FORM: &str = "Each entry should be in the form `{id}@{host}:{port}`.";

fn voter(name: &str, entry: &str) -> Result<(), ConfigError> {
    let mut parts = entry.split('@');
    let (Some(id), Some(address), None) = (parts.next(), parts.next(), parts.next()) else {
        return Err(ConfigError::refused(
            name,
            format!("Invalid configuration value for {name}. {VOTER_FORM}"),
        ));
    };
    if id.parse::<i32>().is_err() {
        return Err(ConfigError::refused(name, format!("Failed to parse voter ID as an integer from {id}")));
    }
    match host_and_port(address) {
        Some(_) => Ok(()),
        None => {
            let message = format!(
                "Failed to parse host name from entry {entry} for the configuration {name}. {VOTER_FORM}"
            );
            Err(ConfigError::refused(name, message))
        }
    }
}

fn bootstrap_server(name: &str, entry: &str) -> Result<(), ConfigError> {
    match host_and_port(entry) {
        Some(_) => Ok(()),
        None => {
            let message = format!(
                "Failed to parse host name from {entry} for the configuration {name}. Each entry should be in the form \"{{host}}:{{port}}\""
            );
            Err(ConfigError::refused(name, message))
        }
    }
}

/// `[scheme://]host:port`, the host bare or in brackets, as Kafka's `Utils.getHost` reads it.
pub(crate) fn host_and_port(text: &str) -> Option<(&str, u16)> {
    let address = text.split_once("://").map_or(text, |(_, address)| address);
    let (host, port) = address.rsplit_once(':')?;
    let host = host.strip_prefix('[').unwrap_or(host);
    let host = host.strip_suffix(']').unwrap_or(host);
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '%' | '.' | '_' | ':');
    if !host.chars().all(allowed) {
        return None;
    }
    Some((host, port.parse().ok()?))
}

fn share_offset_reset(name: &str, text: &str) -> Result<(), ConfigError> {
    let by_duration = text.strip_prefix("by_duration:").and_then(parse_iso_duration_ms);
    if matches!(text, "latest" | "earliest") || by_duration.is_some_and(|ms| ms >= 0) {
        return Ok(());
    }
    let reason = format!(
        "Invalid value `{text}` for configuration {name}. The value must be either 'earliest', 'latest' or of the \
         format 'by_duration:<PnDTnHnMn.nS>'."
    );
    Err(ConfigError::invalid(name, text, reason))
}
