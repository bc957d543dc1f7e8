//! Where broker settings come from, and the strongest value of each.

use std::collections::BTreeMap;

use crate::value::split_list;
use crate::{ConfigError, Scope, Value, definition, differences, synonyms};

/// Settings as text, by name.
pub type ConfigMap = BTreeMap<String, String>;

/// Where the settings come from, the strongest last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layers {
    /// The file and the command line.
    pub fixed: ConfigMap,
    /// The cluster's dynamic default (broker resource `""`).
    pub dynamic_default: ConfigMap,
    /// This broker's dynamic settings.
    pub dynamic_broker: ConfigMap,
}

impl Layers {
    /// What somebody has set, the strongest layer's. A dynamic setting hides what weaker layers say under other names
    /// for the same thing (`DynamicBrokerConfig.overrideProps`).
    pub(crate) fn set(&self, name: &str) -> Option<&str> {
        for layer in [&self.dynamic_broker, &self.dynamic_default] {
            if let Some(text) = layer.get(name) {
                return Some(text);
            }
            if synonyms::hidden_by(name).iter().any(|other| layer.contains_key(*other)) {
                return None;
            }
        }
        self.fixed.get(name).map(String::as_str)
    }

    /// What holds: what somebody has set, or the default.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.set(name).or_else(|| default_text(name))
    }

    fn value(&self, name: &'static str) -> Result<Value, ConfigError> {
        let missing = || ConfigError::Missing { name: name.to_owned() };
        let definition = definition(Scope::Broker, name).ok_or_else(missing)?;
        match self.text(name) {
            Some(text) => definition.parse(text),
            None => Ok(Value::Null),
        }
    }

    pub(crate) fn optional_long(&self, name: &'static str) -> Result<Option<i64>, ConfigError> {
        Ok(self.value(name)?.as_i64())
    }

    pub(crate) fn long(&self, name: &'static str) -> Result<i64, ConfigError> {
        self.optional_long(name)?.ok_or_else(|| ConfigError::Missing { name: name.to_owned() })
    }

    pub(crate) fn int(&self, name: &'static str) -> Result<i32, ConfigError> {
        match self.value(name)? {
            Value::Int(n) => Ok(n),
            Value::Short(n) => Ok(i32::from(n)),
            _ => Err(ConfigError::Missing { name: name.to_owned() }),
        }
    }

    pub(crate) fn double(&self, name: &'static str) -> Result<f64, ConfigError> {
        match self.value(name)? {
            Value::Double(x) => Ok(x),
            _ => Err(ConfigError::Missing { name: name.to_owned() }),
        }
    }

    pub(crate) fn short(&self, name: &'static str) -> Result<i16, ConfigError> {
        match self.value(name)? {
            Value::Short(n) => Ok(n),
            _ => Err(ConfigError::Missing { name: name.to_owned() }),
        }
    }

    pub(crate) fn boolean(&self, name: &'static str) -> Result<bool, ConfigError> {
        match self.value(name)? {
            Value::Boolean(b) => Ok(b),
            _ => Err(ConfigError::Missing { name: name.to_owned() }),
        }
    }

    /// The text of a setting, `None` where it is null or empty.
    pub(crate) fn non_empty(&self, name: &'static str) -> Option<String> {
        self.text(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    pub(crate) fn list(&self, name: &'static str) -> Vec<String> {
        self.text(name).map(|text| split_list(text.trim())).unwrap_or_default()
    }
}

/// The default of a broker setting as text: Ottla's where it differs on purpose, else Kafka's.
pub(crate) fn default_text(name: &str) -> Option<&'static str> {
    match differences::difference(name) {
        Some(difference) => difference.default,
        None => definition(Scope::Broker, name).and_then(|definition| definition.default.text()),
    }
}
