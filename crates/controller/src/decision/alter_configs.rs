//! IncrementalAlterConfigs (KIP-339) and the older AlterConfigs.

use std::collections::{BTreeMap, BTreeSet};

use ottla_config::{change_list, definition};
use ottla_metadata::{
    ConfigOverrides, ConfigRecord, ConfigResource, ConfigResourceType, ELIGIBLE_LEADER_REPLICAS_VERSION,
    MIN_INSYNC_REPLICAS, MetadataRecord,
};

use super::config_rules::{check, scope};
use super::duplicates::duplicates;
use super::{Context, Decision};
use crate::command::{AlterConfigOp, AlterConfigs, ConfigAnswers, ConfigOp, IncrementalAlterConfigs};
use crate::error::ConfigChangeError;

/// What a request wants a resource's configs to be; `None` deletes.
type Changes = BTreeMap<String, Option<String>>;

/// Applies operations, to each resource on its own: all of its operations, or none.
pub fn incremental_alter_configs(
    request: &IncrementalAlterConfigs,
    context: &Context<'_>,
) -> Decision<ConfigAnswers> {
    let resources = request.resources.iter().map(|alteration| &alteration.resource);
    let repeated = duplicates(resources);
    let mut records = Vec::new();
    let answer = request.resources.iter().map(|alteration| {
        let resource = &alteration.resource;
        check_request(resource, &repeated, alteration.ops.iter().map(|op| op.name.as_str()))?;
        let null = alteration.ops.iter().filter(|op| op.op != AlterConfigOp::Delete && op.value.is_none());
        refuse_null(null.map(|op| op.name.as_str()))?;
        let changes = apply_ops(resource, &alteration.ops, context)?;
        records.extend(records_of(resource, &changes, context)?);
        Ok(())
    });
    let answer = answer.collect();
    if request.validate_only {
        records.clear();
    }
    Decision { records, answer }
}

/// Sets each resource's configs to what is listed, and nothing else.
pub fn alter_configs(request: &AlterConfigs, context: &Context<'_>) -> Decision<ConfigAnswers> {
    let repeated = duplicates(request.resources.iter().map(|replacement| &replacement.resource));
    let mut records = Vec::new();
    let answer = request.resources.iter().map(|replacement| {
        let resource = &replacement.resource;
        check_request(resource, &repeated, replacement.configs.iter().map(|(name, _)| name.as_str()))?;
        let null = replacement.configs.iter().filter(|(_, value)| value.is_none());
        refuse_null(null.map(|(name, _)| name.as_str()))?;
        let mut changes: Changes = replacement.configs.iter().cloned().collect();
        for name in current(resource, context).keys() {
            changes.entry(name.clone()).or_insert(None);
        }
        records.extend(records_of(resource, &changes, context)?);
        Ok(())
    });
    let answer = answer.collect();
    if request.validate_only {
        records.clear();
    }
    Decision { records, answer }
}

fn check_request<'a>(
    resource: &ConfigResource,
    repeated: &BTreeSet<&ConfigResource>,
    names: impl Iterator<Item = &'a str>,
) -> Result<(), ConfigChangeError> {
    if repeated.contains(resource) {
        return Err(ConfigChangeError::InvalidRequest("Each resource must appear at most once.".to_owned()));
    }
    if !duplicates(names).is_empty() {
        return Err(ConfigChangeError::InvalidRequest("Error due to duplicate config keys".to_owned()));
    }
    Ok(())
}

fn refuse_null<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), ConfigChangeError> {
    let names: Vec<&str> = names.collect();
    if names.is_empty() {
        return Ok(());
    }
    Err(ConfigChangeError::InvalidRequest(format!("Null value not supported for : {}", names.join(", "))))
}

fn apply_ops(
    resource: &ConfigResource,
    ops: &[ConfigOp],
    context: &Context<'_>,
) -> Result<Changes, ConfigChangeError> {
    let current = current(resource, context);
    let mut changes = Changes::new();
    for op in ops {
        let value = match op.op {
            AlterConfigOp::Set => op.value.clone(),
            AlterConfigOp::Delete => None,
            AlterConfigOp::Append => Some(change(resource, op, &current, true)?),
            AlterConfigOp::Subtract => Some(change(resource, op, &current, false)?),
        };
        changes.insert(op.name.clone(), value);
    }
    Ok(changes)
}

/// A list config with items added or taken out; it begins as what is set, or else as Kafka's default.
fn change(
    resource: &ConfigResource,
    op: &ConfigOp,
    current: &ConfigOverrides,
    add: bool,
) -> Result<String, ConfigChangeError> {
    let Some(definition) = scope(resource.kind).and_then(|scope| definition(scope, &op.name)) else {
        let verb = if add { "APPEND" } else { "SUBTRACT" };
        let why = format!("Can't {verb} to key {} because its type is not LIST.", op.name);
        return Err(ConfigChangeError::InvalidConfig(why));
    };
    let text = current.get(&op.name).map(String::as_str).or(definition.default.text());
    change_list(definition, text, op.value.as_deref().unwrap_or_default(), add)
        .map_err(|error| ConfigChangeError::InvalidConfig(error.to_string()))
}

/// The records of what really changes, if the result is allowed.
fn records_of(
    resource: &ConfigResource,
    changes: &Changes,
    context: &Context<'_>,
) -> Result<Vec<MetadataRecord>, ConfigChangeError> {
    let current = current(resource, context);
    let mut after = current.clone();
    let mut records = Vec::new();
    for (name, value) in changes {
        check_eligible_leaders(resource, name, value.as_deref(), context)?;
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
