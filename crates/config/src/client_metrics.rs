//! What a client metrics subscription says (`ClientMetricsConfigs`, KIP-714).

use std::collections::BTreeMap;

use regex::Regex;

use crate::value::split_list;
use crate::{ConfigError, ConfigMap};

pub(crate) const INTERVAL: &str = "interval.ms";
pub(crate) const MATCH: &str = "match";
const METRICS: &str = "metrics";

/// What a client can be told by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClientSelector {
    InstanceId,
    ClientId,
    SoftwareName,
    SoftwareVersion,
    SourceAddress,
    SourcePort,
}

impl ClientSelector {
    /// All there are.
    pub const ALL: [Self; 6] = [
        Self::InstanceId,
        Self::ClientId,
        Self::SoftwareName,
        Self::SoftwareVersion,
        Self::SourceAddress,
        Self::SourcePort,
    ];

    /// As `match` spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InstanceId => "client_instance_id",
            Self::ClientId => "client_id",
            Self::SoftwareName => "client_software_name",
            Self::SoftwareVersion => "client_software_version",
            Self::SourceAddress => "client_source_address",
            Self::SourcePort => "client_source_port",
        }
    }
}

/// A subscription that was validated.
#[derive(Clone, Debug)]
pub struct SubscriptionConfig {
    /// `metrics`: prefixes of names; `*` are all.
    pub metrics: Vec<String>,
    /// `interval.ms`: between two pushes.
    pub interval_ms: u32,
    /// `match`: what must match as a whole; nothing: all clients do.
    pub patterns: BTreeMap<ClientSelector, Regex>,
}

impl SubscriptionConfig {
    /// Where nothing is said, and where no subscription matches: five minutes.
    pub const INTERVAL_DEFAULT_MS: u32 = 300_000;

    /// Of these overrides.
    ///
    /// # Errors
    /// A pattern that is none, or an interval that is no number.
    pub fn new(overrides: &ConfigMap) -> Result<Self, ConfigError> {
        let list = |name| overrides.get(name).map(|text| split_list(text.trim())).unwrap_or_default();
        let interval_ms = match overrides.get(INTERVAL) {
            None => Self::INTERVAL_DEFAULT_MS,
            Some(text) => text
                .trim()
                .parse()
                .map_err(|_| ConfigError::invalid(INTERVAL, text, "Not a number of type INT"))?,
        };
        Ok(Self { metrics: list(METRICS), interval_ms, patterns: parse_patterns(&list(MATCH))? })
    }
}

/// The patterns by what they select by: of one that stands twice, the last.
pub(crate) fn parse_patterns(patterns: &[String]) -> Result<BTreeMap<ClientSelector, Regex>, ConfigError> {
    let parse = |pattern: &String| {
        parse_pattern(pattern)
            .ok_or_else(|| ConfigError::refused(MATCH, format!("Illegal client matching pattern: {pattern}")))
    };
    patterns.iter().map(parse).collect()
}

/// `selector=regular expression`, with one `=` that is not at the end. The expression is to match a text as a whole.
fn parse_pattern(pattern: &str) -> Option<(ClientSelector, Regex)> {
    let (name, expression) = pattern.trim_end_matches('=').split_once('=')?;
    let selector = ClientSelector::ALL.into_iter().find(|selector| selector.name() == name.trim())?;
    let expression = expression.trim();
    if expression.contains('=') || Regex::new(expression).is_err() {
        return None;
    }
    Some((selector, Regex::new(&format!("^(?:{expression})$")).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(patterns: &str, selector: ClientSelector, text: &str) -> bool {
        let overrides = ConfigMap::from([(MATCH.to_owned(), patterns.to_owned())]);
        let config = SubscriptionConfig::new(&overrides).expect("is allowed");
        config.patterns.get(&selector).is_some_and(|pattern| pattern.is_match(text))
    }

    #[test]
    fn a_pattern_matches_the_whole() {
        let id = |patterns, text| matches(patterns, ClientSelector::ClientId, text);
        assert!(id("client_id=a|ab", "ab"), "the longer alternative, too");
        assert!(!id("client_id=a", "ab") && !id("client_id=b", "ab"));
        assert!(id(" client_id = a.* ", "abc"));
        assert!(id("client_id=x,client_id=y", "y") && !id("client_id=x,client_id=y", "x"));
        assert!(!id("client_software_name=a", "a"));
    }

    #[test]
    fn what_is_not_said_is_kafkas_default() {
        let config = SubscriptionConfig::new(&ConfigMap::new()).expect("is allowed");
        assert_eq!((config.metrics.len(), config.interval_ms, config.patterns.len()), (0, 300_000, 0));
    }

    #[test]
    fn an_expression_that_would_leave_its_group_is_none() {
        for pattern in ["client_id=a)(b", "client_id=(?x)a#", "client_id=("] {
            assert!(parse_pattern(pattern).is_none(), "{pattern}");
        }
    }
}
