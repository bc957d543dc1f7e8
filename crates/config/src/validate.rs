//! Whether a set of overrides is allowed for a topic, a group, a broker: what CreateTopics and AlterConfigs ask.
//!
//! Each function takes all overrides of the resource as they would be after the change.

mod broker;
mod client_metrics;
mod group;
mod list;

pub use broker::{BrokerResource, validate_broker};
pub use client_metrics::validate_client_metrics;
pub use group::validate_group;
pub use list::{ListChange, change_list};

use crate::support::check_supported;
use crate::{BrokerConfig, ConfigError, ConfigMap, Scope, TopicConfig, definition};

/// Whether a topic may have these overrides (`LogConfig.validate`).
///
/// # Errors
/// The first that is unknown or not allowed, or what contradicts.
pub fn validate_topic(overrides: &ConfigMap, broker: &BrokerConfig) -> Result<(), ConfigError> {
    check_names(Scope::Topic, overrides)?;
    check_values(Scope::Topic, overrides)?;
    let topic = TopicConfig::resolve(overrides, broker)?;
    let (min, max) = (topic.min_compaction_lag_ms, topic.max_compaction_lag_ms);
    if min > max {
        let message = format!(
            "conflict topic config setting min.compaction.lag.ms ({min}) > max.compaction.lag.ms ({max})"
        );
        return Err(ConfigError::conflict(message));
    }
    if topic.remote_storage_enable {
        return Err(ConfigError::refused(
            "remote.storage.enable",
            "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage.",
        ));
    }
    check_honoured(Scope::Topic, overrides)
}

fn check_names(scope: Scope, overrides: &ConfigMap) -> Result<(), ConfigError> {
    match overrides.keys().find(|name| definition(scope, name).is_none()) {
        Some(name) => Err(ConfigError::Unknown { scope, name: name.clone() }),
        None => Ok(()),
    }
}

fn check_values(scope: Scope, overrides: &ConfigMap) -> Result<(), ConfigError> {
    for (name, text) in overrides {
        if let Some(definition) = definition(scope, name) {
            definition.parse(text)?;
        }
    }
    Ok(())
}

/// Last: what Kafka refuses, too, is refused in its words.
fn check_honoured(scope: Scope, overrides: &ConfigMap) -> Result<(), ConfigError> {
    let mut known = overrides.iter().filter_map(|(name, text)| Some((definition(scope, name)?, text)));
    known.try_for_each(|(definition, text)| check_supported(definition, text))
}

#[cfg(test)]
mod tests;
