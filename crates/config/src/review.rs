//! What a file asks for that Ottla does not do is refused; what nobody knows is warned of.

use std::fmt;

use crate::support::check_supported;
use crate::{ConfigError, ConfigMap, Scope, definition, definitions};

/// Something about a file that the operator should know, one line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// A setting that nobody knows.
    Unknown { name: String, nearest: Option<&'static str> },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name, nearest: Some(nearest) } => {
                write!(f, "unknown setting {name}; the nearest known name is {nearest}")
            }
            Self::Unknown { name, nearest: None } => write!(f, "unknown setting {name}"),
        }
    }
}

/// Looks at what a file and the command line set.
///
/// # Errors
/// [`ConfigError::NotYet`]: a setting asks for what is not built yet.
pub(crate) fn review(fixed: &ConfigMap) -> Result<Vec<Warning>, ConfigError> {
    let mut warnings = Vec::new();
    for (name, text) in fixed {
        let Some(definition) = definition(Scope::Broker, name) else {
            if !belongs_to_a_plugin(name) {
                warnings.push(Warning::Unknown { name: name.clone(), nearest: nearest(name) });
            }
            continue;
        };
        check_supported(definition, text)?;
    }
    Ok(warnings)
}

/// Keys that Kafka passes on to JVM plugins, or that configure one listener's security (which is checked by listener).
fn belongs_to_a_plugin(name: &str) -> bool {
    const PREFIXES: [&str; 6] = [
        "listener.name.",
        "metrics.context.",
        "rsm.config.",
        "rlmm.config.",
        "config.providers.",
        "confluent.",
    ];
    const NAMES: [&str; 2] = ["super.users", "allow.everyone.if.no.acl.found"];
    PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || NAMES.contains(&name)
}

/// The known name that the fewest edits away; none if it would be a guess.
fn nearest(name: &str) -> Option<&'static str> {
    let near = |known: &'static str| (edits(name, known), known);
    let (distance, known) = definitions(Scope::Broker).map(|definition| near(definition.name)).min()?;
    (distance <= name.len() / 3).then_some(known)
}

/// Levenshtein's distance: insertions, deletions and replacements of characters.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, c) in from.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, other) in row.iter_mut().skip(1).zip(&to) {
            let replaced = diagonal + usize::from(c != *other);
            diagonal = *cell;
            left = replaced.min(left + 1).min(*cell + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("abc", "abc"), 0);
    }

    #[test]
    fn a_misspelt_name_finds_its_neighbour() {
        assert_eq!(nearest("log.retention.hour"), Some("log.retention.hours"));
        assert_eq!(nearest("advertized.listeners"), Some("advertised.listeners"));
        assert_eq!(nearest("zzz"), None);
    }
}
