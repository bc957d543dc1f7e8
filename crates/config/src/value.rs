//! A setting's text as a value of its type, parsed as Kafka parses it (`ConfigDef.parseType`).

use std::collections::BTreeSet;

use crate::{Check, ConfigError, ConfigType, Definition};

/// A parsed setting.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Boolean(bool),
    String(String),
    Int(i32),
    Short(i16),
    Long(i64),
    Double(f64),
    List(Vec<String>),
    Class(String),
    Password(String),
}

impl Value {
    /// The number of an Int, Short or Long.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(n) => Some(i64::from(*n)),
            Self::Short(n) => Some(i64::from(*n)),
            Self::Long(n) => Some(*n),
            _ => None,
        }
    }
}

impl Definition {
    /// Reads `text` as this setting's type and checks it against what is allowed.
    ///
    /// # Errors
    /// [`ConfigError::InvalidValue`] or [`ConfigError::Refused`] with Kafka's message.
    pub fn parse(&self, text: &str) -> Result<Value, ConfigError> {
        let mut value = parse_type(self.name, self.config_type, text)?;
        if let (Value::List(items), Check::ListOf { .. }) = (&mut value, &self.check) {
            drop_duplicates(items);
        }
        self.check.apply(self.name, &value)?;
        Ok(value)
    }
}

/// KIP-1161: what stands in a list twice counts once.
fn drop_duplicates(items: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    items.retain(|item| seen.insert(item.clone()));
}

fn parse_type(name: &str, config_type: ConfigType, text: &str) -> Result<Value, ConfigError> {
    let trimmed = text.trim();
    let not_a_number =
        || ConfigError::invalid(name, trimmed, format!("Not a number of type {}", config_type.name()));
    match config_type {
        ConfigType::Boolean if trimmed.eq_ignore_ascii_case("true") => Ok(Value::Boolean(true)),
        ConfigType::Boolean if trimmed.eq_ignore_ascii_case("false") => Ok(Value::Boolean(false)),
        ConfigType::Boolean => {
            Err(ConfigError::invalid(name, trimmed, "Expected value to be either true or false"))
        }
        ConfigType::Int => trimmed.parse().map(Value::Int).map_err(|_| not_a_number()),
        ConfigType::Short => trimmed.parse().map(Value::Short).map_err(|_| not_a_number()),
        ConfigType::Long => trimmed.parse().map(Value::Long).map_err(|_| not_a_number()),
        ConfigType::Double => parse_double(trimmed).map(Value::Double).ok_or_else(not_a_number),
        ConfigType::String => Ok(Value::String(trimmed.to_owned())),
        ConfigType::Class => Ok(Value::Class(trimmed.to_owned())),
        ConfigType::Password => Ok(Value::Password(text.to_owned())),
        ConfigType::List => Ok(Value::List(split_list(trimmed))),
    }
}

/// The elements of a comma-separated list; none for an empty text.
pub(crate) fn split_list(text: &str) -> Vec<String> {
    if text.is_empty() {
        return Vec::new();
    }
    text.split(',').map(|item| item.trim().to_owned()).collect()
}

/// Java's spellings of the special values, not Rust's; Java allows a type suffix, too.
fn parse_double(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, "NaN" | "Infinity") {
        return text.parse().ok();
    }
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text).parse().ok()
}

/// As `Double.toString` prints it, for the magnitudes that settings have.
pub(crate) fn double_text(x: f64) -> String {
    if x.is_infinite() {
        return if x > 0.0 { "Infinity".to_owned() } else { "-Infinity".to_owned() };
    }
    if x.abs() >= 1e7 || (x != 0.0 && x.abs() < 1e-3) {
        return java_exponent(x);
    }
    format!("{x:?}")
}

/// `1.7976931348623157E308`: one digit before the point, at least one after it.
fn java_exponent(x: f64) -> String {
    let text = format!("{x:E}");
    match text.split_once('E') {
        Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0E{exponent}"),
        _ => text,
    }
}
