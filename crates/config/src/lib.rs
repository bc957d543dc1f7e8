//! Every setting once: its name, type, default, allowed values, scope and effect; and `server.properties`.
//!
//! Owns: the table of Kafka 4.4's settings, their parsing and validation with Kafka's messages, the broker's typed
//! settings, the effective settings of topics and groups, what DescribeConfigs says of them.
//! Never: sockets, files, time.

mod broker;
mod check;
mod client_metrics;
mod definition;
mod describe;
mod differences;
mod duration;
mod entry;
mod error;
mod group;
mod properties;
mod replication_factor;
mod review;
mod support;
mod synonyms;
mod table;
mod topic;
mod topic_resolve;
mod validate;
mod value;

pub use broker::{
    BrokerConfig, CleanerConfig, ConfigMap, ControllerConfig, FetchConfig, GroupCoordinatorConfig, Join,
    Layers, Listener, ListenerLimits, LogDirsConfig, MemoryConfig, MigrationPolicy, NetConfig, NodeConfig,
    OffsetsConfig, ProducerIdConfig, QuorumVoter, ReplicationConfig, Roles, TopicDefaults,
};
pub use check::Check;
pub use client_metrics::{ClientSelector, SubscriptionConfig};
pub use definition::{ConfigType, DefaultValue, Definition, Effect, Scope, UpdateMode};
pub use describe::{
    describe_broker, describe_client_metrics, describe_cluster_default, describe_group, describe_topic,
};
pub use differences::{DIFFERENCES, Difference};
pub use entry::{ConfigEntry, ConfigSource, ConfigSynonym};
pub use error::ConfigError;
pub use group::ConsumerGroupConfig;
pub use properties::{Properties, Property};
pub use replication_factor::clamp_replication_factor;
pub use review::Warning;
pub use table::{definition, definitions, dynamic_only_definitions};
pub use topic::{CleanupPolicy, CompressionType, ThrottledReplicas, TopicConfig};
pub use validate::{
    BrokerResource, ListChange, change_list, validate_broker, validate_client_metrics, validate_group,
    validate_topic,
};
pub use value::Value;

use broker::default_text as broker_default;
use table::dynamic_only;
