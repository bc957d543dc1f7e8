//! DescribeConfigs: every setting of a resource with its effective value, source and synonyms.

use crate::entry::{ConfigEntry, ConfigSource, ConfigSynonym};
use crate::synonyms::{self, Inherit};
use crate::{
    BrokerConfig, ConfigMap, Definition, Scope, UpdateMode, broker_default, definition, definitions,
    dynamic_only,
};

/// All settings of a topic with these overrides.
#[must_use]
pub fn describe_topic(overrides: &ConfigMap, broker: &BrokerConfig) -> Vec<ConfigEntry> {
    visible(Scope::Topic).map(|definition| topic_entry(definition, overrides, broker)).collect()
}

/// All settings of this broker.
#[must_use]
pub fn describe_broker(broker: &BrokerConfig) -> Vec<ConfigEntry> {
    let layers = broker.layers();
    let known = visible(Scope::Broker).map(|definition| {
        let mut entry = ConfigEntry::of(
            definition,
            layers.text(definition.name),
            broker_synonyms(definition.name, broker),
        );
        entry.read_only = definition.update == UpdateMode::ReadOnly;
        entry
    });
    let mut entries: Vec<ConfigEntry> = known.collect();
    let set = [&layers.fixed, &layers.dynamic_default, &layers.dynamic_broker];
    let mut others: Vec<&String> = set.into_iter().flat_map(ConfigMap::keys).collect();
    others.retain(|name| definition(Scope::Broker, name).is_none_or(|definition| definition.internal));
    others.sort();
    others.dedup();
    entries.extend(others.into_iter().map(|name| {
        let synonyms = broker_synonyms(name, broker);
        match (dynamic_only(name), of_listener(name)) {
            (Some(definition), _) => ConfigEntry::of(definition, layers.text(name), synonyms),
            (None, Some(definition)) => listener_entry(name, definition, layers.set(name), synonyms),
            (None, None) => unknown_entry(name, synonyms),
        }
    }));
    entries
}

/// What is set for all brokers together (resource name `""`): nothing else, as in Kafka.
#[must_use]
pub fn describe_cluster_default(broker: &BrokerConfig) -> Vec<ConfigEntry> {
    let set = &broker.layers().dynamic_default;
    set.iter().map(|(name, value)| cluster_default_entry(name, value, broker)).collect()
}

/// All settings of a group with these overrides.
#[must_use]
pub fn describe_group(overrides: &ConfigMap, broker: &BrokerConfig) -> Vec<ConfigEntry> {
    visible(Scope::Group).map(|definition| group_entry(definition, overrides, broker)).collect()
}

/// All settings of a client metrics subscription with these overrides.
#[must_use]
pub fn describe_client_metrics(overrides: &ConfigMap) -> Vec<ConfigEntry> {
    let entry = |definition: &'static Definition| {
        let value = overrides.get(definition.name).map(String::as_str);
        let own = own_synonym(definition, value, ConfigSource::ClientMetrics);
        ConfigEntry::of(definition, value.or_else(|| definition.default.text()), own.into_iter().collect())
    };
    visible(Scope::ClientMetrics).map(entry).collect()
}

fn visible(scope: Scope) -> impl Iterator<Item = &'static Definition> {
    definitions(scope).filter(|definition| !definition.internal)
}

fn topic_entry(definition: &Definition, overrides: &ConfigMap, broker: &BrokerConfig) -> ConfigEntry {
    let value = overrides.get(definition.name).map(String::as_str);
    let mut all: Vec<ConfigSynonym> =
        own_synonym(definition, value, ConfigSource::Topic).into_iter().collect();
    let inherited = synonyms::inherited(definition.name, broker.layers());
    match synonyms::synonym(definition.name) {
        Some(Inherit::Same(name)) => all.extend(broker_synonyms(name, broker)),
        Some(Inherit::Time(units)) => {
            if let Some((name, _)) = units.first() {
                all.extend(broker_synonyms(name, broker));
            }
        }
        None => {}
    }
    ConfigEntry::of(definition, value.or(inherited.as_deref()), all)
}

fn group_entry(definition: &Definition, overrides: &ConfigMap, broker: &BrokerConfig) -> ConfigEntry {
    let value = overrides.get(definition.name).map(String::as_str);
    let mut all: Vec<ConfigSynonym> =
        own_synonym(definition, value, ConfigSource::Group).into_iter().collect();
    match synonyms::of_group(definition.name) {
        Some(name) => all.extend(broker_synonyms(name, broker)),
        None => all.extend(own_synonym(definition, definition.default.text(), ConfigSource::Default)),
    }
    let inherited = synonyms::inherited_by_group(definition.name, broker.layers());
    ConfigEntry::of(definition, value.or(inherited), all)
}

/// The setting itself as one of its synonyms, if it has a value.
fn own_synonym(definition: &Definition, value: Option<&str>, source: ConfigSource) -> Option<ConfigSynonym> {
    let value = definition.normalised(value?);
    Some(ConfigSynonym { name: definition.name.to_owned(), value: Some(value), source })
}

/// Who sets a broker setting: its names in order of precedence, layer by layer, from its own name on.
fn broker_synonyms(name: &str, broker: &BrokerConfig) -> Vec<ConfigSynonym> {
    let layers = broker.layers();
    let names = synonyms::broker_names(name);
    let of_layer = |layer: &ConfigMap, source| {
        let set = |name: &&str| layer.get(*name).map(|value| synonym(name, value, source));
        names.iter().filter_map(set).collect::<Vec<_>>()
    };
    let mut all = of_layer(&layers.dynamic_broker, ConfigSource::DynamicBroker);
    all.extend(of_layer(&layers.dynamic_default, ConfigSource::DynamicDefaultBroker));
    all.extend(of_layer(&layers.fixed, ConfigSource::StaticBroker));
    let default = |name: &&str| broker_default(name).map(|value| synonym(name, value, ConfigSource::Default));
    all.extend(names.iter().filter_map(default));
    // Kafka drops what other names set before the first that the name itself sets.
    all.into_iter().skip_while(|synonym| synonym.name != name).collect()
}

fn synonym(name: &str, value: &str, source: ConfigSource) -> ConfigSynonym {
    // A key that nobody knows may be a secret.
    let known = definition(Scope::Broker, name).or_else(|| dynamic_only(name)).or_else(|| of_listener(name));
    let hidden = known.is_none_or(Definition::is_sensitive);
    let value = Some(value.to_owned()).filter(|_| !hidden);
    ConfigSynonym { name: name.to_owned(), value, source }
}

/// The broker setting that a listener sets for itself.
fn of_listener(name: &str) -> Option<&'static Definition> {
    definition(Scope::Broker, synonyms::of_listener(name)?.1)
}

/// Kafka calls what a listener sets for itself read-only, though it is not.
fn listener_entry(
    name: &str,
    definition: &Definition,
    value: Option<&str>,
    synonyms: Vec<ConfigSynonym>,
) -> ConfigEntry {
    let entry = ConfigEntry::of(definition, value, synonyms);
    ConfigEntry { name: name.to_owned(), read_only: true, ..entry }
}

fn unknown_entry(name: &str, synonyms: Vec<ConfigSynonym>) -> ConfigEntry {
    let source = synonyms.first().map_or(ConfigSource::Default, |synonym| synonym.source);
    ConfigEntry {
        name: name.to_owned(),
        value: None,
        source,
        read_only: true,
        sensitive: true,
        config_type: None,
        synonyms,
    }
}

fn cluster_default_entry(name: &str, value: &str, broker: &BrokerConfig) -> ConfigEntry {
    let mut synonyms = broker_synonyms(name, broker);
    synonyms.retain(|synonym| synonym.source == ConfigSource::DynamicDefaultBroker);
    let known = definition(Scope::Broker, name).or_else(|| dynamic_only(name));
    let Some(definition) = known else {
        return match of_listener(name) {
            Some(definition) => listener_entry(name, definition, Some(value), synonyms),
            None => unknown_entry(name, synonyms),
        };
    };
    let mut entry = ConfigEntry::of(definition, Some(value), synonyms);
    entry.read_only = definition.update == UpdateMode::ReadOnly;
    entry
}

#[cfg(test)]
mod tests;
