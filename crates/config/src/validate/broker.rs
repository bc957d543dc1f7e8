//! What a running broker's settings may become (`DynamicBrokerConfig.validate`, KIP-226).

use crate::support::check_supported;
use crate::value::split_list;
use crate::{
    BrokerConfig, Check, ConfigError, ConfigMap, ConfigType, Definition, Scope, UpdateMode, broker_default,
    definition, dynamic_only, synonyms,
};

/// Which dynamic broker settings are changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokerResource {
    /// Those of one broker.
    One,
    /// The default of all brokers (resource name `""`).
    All,
}

/// Whether a broker, or all brokers, may have these dynamic settings; in Kafka's order of checks. What Ottla does not
/// honour is refused here, where Kafka would take it. `broker` has the settings as they are now.
///
/// # Errors
/// The first reason why not.
pub fn validate_broker(
    overrides: &ConfigMap,
    resource: BrokerResource,
    broker: &BrokerConfig,
) -> Result<(), ConfigError> {
    let names = |wanted: &dyn Fn(&str) -> bool| {
        overrides.keys().map(String::as_str).filter(|name| wanted(name)).collect::<Vec<_>>()
    };
    refuse_all(&names(&is_read_only), "Cannot update these configs dynamically")?;
    let reason =
        "These security configs can be dynamically updated only per-listener using the listener prefix";
    refuse_all(&names(&|name| STORES.contains(&name)), reason)?;
    overrides.iter().try_for_each(|(name, text)| check_value(name, text))?;
    if resource == BrokerResource::All {
        let reason = "Cannot update these configs at default cluster level, broker id must be specified";
        refuse_all(&names(&is_per_broker), reason)?;
    }
    for (name, text) in overrides {
        check_honoured(name, text, broker)?;
    }
    let layers = broker.layers().clone();
    let after = match resource {
        BrokerResource::One => broker.with_dynamic(layers.dynamic_default, overrides.clone()),
        BrokerResource::All => broker.with_dynamic(overrides.clone(), layers.dynamic_broker),
    }?;
    check_listeners(overrides)?;
    check_threads(broker, &after)
}

/// What a listener may set for itself has to let somebody in (`ListenerConnectionQuota.validateReconfiguration`).
fn check_listeners(overrides: &ConfigMap) -> Result<(), ConfigError> {
    for (name, text) in overrides {
        let limit = of_listener(name).filter(|base| LIMITS_OF_LISTENERS.contains(base));
        if let Some(base) = limit.filter(|_| text.trim().parse().is_ok_and(|n: i32| n <= 0)) {
            return Err(invalid_dynamic(name, &format!("Invalid {base} {}", text.trim())));
        }
    }
    Ok(())
}

/// Key and trust stores (`SslConfigs.RECONFIGURABLE_CONFIGS`).
const STORES: [&str; 10] = [
    "ssl.key.password",
    "ssl.keystore.certificate.chain",
    "ssl.keystore.key",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.keystore.type",
    "ssl.truststore.certificates",
    "ssl.truststore.location",
    "ssl.truststore.password",
    "ssl.truststore.type",
];
/// What Kafka takes from `listener.name.NAME.` and may be the same for all brokers.
const OF_ALL_LISTENERS: [&str; 3] =
    ["max.connections", "max.connection.creation.rate", "num.network.threads"];
/// What a listener may set for itself, and it has an effect.
const LIMITS_OF_LISTENERS: [&str; 2] = ["max.connections", "max.connection.creation.rate"];
/// What Kafka can change while it runs, and Ottla sets up once, when it starts.
const SET_UP_AT_START: [&str; 2] = ["listeners", "listener.security.protocol.map"];

fn is_read_only(name: &str) -> bool {
    definition(Scope::Broker, name).is_some_and(|definition| definition.update == UpdateMode::ReadOnly)
}

fn is_per_broker(name: &str) -> bool {
    match of_listener(name) {
        Some(base) => !OF_ALL_LISTENERS.contains(&base),
        None => definition(Scope::Broker, name).is_some_and(|d| d.update == UpdateMode::PerBroker),
    }
}

/// The setting that `listener.name.NAME.` stands before.
fn of_listener(name: &str) -> Option<&str> {
    synonyms::of_listener(name).map(|(_, base)| base)
}

fn refuse_all(names: &[&str], reason: &str) -> Result<(), ConfigError> {
    match names {
        [] => Ok(()),
        [first, ..] => Err(ConfigError::refused(first, format!("{reason}: [{}]", names.join(", ")))),
    }
}

fn check_value(name: &str, text: &str) -> Result<(), ConfigError> {
    let Some(definition) = known(of_listener(name).unwrap_or(name)) else { return Ok(()) };
    if matches!(definition.check, Check::ListOf { .. }) {
        refuse_duplicates(definition.name, text)?;
    }
    definition.parse(text)?;
    if definition.config_type == ConfigType::Class && definition.default.text() != Some(text.trim()) {
        // No class can: there is no JVM to load it.
        let class = text.trim();
        return Err(ConfigError::invalid(name, class, format!("Class {class} could not be found.")));
    }
    Ok(())
}

fn known(name: &str) -> Option<&'static Definition> {
    definition(Scope::Broker, name).or_else(|| dynamic_only(name))
}

/// Only here do duplicates matter; elsewhere they are dropped.
fn refuse_duplicates(name: &str, text: &str) -> Result<(), ConfigError> {
    let items = split_list(text.trim());
    let repeated = items.iter().enumerate().any(|(i, item)| items.iter().take(i).any(|have| have == item));
    if repeated {
        return Err(ConfigError::refused(
            name,
            format!("Configuration '{name}' values must not be duplicated."),
        ));
    }
    Ok(())
}

fn check_honoured(name: &str, text: &str, broker: &BrokerConfig) -> Result<(), ConfigError> {
    if let Some(base) = of_listener(name) {
        if LIMITS_OF_LISTENERS.contains(&base) {
            return Ok(());
        }
        let hides = known(base).is_none_or(Definition::is_sensitive);
        let value = if hides { "[hidden]" } else { text };
        return Err(ConfigError::not_yet(name, value, "a setting of one listener", "set it for all of them"));
    }
    let Some(definition) = known(name) else {
        return Err(ConfigError::Unknown { scope: Scope::Broker, name: name.to_owned() });
    };
    check_supported(definition, text)?;
    let started_with = broker.layers().fixed.get(name).map(String::as_str).or_else(|| broker_default(name));
    if name == "listeners" {
        check_controller_listener(text, broker)?;
    }
    if SET_UP_AT_START.contains(&name) && started_with != Some(text) {
        return Err(ConfigError::not_yet(name, text, "a change while the broker runs", "remove it"));
    }
    if name == "metric.reporters" {
        return check_reporters(text);
    }
    Ok(())
}

/// Where the file names a listener for the controller, there must be one.
fn check_controller_listener(listeners: &str, broker: &BrokerConfig) -> Result<(), ConfigError> {
    let name_of = |entry: &str| entry.split("://").next().unwrap_or_default().trim().to_ascii_uppercase();
    let controller = &broker.net.controller_listeners;
    let stays = |entry: &String| controller.iter().any(|listener| listener.name == name_of(entry));
    if controller.is_empty() || split_list(listeners.trim()).iter().any(stays) {
        return Ok(());
    }
    Err(ConfigError::conflict(
        "requirement failed: controller.listener.names must contain at least one value appearing in the 'listeners' \
         configuration when running the KRaft controller role",
    ))
}

/// The one that Kafka comes with may be named; no other can be loaded.
fn check_reporters(text: &str) -> Result<(), ConfigError> {
    let mut reporters = split_list(text.trim()).into_iter();
    if reporters.all(|class| class == "org.apache.kafka.common.metrics.JmxReporter") {
        return Ok(());
    }
    Err(invalid_dynamic(
        "metric.reporters",
        "Validation of dynamic config update of Set(metric.reporters) failed with class class \
         kafka.server.DynamicMetricsReporters",
    ))
}

const THREADS: [&str; 5] = [
    "background.threads",
    "num.io.threads",
    "num.network.threads",
    "num.recovery.threads.per.data.dir",
    "num.replica.fetchers",
];

/// A pool grows at most to the double, and shrinks at most to the half, in one step.
fn check_threads(before: &BrokerConfig, after: &BrokerConfig) -> Result<(), ConfigError> {
    for name in THREADS {
        let (old, new) = (before.layers().int(name)?, after.layers().int(name)?);
        let rule = if new < old / 2 {
            format!("value should be at least half the current value {old}")
        } else if new > old.saturating_mul(2) {
            format!("value should not be greater than double the current value {old}")
        } else {
            continue;
        };
        let message = format!("Dynamic thread count update validation failed for {name}={new}, {rule}");
        return Err(invalid_dynamic(name, &message));
    }
    check_cleaner_threads(before, after)
}

fn check_cleaner_threads(before: &BrokerConfig, after: &BrokerConfig) -> Result<(), ConfigError> {
    const NAME: &str = "log.cleaner.threads";
    let (old, new) = (before.layers().int(NAME)?, after.layers().int(NAME)?);
    let rule = if new < old / 2 {
        format!("Log cleaner threads cannot be reduced to less than half the current value {old}")
    } else if new > old.saturating_mul(2) {
        format!("Log cleaner threads cannot be increased to more than double the current value {old}")
    } else {
        return Ok(());
    };
    Err(invalid_dynamic(NAME, &rule))
}

/// Kafka's words around what a part of the broker has against its new settings.
fn invalid_dynamic(name: &str, why: &str) -> ConfigError {
    let message = format!(
        "Invalid value org.apache.kafka.common.config.ConfigException: {why} for configuration Invalid dynamic \
         configuration"
    );
    ConfigError::refused(name, message)
}
