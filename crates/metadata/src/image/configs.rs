//! Dynamic configs: what has been set by a request, per resource.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::record::{ConfigRecord, MetadataRecord};

/// What a config belongs to; the numbers are Kafka's `ConfigResource.Type` ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConfigResourceType {
    Topic,
    Broker,
    BrokerLogger,
    ClientMetrics,
    Group,
}

impl ConfigResourceType {
    #[must_use]
    pub const fn id(self) -> i8 {
        match self {
            Self::Topic => 2,
            Self::Broker => 4,
            Self::BrokerLogger => 8,
            Self::ClientMetrics => 16,
            Self::Group => 32,
        }
    }

    #[must_use]
    pub const fn from_id(id: i8) -> Option<Self> {
        match id {
            2 => Some(Self::Topic),
            4 => Some(Self::Broker),
            8 => Some(Self::BrokerLogger),
            16 => Some(Self::ClientMetrics),
            32 => Some(Self::Group),
            _ => None,
        }
    }
}

/// One resource. The empty name of type broker is the cluster-wide default.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigResource {
    pub kind: ConfigResourceType,
    pub name: Arc<str>,
}

impl ConfigResource {
    #[must_use]
    pub fn new(kind: ConfigResourceType, name: impl Into<Arc<str>>) -> Self {
        Self { kind, name: name.into() }
    }

    #[must_use]
    pub fn topic(name: impl Into<Arc<str>>) -> Self {
        Self::new(ConfigResourceType::Topic, name)
    }
}

/// The configs set on one resource, by name. Never empty inside a [`ConfigsImage`].
pub type ConfigOverrides = BTreeMap<String, String>;

/// The configs set on all resources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigsImage {
    resources: BTreeMap<ConfigResourceType, BTreeMap<Arc<str>, Arc<ConfigOverrides>>>,
}

impl ConfigsImage {
    /// What is set on a resource; `None` if nothing is.
    #[must_use]
    pub fn overrides(&self, kind: ConfigResourceType, name: &str) -> Option<&Arc<ConfigOverrides>> {
        self.resources.get(&kind)?.get(name)
    }

    /// What is set on a topic; `None` if nothing is.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<&Arc<ConfigOverrides>> {
        self.overrides(ConfigResourceType::Topic, name)
    }

    /// The value of one config of a resource, if it is set.
    #[must_use]
    pub fn get(&self, kind: ConfigResourceType, name: &str, key: &str) -> Option<&str> {
        self.overrides(kind, name)?.get(key).map(String::as_str)
    }

    #[must_use]
    pub fn has_overrides(&self, kind: ConfigResourceType, name: &str) -> bool {
        self.overrides(kind, name).is_some()
    }

    /// Every resource of a type that has something set, by name.
    pub fn resources(
        &self,
        kind: ConfigResourceType,
    ) -> impl Iterator<Item = (&Arc<str>, &Arc<ConfigOverrides>)> {
        self.resources.get(&kind).into_iter().flatten()
    }

    /// Every resource that has something set.
    pub fn iter(&self) -> impl Iterator<Item = (ConfigResource, &Arc<ConfigOverrides>)> {
        self.resources.iter().flat_map(|(kind, of_kind)| {
            of_kind
                .iter()
                .map(|(name, overrides)| (ConfigResource { kind: *kind, name: name.clone() }, overrides))
        })
    }

    pub(super) fn apply(&mut self, record: &ConfigRecord) {
        match &record.value {
            Some(value) => self.set(record, value),
            None => self.delete(record),
        }
    }

    pub(super) fn remove_resource(&mut self, kind: ConfigResourceType, name: &str) {
        let Some(of_kind) = self.resources.get_mut(&kind) else { return };
        of_kind.remove(name);
        if of_kind.is_empty() {
            self.resources.remove(&kind);
        }
    }

    pub(super) fn write_records(&self, out: &mut Vec<MetadataRecord>) {
        for (resource, overrides) in self.iter() {
            out.extend(overrides.iter().map(|(name, value)| {
                MetadataRecord::Config(ConfigRecord {
                    resource_type: resource.kind,
                    resource_name: resource.name.to_string(),
                    name: name.clone(),
                    value: Some(value.clone()),
                })
            }));
        }
    }

    fn set(&mut self, record: &ConfigRecord, value: &str) {
        let of_kind = self.resources.entry(record.resource_type).or_default();
        let overrides = of_kind.entry(Arc::from(record.resource_name.as_str())).or_default();
        Arc::make_mut(overrides).insert(record.name.clone(), value.to_owned());
    }

    fn delete(&mut self, record: &ConfigRecord) {
        let Some(of_kind) = self.resources.get_mut(&record.resource_type) else { return };
        let Some(overrides) = of_kind.get_mut(record.resource_name.as_str()) else { return };
        let overrides = Arc::make_mut(overrides);
        overrides.remove(&record.name);
        if overrides.is_empty() {
            self.remove_resource(record.resource_type, &record.resource_name);
        }
    }
}
