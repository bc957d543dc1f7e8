//! What APPEND and SUBTRACT leave of a list (KIP-339).

use crate::{ConfigError, ConfigType, Definition};

/// Which way a list changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListChange {
    Append,
    /// As Kafka's brokers append for themselves: what is twice among the new items stays so, and is refused later.
    AppendAll,
    Subtract,
}

impl ListChange {
    /// The refusal of a key that is no list, or that nobody knows; the words are the controller's in Kafka.
    #[must_use]
    pub fn not_a_list(self, name: &str) -> ConfigError {
        let operation = match self {
            Self::Append | Self::AppendAll => "APPEND",
            Self::Subtract => "SUBTRACT",
        };
        ConfigError::refused(name, format!("Can't {operation} to key {name} because its type is not LIST."))
    }
}

/// The text that a change of `items` leaves of a LIST setting's `current` one. Items are compared as they stand, blanks
/// included, as Kafka does.
///
/// # Errors
/// [`ConfigError::Refused`]: the setting is not a list.
pub fn change_list(
    definition: &Definition,
    current: Option<&str>,
    items: &str,
    change: ListChange,
) -> Result<String, ConfigError> {
    if definition.config_type != ConfigType::List {
        return Err(change.not_a_list(definition.name));
    }
    let mut list: Vec<&str> = split(current.unwrap_or_default());
    list.retain(|item| !item.is_empty());
    let before = list.len();
    for item in split(items) {
        match (change, list.iter().position(|have| *have == item)) {
            (ListChange::Append | ListChange::AppendAll, None) => list.push(item),
            (ListChange::AppendAll, Some(at)) if at >= before => list.push(item),
            (ListChange::Subtract, Some(at)) => drop(list.remove(at)),
            _ => {}
        }
    }
    Ok(list.join(","))
}

/// As Java's `String.split`: what is empty at the end does not count, but an empty text is one empty item.
fn split(text: &str) -> Vec<&str> {
    if text.is_empty() {
        return vec![text];
    }
    let trimmed = text.trim_end_matches(',');
    if trimmed.is_empty() { Vec::new() } else { trimmed.split(',').collect() }
}
