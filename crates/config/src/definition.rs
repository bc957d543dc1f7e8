//! What a setting is: its name, type, default, allowed values, scope, update mode, and what Ottla does with it.

use crate::Check;

/// Which resource a setting belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    Topic,
    Broker,
    Group,
    ClientMetrics,
}

/// Kafka's type of a setting (`ConfigDef.Type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConfigType {
    Boolean,
    String,
    Int,
    Short,
    Long,
    Double,
    List,
    Class,
    Password,
}

impl ConfigType {
    /// Kafka's name of the type, as its error messages print it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::String => "STRING",
            Self::Int => "INT",
            Self::Short => "SHORT",
            Self::Long => "LONG",
            Self::Double => "DOUBLE",
            Self::List => "LIST",
            Self::Class => "CLASS",
            Self::Password => "PASSWORD",
        }
    }
}

/// The value of a setting that nobody has set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultValue {
    /// Kafka refuses to start without it.
    Required,
    /// Nothing: another setting decides, or the feature is off.
    Null,
    /// The default as it would be written in a file.
    Text(&'static str),
}

impl DefaultValue {
    /// The default's text, if it has one.
    #[must_use]
    pub const fn text(self) -> Option<&'static str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Required | Self::Null => None,
        }
    }
}

/// Whether a running broker takes a new value (KIP-226).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateMode {
    /// Only with a restart.
    ReadOnly,
    /// Dynamically, on one broker only.
    PerBroker,
    /// Dynamically, on one broker or as the cluster's default.
    ClusterWide,
}

/// What Ottla does with a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It does what it does in Kafka.
    Honoured,
    /// It changes nothing that anyone could see here, and is accepted; the text says why.
    Inert(&'static str),
    /// What it asks for (the text) is not built yet: it may only be what it is by default.
    NotYet(&'static str),
}

/// One setting. Kafka's facts, and what Ottla does with it.
#[derive(Clone, Copy, Debug)]
pub struct Definition {
    pub name: &'static str,
    pub config_type: ConfigType,
    /// Kafka's default; where Ottla's differs on purpose, [`crate::DIFFERENCES`] says so.
    pub default: DefaultValue,
    pub check: Check,
    pub update: UpdateMode,
    pub effect: Effect,
    /// Kafka reads it but neither documents nor describes it.
    pub internal: bool,
}

impl Definition {
    /// Whether the value never leaves the process: not in DescribeConfigs, not in a log.
    #[must_use]
    pub const fn is_sensitive(&self) -> bool {
        matches!(self.config_type, ConfigType::Password)
    }
}
