//! What a client metrics subscription's settings may be (`ClientMetricsConfigs.validate`, KIP-714).

use super::check_values;
use crate::value::split_list;
use crate::{ConfigError, ConfigMap, Scope, definition};

const INTERVAL: &str = "interval.ms";
const MATCH: &str = "match";
const INTERVAL_MIN_MS: i32 = 100;
const INTERVAL_MAX_MS: i32 = 3_600_000;
/// What a client can be told by.
const PARAMETERS: [&str; 6] = [
    "client_instance_id",
    "client_id",
    "client_software_name",
    "client_software_version",
    "client_source_address",
    "client_source_port",
];

/// Whether a client metrics subscription may have these overrides.
///
/// # Errors
/// The first that is unknown or not allowed.
pub fn validate_client_metrics(overrides: &ConfigMap) -> Result<(), ConfigError> {
    if let Some(name) = overrides.keys().find(|name| definition(Scope::ClientMetrics, name).is_none()) {
        let message = format!("Unknown client metrics configuration: {name}");
        return Err(ConfigError::InvalidRequest { name: name.clone(), message });
    }
    check_values(Scope::ClientMetrics, overrides)?;
    overrides.get(INTERVAL).map_or(Ok(()), |text| check_interval(text))?;
    let patterns = overrides.get(MATCH).map(|text| split_list(text.trim())).unwrap_or_default();
    patterns.iter().try_for_each(|pattern| check_pattern(pattern))
}

fn check_interval(text: &str) -> Result<(), ConfigError> {
    let interval_ms: i32 = text.trim().parse().unwrap_or_default();
    if (INTERVAL_MIN_MS..=INTERVAL_MAX_MS).contains(&interval_ms) {
        return Ok(());
    }
    let message = format!(
        "Invalid value {interval_ms} for {INTERVAL}, interval must be between {INTERVAL_MIN_MS} and {INTERVAL_MAX_MS} \
         (1 hour)"
    );
    Err(ConfigError::InvalidRequest { name: INTERVAL.to_owned(), message })
}

/// `parameter=regular expression`, with one `=` that is not at the end.
fn check_pattern(pattern: &str) -> Result<(), ConfigError> {
    let trimmed = pattern.trim_end_matches('=');
    let allowed = trimmed.split_once('=').is_some_and(|(parameter, expression)| {
        PARAMETERS.contains(&parameter.trim())
            && !expression.contains('=')
            && regex::Regex::new(expression.trim()).is_ok()
    });
    if allowed {
        return Ok(());
    }
    Err(ConfigError::refused(MATCH, format!("Illegal client matching pattern: {pattern}")))
}
