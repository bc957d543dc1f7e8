//! The broker's settings, typed: only what Ottla uses, in small groups, over the layers that they come from.

mod groups;
mod layers;
mod listeners;
mod node_rules;
mod types;
mod value_rules;

pub(crate) use layers::default_text;
pub use layers::{ConfigMap, Layers};
pub use types::{
    CleanerConfig, ControllerConfig, FetchConfig, GroupCoordinatorConfig, Join, Listener, ListenerLimits,
    LogDirsConfig, MemoryConfig, MigrationPolicy, NetConfig, NodeConfig, OffsetsConfig, ProducerIdConfig,
    QuorumVoter, ReplicationConfig, Roles, TopicDefaults,
};

use crate::{ConfigError, Scope, Warning, definition, review};

/// The broker's effective settings. Cheap to rebuild: a dynamic change makes a new one ([`Self::with_dynamic`]).
#[derive(Clone, Debug, PartialEq)]
pub struct BrokerConfig {
    pub node: NodeConfig,
    pub net: NetConfig,
    pub memory: MemoryConfig,
    pub log: LogDirsConfig,
    pub cleaner: CleanerConfig,
    pub topics: TopicDefaults,
    pub fetch: FetchConfig,
    pub replication: ReplicationConfig,
    pub groups: GroupCoordinatorConfig,
    pub offsets: OffsetsConfig,
    pub producer_ids: ProducerIdConfig,
    pub controller: ControllerConfig,
    layers: Layers,
}

impl BrokerConfig {
    /// The settings of a file and the command line, over the defaults.
    ///
    /// # Errors
    /// The first value that is not allowed.
    pub fn from_static(mut fixed: ConfigMap) -> Result<Self, ConfigError> {
        // Either name of the node's id is set by the other.
        for (name, other) in [("broker.id", "node.id"), ("node.id", "broker.id")] {
            if let (None, Some(id)) = (fixed.get(name), fixed.get(other)) {
                fixed.insert(name.to_owned(), id.clone());
            }
        }
        Self::build(Layers { fixed, ..Layers::default() })
    }

    /// As [`Self::from_static`], with what the operator should know of the file.
    ///
    /// # Errors
    /// The first value that is not allowed, or that asks for what is not built yet.
    pub fn load(fixed: ConfigMap) -> Result<(Self, Vec<Warning>), ConfigError> {
        let config = Self::from_static(fixed)?;
        let warnings = review::review(&config.layers.fixed)?;
        Ok((config, warnings))
    }

    /// The same file under other dynamic settings: the cluster's default, then this broker's own.
    ///
    /// # Errors
    /// The first value that is not allowed.
    pub fn with_dynamic(
        &self,
        dynamic_default: ConfigMap,
        dynamic_broker: ConfigMap,
    ) -> Result<Self, ConfigError> {
        let layers = Layers { fixed: self.layers.fixed.clone(), dynamic_default, dynamic_broker };
        let mut config = Self::build(layers)?;
        // None of these change while it runs, and the command line may have said more of them than a file can.
        config.node = self.node.clone();
        config.controller = self.controller.clone();
        config.net.controller_listeners.clone_from(&self.net.controller_listeners);
        config.net.advertised_controller_listeners.clone_from(&self.net.advertised_controller_listeners);
        Ok(config)
    }

    /// Where the settings come from.
    #[must_use]
    pub fn layers(&self) -> &Layers {
        &self.layers
    }

    fn build(layers: Layers) -> Result<Self, ConfigError> {
        for layer in [&layers.fixed, &layers.dynamic_default, &layers.dynamic_broker] {
            check_values(layer)?;
        }
        node_rules::check(&layers)?;
        value_rules::check(&layers)?;
        Ok(Self {
            node: groups::node(&layers)?,
            net: groups::net(&layers)?,
            memory: groups::memory(&layers)?,
            log: groups::log(&layers)?,
            cleaner: groups::cleaner(&layers)?,
            topics: groups::topics(&layers)?,
            fetch: groups::fetch(&layers)?,
            replication: groups::replication(&layers)?,
            groups: groups::group_coordinator(&layers)?,
            offsets: groups::offsets(&layers)?,
            producer_ids: groups::producer_ids(&layers)?,
            controller: groups::controller(&layers)?,
            layers,
        })
    }
}

fn check_values(layer: &ConfigMap) -> Result<(), ConfigError> {
    for (name, text) in layer {
        if let Some(definition) = definition(Scope::Broker, name) {
            definition.parse(text)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
