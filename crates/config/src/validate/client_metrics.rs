//! What a client metrics subscription's settings may be (`ClientMetricsConfigs.validate`, KIP-714).

use super::check_values;
use crate::client_metrics::INTERVAL;
use crate::{ConfigError, ConfigMap, Scope, SubscriptionConfig, definition};

const INTERVAL_MIN_MS: i32 = 100;
const INTERVAL_MAX_MS: i32 = 3_600_000;

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
    SubscriptionConfig::new(overrides).map(drop)
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
