//! What DescribeConfigs says of a setting.

use crate::{ConfigType, Definition, Value};

/// Which layer a described value comes from (`DescribeConfigsResponse.ConfigSource`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigSource {
    Topic,
    DynamicBroker,
    DynamicDefaultBroker,
    StaticBroker,
    Default,
    ClientMetrics,
    Group,
}

impl ConfigSource {
    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> i8 {
        match self {
            Self::Topic => 1,
            Self::DynamicBroker => 2,
            Self::DynamicDefaultBroker => 3,
            Self::StaticBroker => 4,
            Self::Default => 5,
            Self::ClientMetrics => 7,
            Self::Group => 8,
        }
    }
}

impl ConfigType {
    /// The number on the wire (`DescribeConfigsResponse.ConfigType`); 0 there is "unknown".
    #[must_use]
    pub const fn code(self) -> i8 {
        match self {
            Self::Boolean => 1,
            Self::String => 2,
            Self::Int => 3,
            Self::Short => 4,
            Self::Long => 5,
            Self::Double => 6,
            Self::List => 7,
            Self::Class => 8,
            Self::Password => 9,
        }
    }
}

/// One setting of a described resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    pub name: String,
    /// `None`: not set, or sensitive.
    pub value: Option<String>,
    pub source: ConfigSource,
    pub read_only: bool,
    pub sensitive: bool,
    /// `None`: a key that the table does not know.
    pub config_type: Option<ConfigType>,
    /// Every layer that sets the value, strongest first.
    pub synonyms: Vec<ConfigSynonym>,
}

/// One layer's setting of a described value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigSynonym {
    pub name: String,
    /// `None`: sensitive.
    pub value: Option<String>,
    pub source: ConfigSource,
}

impl ConfigEntry {
    /// What to say of the setting where documentation is asked for.
    #[must_use]
    pub fn documentation(&self, scope: crate::Scope) -> String {
        crate::definition(scope, &self.name).map(Definition::documentation).unwrap_or_default()
    }

    /// An entry of a known setting; its source is that of its strongest synonym.
    pub(crate) fn of(definition: &Definition, value: Option<&str>, synonyms: Vec<ConfigSynonym>) -> Self {
        let sensitive = definition.is_sensitive();
        let source = synonyms.first().map_or(ConfigSource::Default, |synonym| synonym.source);
        Self {
            name: definition.name.to_owned(),
            value: value.filter(|_| !sensitive).map(|text| definition.normalised(text)),
            source,
            read_only: false,
            sensitive,
            config_type: Some(definition.config_type),
            synonyms,
        }
    }
}

impl Definition {
    /// `text` as Kafka prints the parsed value: trimmed, lists without blanks, numbers in plain digits.
    #[must_use]
    pub(crate) fn normalised(&self, text: &str) -> String {
        self.parse(text).ok().and_then(|value| value.text()).unwrap_or_else(|| text.to_owned())
    }

    /// A line on the type, what is allowed, and what Ottla does with the setting.
    #[must_use]
    pub fn documentation(&self) -> String {
        use crate::Effect;
        let effect = match self.effect {
            Effect::Honoured => "honoured",
            Effect::Inert(why) => return format!("{}; without effect: {why}.", self.shape()),
            Effect::NotYet(what) => return format!("{}; not supported yet: {what}.", self.shape()),
        };
        format!("{}; {effect}.", self.shape())
    }

    fn shape(&self) -> String {
        let allowed = self.check.to_string();
        let allowed = if allowed.is_empty() { String::new() } else { format!(", allowed: {allowed}") };
        format!("{}{allowed}", self.config_type.name())
    }
}

impl Value {
    /// As Kafka prints it (`ConfigDef.convertToString`); `None` for null.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        Some(match self {
            Self::Null => return None,
            Self::Boolean(value) => value.to_string(),
            Self::Int(n) => n.to_string(),
            Self::Short(n) => n.to_string(),
            Self::Long(n) => n.to_string(),
            Self::Double(x) => crate::value::double_text(*x),
            Self::List(items) => items.join(","),
            Self::String(text) | Self::Class(text) | Self::Password(text) => text.clone(),
        })
    }
}
