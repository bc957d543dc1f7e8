//! Whether a set of overrides is allowed for a topic, a group, a broker: what CreateTopics and AlterConfigs ask.

use crate::{BrokerConfig, ConfigError, ConfigMap, Scope, TopicConfig, definition};

/// Whether a topic may have these overrides (all of them, after the change).
///
/// # Errors
/// The first that is unknown or not allowed, or the first pair that contradicts.
pub fn validate_topic(overrides: &ConfigMap, broker: &BrokerConfig) -> Result<(), ConfigError> {
    check_each(Scope::Topic, overrides)?;
    TopicConfig::resolve(overrides, broker).map(|_| ())
}

fn check_each(scope: Scope, overrides: &ConfigMap) -> Result<(), ConfigError> {
    for (name, text) in overrides {
        match definition(scope, name) {
            Some(definition) => definition.parse(text)?,
            None => return Err(ConfigError::Unknown { scope, name: name.clone() }),
        };
    }
    Ok(())
}
