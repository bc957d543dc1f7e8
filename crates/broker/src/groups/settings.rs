//! The broker's settings as the coordinators take them.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_config::{BrokerConfig, ConsumerGroupConfig};
use ottla_controller::NewTopic;
use ottla_coordinator::CoreConfig;
use ottla_group_coordinator::assignor::Assignor;
use ottla_group_coordinator::consumer::{ConsumerGroupSettings, MigrationPolicy};
use ottla_group_coordinator::{GroupConfig, GroupId};
use ottla_metadata::{ConfigResourceType, MetadataImage};

use crate::internal_topics::CONSUMER_OFFSETS;

pub(super) fn core(config: &BrokerConfig, batch_bytes_max: usize) -> CoreConfig {
    CoreConfig {
        batch_bytes_max,
        write_timeout_ms: unsigned(config.offsets.commit_timeout_ms),
        compression: config.offsets.topic_compression,
    }
}

pub(super) fn groups(config: &BrokerConfig) -> GroupConfig {
    let (groups, offsets) = (&config.groups, &config.offsets);
    GroupConfig {
        min_session_timeout_ms: groups.classic_session_timeout_min_ms,
        max_session_timeout_ms: groups.classic_session_timeout_max_ms,
        initial_rebalance_delay_ms: groups.classic_initial_rebalance_delay_ms,
        max_size: usize::try_from(groups.classic_size_max).unwrap_or(0),
        offset_metadata_max: usize::try_from(offsets.metadata_bytes_max).unwrap_or(0),
        offsets_retention_ms: offsets.retention_ms,
        offsets_retention_check_interval_ms: u64::try_from(offsets.retention_check_interval_ms).unwrap_or(1),
        ..GroupConfig::default()
    }
}

pub(super) fn consumers(config: &BrokerConfig) -> ConsumerGroupSettings {
    let groups = &config.groups;
    ConsumerGroupSettings {
        session_timeout_ms: unsigned32(groups.consumer_session_timeout_ms),
        heartbeat_interval_ms: unsigned32(groups.consumer_heartbeat_interval_ms),
        assignment_interval_ms: unsigned32(groups.consumer_assignment_interval_ms),
        max_size: usize::try_from(groups.consumer_size_max).unwrap_or(0),
        assignors: assignors(&groups.consumer_assignors),
        regex_refresh_interval_ms: unsigned32(groups.consumer_regex_refresh_interval_ms),
        migration: match groups.consumer_migration_policy {
            ottla_config::MigrationPolicy::Disabled => MigrationPolicy::Disabled,
            ottla_config::MigrationPolicy::Downgrade => MigrationPolicy::Downgrade,
            ottla_config::MigrationPolicy::Upgrade => MigrationPolicy::Upgrade,
            ottla_config::MigrationPolicy::Bidirectional => MigrationPolicy::Bidirectional,
        },
        classic_max_size: usize::try_from(groups.classic_size_max).unwrap_or(0),
    }
}

/// Consumer groups that have settings of their own, with all their settings. One that cannot be read (it was checked when
/// it was set) leaves the group the broker's.
pub(super) fn own_consumers(
    image: &MetadataImage,
    config: &BrokerConfig,
) -> BTreeMap<GroupId, ConsumerGroupSettings> {
    let groups = image.configs().resources(ConfigResourceType::Group);
    let resolved = groups.filter_map(|(name, overrides)| {
        let own = ConsumerGroupConfig::resolve(overrides, config).ok()?;
        let settings = ConsumerGroupSettings {
            session_timeout_ms: unsigned32(own.session_timeout_ms),
            heartbeat_interval_ms: unsigned32(own.heartbeat_interval_ms),
            assignment_interval_ms: unsigned32(own.assignment_interval_ms),
            ..consumers(config)
        };
        Some((GroupId(Arc::clone(name)), settings))
    });
    resolved.collect()
}

/// By Kafka's names, of assignors or of their classes.
fn assignors(names: &[String]) -> Vec<Assignor> {
    let known = names.iter().filter_map(|name| {
        let short = name.rsplit('.').next().unwrap_or(name);
        let short = short.strip_suffix("Assignor").unwrap_or(short).to_ascii_lowercase();
        Assignor::from_name(&short)
    });
    known.collect()
}

/// `__consumer_offsets` as Kafka makes it, with at most one replica for each broker that the cluster is to have.
pub(crate) fn offsets_topic(config: &BrokerConfig, broker_count: usize) -> NewTopic {
    let offsets = &config.offsets;
    let brokers = i16::try_from(broker_count.max(1)).unwrap_or(i16::MAX);
    let setting = |name: &str, value: String| (name.to_owned(), Some(value));
    NewTopic {
        partition_count: offsets.topic_num_partitions,
        replication_factor: offsets.topic_replication_factor.min(brokers),
        configs: vec![
            setting("compression.type", "producer".into()),
            setting("cleanup.policy", "compact".into()),
            setting("segment.bytes", offsets.topic_segment_bytes.to_string()),
        ],
        ..NewTopic::named(CONSUMER_OFFSETS)
    }
}

fn unsigned(ms: i32) -> u64 {
    u64::try_from(ms).unwrap_or(0)
}

fn unsigned32(ms: i32) -> u32 {
    u32::try_from(ms).unwrap_or(0)
}
