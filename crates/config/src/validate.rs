//! Whether a set of overrides is allowed for a topic, a group, a broker: what CreateTopics and AlterConfigs ask.
//!
//! Each function takes all overrides of the resource as they would be after the change.

use crate::{BrokerConfig, ConfigError, ConfigMap, Definition, Effect, Scope, TopicConfig, UpdateMode};
use crate::{broker_default, definition, dynamic_only, group, value::split_list};

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
    Ok(())
}

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
    check_group_words(overrides, broker)
}

/// Whether a client metrics subscription may have these overrides.
///
/// # Errors
/// The first that is unknown or not allowed.
pub fn validate_client_metrics(overrides: &ConfigMap) -> Result<(), ConfigError> {
    check_names(Scope::ClientMetrics, overrides)?;
    check_values(Scope::ClientMetrics, overrides)
}

/// Which dynamic broker settings are changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokerResource {
    /// Those of one broker.
    One,
    /// The default of all brokers (resource name `""`).
    All,
}

/// Whether a broker, or all brokers, may have these dynamic settings (`DynamicBrokerConfig.validateConfigs`).
/// What Ottla does not honour is refused here, where Kafka would take it.
///
/// # Errors
/// The first reason why not.
pub fn validate_broker(
    overrides: &ConfigMap,
    resource: BrokerResource,
    broker: &BrokerConfig,
) -> Result<(), ConfigError> {
    let with_mode = |wanted: UpdateMode| {
        let is = |name: &&str| definition(Scope::Broker, name).is_some_and(|d| d.update == wanted);
        overrides.keys().map(String::as_str).filter(is).collect::<Vec<_>>()
    };
    refuse_all(&with_mode(UpdateMode::ReadOnly), "Cannot update these configs dynamically")?;
    for (name, text) in overrides {
        check_dynamic(name, text)?;
        check_starts_with(name, text, broker)?;
    }
    if resource == BrokerResource::All {
        let reason = "Cannot update these configs at default cluster level, broker id must be specified";
        refuse_all(&with_mode(UpdateMode::PerBroker), reason)?;
    }
    let layers = broker.layers().clone();
    match resource {
        BrokerResource::One => broker.with_dynamic(layers.dynamic_default, overrides.clone()),
        BrokerResource::All => broker.with_dynamic(overrides.clone(), layers.dynamic_broker),
    }
    .map(|_| ())
}

fn refuse_all(names: &[&str], reason: &str) -> Result<(), ConfigError> {
    match names {
        [] => Ok(()),
        [first, ..] => Err(ConfigError::refused(first, format!("{reason}: [{}]", names.join(", ")))),
    }
}

fn check_dynamic(name: &str, text: &str) -> Result<(), ConfigError> {
    let Some(definition) = definition(Scope::Broker, name).or_else(|| dynamic_only(name)) else {
        return Err(ConfigError::Unknown { scope: Scope::Broker, name: name.to_owned() });
    };
    definition.parse(text)?;
    let honoured = matches!(definition.effect, Effect::Honoured | Effect::Inert(_));
    if honoured || is_default(definition, text) {
        return Ok(());
    }
    let shown = if definition.is_sensitive() { "[hidden]" } else { text };
    Err(ConfigError::invalid(name, shown, "This configuration is not supported yet"))
}

/// What Kafka can change while it runs, and Ottla sets up once, when it starts.
const SET_UP_AT_START: [&str; 2] = ["listeners", "listener.security.protocol.map"];

fn check_starts_with(name: &str, text: &str, broker: &BrokerConfig) -> Result<(), ConfigError> {
    let started_with = broker.layers().fixed.get(name).map(String::as_str).or_else(|| broker_default(name));
    if !SET_UP_AT_START.contains(&name) || started_with == Some(text) {
        return Ok(());
    }
    Err(ConfigError::invalid(name, text, "This configuration cannot be changed while the broker runs yet"))
}

/// Whether the text means what the broker setting is anyway.
pub(crate) fn is_default(definition: &Definition, text: &str) -> bool {
    let default = broker_default(definition.name).or_else(|| definition.default.text());
    default.map(|default| definition.normalised(default)) == Some(definition.normalised(text))
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

/// The elements that AppendConfig and SubtractConfig leave of a LIST setting's current text.
///
/// # Errors
/// [`ConfigError::Refused`]: the setting is not a list.
pub fn change_list(
    definition: &Definition,
    current: Option<&str>,
    items: &str,
    add: bool,
) -> Result<String, ConfigError> {
    if definition.config_type != crate::ConfigType::List {
        let operation = if add { "APPEND" } else { "SUBTRACT" };
        let message = format!("Can't {operation} to key {} because its type is not LIST.", definition.name);
        return Err(ConfigError::refused(definition.name, message));
    }
    let mut list = split_list(current.unwrap_or_default().trim());
    for item in split_list(items.trim()) {
        match (add, list.iter().position(|have| *have == item)) {
            (true, None) => list.push(item),
            (false, Some(at)) => drop(list.remove(at)),
            _ => {}
        }
    }
    Ok(list.join(","))
}

#[cfg(test)]
mod tests;
