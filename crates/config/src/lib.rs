//! Every setting once: its name, type, default, allowed values, scope and effect; and `server.properties`.
//!
//! Owns: the table of Kafka 4.4's settings, their parsing and validation with Kafka's messages, the broker's typed
//! settings, the effective settings of topics and groups, what DescribeConfigs says of them.
//! Never: sockets, files, time.

mod broker;
mod check;
mod definition;
mod differences;
mod error;
mod synonyms;
mod table;
mod topic;
mod topic_resolve;
mod validate;
mod value;

pub use broker::{
    BrokerConfig, ConfigMap, ControllerConfig, FetchConfig, GroupCoordinatorConfig, Layers, Listener,
    LogDirsConfig, MigrationPolicy, NetConfig, NodeConfig, OffsetsConfig, ProducerIdConfig,
    ReplicationConfig, TopicDefaults,
};
pub use check::Check;
pub use definition::{ConfigType, DefaultValue, Definition, Effect, Scope, UpdateMode};
pub use differences::{DIFFERENCES, Difference};
pub use error::ConfigError;
pub use table::{definition, definitions};
pub use topic::{CleanupPolicy, CompressionType, ThrottledReplicas, TopicConfig};
pub use validate::validate_topic;
pub use value::Value;
