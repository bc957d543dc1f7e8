//! What a group's settings may be (`GroupConfig.validate`).

use super::{check_honoured, check_names, check_values};
use crate::{BrokerConfig, ConfigError, ConfigMap, Scope, definition, group};

/// Whether a group may have these overrides (`GroupConfig.validate`).
///
/// # Errors
/// The first that is unknown, not allowed, or outside the broker's bounds.
pub fn validate_group(overrides: &ConfigMap, broker: &BrokerConfig) -> Result<(), ConfigError> {
    check_names(Scope::Group, overrides)?;
    check_values(Scope::Group, overrides)?;
    for (name, text) in overrides {
        check_group_bounds(name, text, broker)?;
    }
    for kind in ["consumer", "share", "streams"] {
        check_session_exceeds_heartbeat(kind, overrides, broker)?;
    }
    check_group_words(overrides, broker)?;
    check_honoured(Scope::Group, overrides)
}

/// The bounds that the broker sets for a group's setting `x.y`: `group.x.min.y` and `group.x.max.y`.
fn check_group_bounds(name: &str, text: &str, broker: &BrokerConfig) -> Result<(), ConfigError> {
    let Some(definition) = definition(Scope::Group, name) else { return Ok(()) };
    let Some(value) = definition.parse(text)?.as_i64() else { return Ok(()) };
    let bound = |which| group_bound(name, which, broker);
    let message = match (bound("min"), bound("max")) {
        (Some(low), Some(high)) if value < low || value > high => {
            format!("{name} must be in the range {low} to {high} inclusive.")
        }
        (None, Some(high)) if value > high => format!("{name} must be less than or equal to {high}"),
        (Some(low), None) if value < low => format!("{name} must be greater than or equal to {low}"),
        _ => return Ok(()),
    };
    Err(ConfigError::refused(name, message))
}

fn group_bound(name: &str, which: &str, broker: &BrokerConfig) -> Option<i64> {
    let (kind, rest) = name.split_once('.')?;
    let setting = match (kind, rest) {
        // The maximum drops the `num` that the setting has.
        ("streams", "num.standby.replicas") => format!("group.streams.{which}.standby.replicas"),
        ("streams", "num.warmup.replicas") => format!("group.streams.{which}.warmup.replicas"),
        _ => format!("group.{kind}.{which}.{rest}"),
    };
    let definition = definition(Scope::Broker, &setting)?;
    let text = broker.layers().text(definition.name)?;
    definition.parse(text).ok()?.as_i64()
}

/// Only where the group sets one of the two itself.
fn check_session_exceeds_heartbeat(
    kind: &str,
    overrides: &ConfigMap,
    broker: &BrokerConfig,
) -> Result<(), ConfigError> {
    let session = format!("{kind}.session.timeout.ms");
    let heartbeat = format!("{kind}.heartbeat.interval.ms");
    if !overrides.contains_key(&session) && !overrides.contains_key(&heartbeat) {
        return Ok(());
    }
    if group::int(overrides, broker, &session)? > group::int(overrides, broker, &heartbeat)? {
        return Ok(());
    }
    Err(ConfigError::refused(&session, format!("{session} must be greater than {heartbeat}")))
}

fn check_group_words(overrides: &ConfigMap, broker: &BrokerConfig) -> Result<(), ConfigError> {
    if let Some(name) = overrides.get("streams.assignor.name") {
        let known = broker.layers().list("group.streams.assignors");
        if !known.contains(name) {
            let message = format!(
                "streams.assignor.name '{name}' is not a registered task assignor. Registered assignors are: [{}].",
                known.join(", ")
            );
            return Err(ConfigError::refused("streams.assignor.name", message));
        }
    }
    let dead_letters = "errors.deadletterqueue.topic.name";
    if overrides.get(dead_letters).is_some_and(|topic| topic.starts_with("__")) {
        let message = format!("{dead_letters}: DLQ topic name must not start with '__'");
        return Err(ConfigError::refused(dead_letters, message));
    }
    Ok(())
}
