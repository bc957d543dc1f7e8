//! A group's effective settings, typed: what the group coordinator uses.

use crate::{BrokerConfig, ConfigError, ConfigMap, Scope, Value, definition, synonyms};

/// The settings of a consumer group (KIP-848). A group's own values stay within the broker's bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumerGroupConfig {
    /// `consumer.session.timeout.ms`.
    pub session_timeout_ms: i32,
    /// `consumer.heartbeat.interval.ms`.
    pub heartbeat_interval_ms: i32,
    /// `consumer.assignment.interval.ms`.
    pub assignment_interval_ms: i32,
}

impl ConsumerGroupConfig {
    /// A group's overrides over the broker's settings, clamped to the broker's bounds.
    ///
    /// # Errors
    /// An override that does not parse.
    pub fn resolve(overrides: &ConfigMap, broker: &BrokerConfig) -> Result<Self, ConfigError> {
        let groups = &broker.groups;
        Ok(Self {
            session_timeout_ms: clamped(
                int(overrides, broker, "consumer.session.timeout.ms")?,
                groups.consumer_session_timeout_min_ms,
                groups.consumer_session_timeout_max_ms,
            ),
            heartbeat_interval_ms: clamped(
                int(overrides, broker, "consumer.heartbeat.interval.ms")?,
                groups.consumer_heartbeat_interval_min_ms,
                groups.consumer_heartbeat_interval_max_ms,
            ),
            assignment_interval_ms: clamped(
                int(overrides, broker, "consumer.assignment.interval.ms")?,
                groups.consumer_assignment_interval_min_ms,
                groups.consumer_assignment_interval_max_ms,
            ),
        })
    }
}

/// Bounds may have moved past a value since it was set; and past each other.
fn clamped(value: i32, low: i32, high: i32) -> i32 {
    value.min(high).max(low)
}

/// A group setting of type INT: the group's own, or the broker's.
pub(crate) fn int(overrides: &ConfigMap, broker: &BrokerConfig, name: &str) -> Result<i32, ConfigError> {
    let missing = || ConfigError::Missing { name: name.to_owned() };
    let definition = definition(Scope::Group, name).ok_or_else(missing)?;
    let inherited = synonyms::inherited_by_group(name, broker.layers());
    let text = overrides.get(name).map(String::as_str).or(inherited).ok_or_else(missing)?;
    match definition.parse(text)? {
        Value::Int(n) => Ok(n),
        _ => Err(missing()),
    }
}
