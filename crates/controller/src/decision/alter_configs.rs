//! AlterConfigs and IncrementalAlterConfigs (KIP-339): one decision, two ways to say what shall change.

use std::collections::BTreeMap;

use ottla_config::{ConfigType, ListChange, Scope, change_list, definition};
use ottla_metadata::{
    ConfigOverrides, ConfigRecord, ConfigResource, ConfigResourceType, ELIGIBLE_LEADER_REPLICAS_VERSION,
    MIN_INSYNC_REPLICAS, MetadataRecord,
};

use super::config_rules::check;
use super::{Context, Decision};
use crate::command::{AlterConfigOp, AlterConfigs, ConfigAnswers, ConfigChange, ConfigOp};
use crate::error::ConfigChangeError;

/// What a request wants a resource's configs to be; `None` deletes.
type Changes = BTreeMap<String, Option<String>>;

/// Changes each resource on its own: all that is asked for, or nothing. No resource is named twice, and no key of one.
pub fn alter_configs(request: &AlterConfigs, context: &Context<'_>) -> Decision<ConfigAnswers> {
    let mut records = Vec::new();
    let answer = request.resources.iter().map(|alteration| {
        let resource = &alteration.resource;
        let current = current(resource, context);
        let changes = match &alteration.change {
            ConfigChange::Operations(ops) => apply_ops(resource, ops, &current)?,
            ConfigChange::Replacement(configs) => replacement(configs, &current),
        };
        records.extend(records_of(resource, &changes, &current, context)?);
        Ok(())
    });
    let answer = answer.collect();
    if request.validate_only {
        records.clear();
    }
    Decision { records, answer }
}

/// What is not listed is deleted.
fn replacement(configs: &BTreeMap<String, String>, current: &ConfigOverrides) -> Changes {
    let mut changes: Changes = current.keys().map(|name| (name.clone(), None)).collect();
    changes.extend(configs.iter().map(|(name, value)| (name.clone(), Some(value.clone()))));
    changes
}

fn apply_ops(
    resource: &ConfigResource,
    ops: &[ConfigOp],
    current: &ConfigOverrides,
) -> Result<Changes, ConfigChangeError> {
    let mut changes = Changes::new();
    for op in ops {
        let value = match op.op {
            AlterConfigOp::Set => Some(op.value.clone()),
            AlterConfigOp::Delete => None,
            AlterConfigOp::Append if resource.kind == ConfigResourceType::Broker => {
                Some(change(resource, op, current, ListChange::AppendAll)?)
            }
            AlterConfigOp::Append => Some(change(resource, op, current, ListChange::Append)?),
            AlterConfigOp::Subtract => Some(change(resource, op, current, ListChange::Subtract)?),
        };
        changes.insert(op.name.clone(), value);
    }
    Ok(changes)
}

/// A list config with items added or taken out; it begins as what is set, or else as Kafka's default. Only topics and
/// brokers have lists (`KafkaConfigSchema`).
fn change(
    resource: &ConfigResource,
    op: &ConfigOp,
    current: &ConfigOverrides,
    change: ListChange,
) -> Result<String, ConfigChangeError> {
    let scope = match resource.kind {
        ConfigResourceType::Topic => Some(Scope::Topic),
        ConfigResourceType::Broker => Some(Scope::Broker),
        _ => None,
    };
    let known = scope.and_then(|scope| definition(scope, &op.name));
    let is_list = known.is_some_and(|definition| definition.config_type == ConfigType::List);
    if resource.kind == ConfigResourceType::Broker && !is_list {
        return Err(not_a_broker_list(known.is_some(), &op.name, change));
    }
    let changed = match known {
        None => Err(change.not_a_list(&op.name)),
        Some(definition) => {
            let text = current.get(&op.name).map(String::as_str).or(definition.default.text());
            change_list(definition, text, &op.value, change)
        }
    };
    changed.map_err(|error| ConfigChangeError::InvalidConfig(error.to_string()))
}

/// Of a broker's settings Kafka says it in other words (`ConfigAdminManager.prepareIncrementalConfigs`).
fn not_a_broker_list(is_known: bool, name: &str, change: ListChange) -> ConfigChangeError {
    let verb = match change {
        ListChange::Append | ListChange::AppendAll => "append",
        ListChange::Subtract => "subtract",
    };
    ConfigChangeError::InvalidConfig(if is_known {
        format!("Config value {verb} is not allowed for config key: {name}")
    } else {
        format!("Unknown config name: {name}")
    })
}

/// The records of what really changes, if the result is allowed.
fn records_of(
    resource: &ConfigResource,
    changes: &Changes,
    current: &ConfigOverrides,
    context: &Context<'_>,
) -> Result<Vec<MetadataRecord>, ConfigChangeError> {
    let mut after = current.clone();
    let mut records = Vec::new();
    for (name, value) in changes {
        match value {
            Some(value) => after.insert(name.clone(), value.clone()),
            None => after.remove(name),
        };
        // KAFKA-14136: a broker's config is written even if it does not change, so that brokers load it again.
        if current.get(name) != value.as_ref() || resource.kind == ConfigResourceType::Broker {
            records.push(MetadataRecord::Config(ConfigRecord {
                resource_type: resource.kind,
                resource_name: resource.name.to_string(),
                name: name.clone(),
                value: value.clone(),
            }));
        }
    }
    check(resource, &after, context)?;
    for (name, value) in changes {
        check_eligible_leaders(resource, name, value.as_deref(), context)?;
    }
    Ok(records)
}

/// KIP-966: eligible leaders are counted by one `min.insync.replicas`, the cluster's.
fn check_eligible_leaders(
    resource: &ConfigResource,
    name: &str,
    value: Option<&str>,
    context: &Context<'_>,
) -> Result<(), ConfigChangeError> {
    let enabled = context.image.features().level(ELIGIBLE_LEADER_REPLICAS_VERSION) > 0;
    let why = match (resource.kind, &*resource.name) {
        _ if !enabled || name != MIN_INSYNC_REPLICAS => return Ok(()),
        (ConfigResourceType::Broker, "") if value.is_none() => {
            "Cluster-level min.insync.replicas cannot be removed while ELR is enabled."
        }
        (ConfigResourceType::Broker, own) if !own.is_empty() => {
            "Broker-level min.insync.replicas cannot be altered while ELR is enabled."
        }
        _ => return Ok(()),
    };
    Err(ConfigChangeError::InvalidConfig(why.to_owned()))
}

fn current(resource: &ConfigResource, context: &Context<'_>) -> ConfigOverrides {
    let overrides = context.image.configs().overrides(resource.kind, &resource.name);
    overrides.map(|overrides| overrides.as_ref().clone()).unwrap_or_default()
}
