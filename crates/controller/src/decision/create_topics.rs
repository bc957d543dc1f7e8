//! CreateTopics, in the order in which Kafka's `ReplicationControlManager` looks at things.

use std::collections::BTreeSet;

use ottla_metadata::{ConfigOverrides, ConfigRecord, ConfigResourceType, MetadataRecord, TopicRecord};
use ottla_model::{BrokerId, TopicId, check_topic_name};

use super::config_rules::check_value_len;
use super::duplicates::duplicates;
use super::placement::{new_partition, place};
use super::{Context, Decision, PARTITIONS_PER_REQUEST_MAX};
use crate::command::{CreateTopics, CreatedTopic, NewTopic, TopicAnswers};
use crate::error::TopicError;

/// Nobody may create the topic that the metadata log would be.
const CLUSTER_METADATA_TOPIC: &str = "__cluster_metadata";

/// Creates topics, each on its own: one that is refused does not hold back the others.
pub fn create_topics(
    request: &CreateTopics,
    context: &mut Context<'_>,
) -> Decision<TopicAnswers<CreatedTopic>> {
    let repeated = duplicates(request.topics.iter().map(|topic| topic.name.as_str()));
    let created = |topic: &&NewTopic| !repeated.contains(topic.name.as_str());
    let partition_count: usize =
        request.topics.iter().filter(created).map(|topic| partition_count(topic, context)).sum();
    let too_many = partition_count > PARTITIONS_PER_REQUEST_MAX;

    let mut records = Vec::new();
    let mut answer = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        answer.push(if repeated.contains(topic.name.as_str()) {
            Err(TopicError::InvalidRequest("Duplicate topic name.".to_owned()))
        } else if too_many {
            let why = "Excessively large number of partitions per request.";
            Err(TopicError::PolicyViolation(why.to_owned()))
        } else {
            create_topic(topic, context, &mut records)
        });
    }
    if request.validate_only {
        records.clear();
    }
    Decision { records, answer }
}

fn create_topic(
    topic: &NewTopic,
    context: &mut Context<'_>,
    records: &mut Vec<MetadataRecord>,
) -> Result<CreatedTopic, TopicError> {
    check_name(topic, context)?;
    let configs = check_configs(topic, context)?;
    let assignments = assign(topic, context)?;
    let topic_id = TopicId(new_topic_id(context));
    let mut partitions = Vec::with_capacity(assignments.len());
    for (partition, replicas) in assignments.iter().enumerate() {
        let partition = i32::try_from(partition).unwrap_or(i32::MAX);
        let record = new_partition(context, topic_id, partition, replicas.clone());
        partitions.push(record.ok_or_else(|| inactive(topic, partition, replicas.len()))?);
    }

    records.push(MetadataRecord::Topic(TopicRecord { name: topic.name.clone(), topic_id }));
    records.extend(configs.iter().map(|(name, value)| {
        MetadataRecord::Config(ConfigRecord {
            resource_type: ConfigResourceType::Topic,
            resource_name: topic.name.clone(),
            name: name.clone(),
            value: Some(value.clone()),
        })
    }));
    records.extend(partitions.into_iter().map(MetadataRecord::Partition));
    Ok(CreatedTopic {
        topic_id,
        partition_count: i32::try_from(assignments.len()).unwrap_or(i32::MAX),
        replication_factor: assignments
            .first()
            .map_or(0, |first| i16::try_from(first.len()).unwrap_or(i16::MAX)),
        configs: configs.into_iter().collect(),
    })
}

fn check_name(topic: &NewTopic, context: &Context<'_>) -> Result<(), TopicError> {
    let name = topic.name.as_str();
    if name == CLUSTER_METADATA_TOPIC {
        let why = format!("Creation of internal topic {name} is prohibited.");
        return Err(TopicError::InvalidRequest(why));
    }
    if context.image.topic(name).is_some() {
        return Err(TopicError::AlreadyExists { name: name.to_owned() });
    }
    if let Some(existing) = colliding(name, context) {
        return Err(TopicError::Collides { name: name.to_owned(), existing });
    }
    check_topic_name(name).map_err(|error| TopicError::InvalidName(error.to_string()))
}

/// A topic whose metrics would have the same names: '.' and '_' are one character there.
fn colliding(name: &str, context: &Context<'_>) -> Option<String> {
    let unify = |c: u8| if c == b'.' { b'_' } else { c };
    if !name.bytes().any(|c| c == b'.' || c == b'_') {
        return None;
    }
    let collides =
        |other: &str| other.len() == name.len() && other.bytes().map(unify).eq(name.bytes().map(unify));
    context.image.topics().iter().find(|other| collides(&other.name)).map(|other| other.name.to_string())
}

fn check_configs(topic: &NewTopic, context: &Context<'_>) -> Result<ConfigOverrides, TopicError> {
    let null: Vec<&str> =
        topic.configs.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| name.as_str()).collect();
    if !null.is_empty() {
        let why = format!("Null value not supported for topic configs: {}", null.join(","));
        return Err(TopicError::InvalidConfig(why));
    }
    let configs: ConfigOverrides =
        topic.configs.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?))).collect();
    if configs.is_empty() {
        return Ok(configs);
    }
    for value in configs.values() {
        check_value_len(value).map_err(TopicError::InvalidConfig)?;
    }
    ottla_config::validate_topic(&configs, &context.effective_broker_config())
        .map_err(|error| TopicError::InvalidConfig(error.to_string()))?;
    Ok(configs)
}

/// Replicas of each partition, as the request says or as the placer does.
fn assign(topic: &NewTopic, context: &mut Context<'_>) -> Result<Vec<Vec<BrokerId>>, TopicError> {
    if !topic.assignments.is_empty() {
        return manual(topic, context);
    }
    if topic.replication_factor < -1 || topic.replication_factor == 0 {
        let why = "Replication factor must be larger than 0, or -1 to use the default value.";
        return Err(TopicError::InvalidReplicationFactor(why.to_owned()));
    }
    if topic.partition_count < -1 || topic.partition_count == 0 {
        let why = "Number of partitions was set to an invalid non-positive value.";
        return Err(TopicError::InvalidPartitions(why.to_owned()));
    }
    let partition_count = partition_count(topic, context);
    let replication_factor = replication_factor(topic, context);
    place(context, partition_count, replication_factor).map_err(|error| {
        let why = format!("Unable to replicate the partition {replication_factor} time(s): {error}");
        TopicError::InvalidReplicationFactor(why)
    })
}

fn manual(topic: &NewTopic, context: &Context<'_>) -> Result<Vec<Vec<BrokerId>>, TopicError> {
    let unset = |what: &str| {
        let why = format!("A manual partition assignment was specified, but {what} was not set to -1.");
        TopicError::InvalidRequest(why)
    };
    if topic.replication_factor != -1 {
        return Err(unset("replication factor"));
    }
    if topic.partition_count != -1 {
        return Err(unset("numPartitions"));
    }
    let invalid = |why: String| TopicError::InvalidReplicaAssignment(why);
    let mut seen = BTreeSet::new();
    let mut expected = None;
    for (partition, replicas) in &topic.assignments {
        if !seen.insert(*partition) {
            let why = format!("Found multiple manual partition assignments for partition {partition}");
            return Err(invalid(why));
        }
        check_assignment(replicas, expected, context)?;
        expected = Some(replicas.len());
        if !replicas.iter().any(|id| context.image.brokers().is_active(*id)) {
            return Err(all_inactive(*partition));
        }
    }
    if !seen.iter().enumerate().all(|(i, partition)| usize::try_from(*partition) == Ok(i)) {
        return Err(invalid("partitions should be a consecutive 0-based integer sequence".to_owned()));
    }
    let mut sorted: Vec<_> = topic.assignments.iter().collect();
    sorted.sort_by_key(|(partition, _)| *partition);
    Ok(sorted.into_iter().map(|(_, replicas)| replicas.clone()).collect())
}

/// Whether replicas that a request gives may be a partition's; `expected` is the count the others have.
pub(super) fn check_assignment(
    replicas: &[BrokerId],
    expected: Option<usize>,
    context: &Context<'_>,
) -> Result<(), TopicError> {
    let invalid = |why: String| Err(TopicError::InvalidReplicaAssignment(why));
    if replicas.is_empty() {
        return invalid("The manual partition assignment includes an empty replica list.".to_owned());
    }
    let mut sorted = replicas.to_vec();
    sorted.sort_unstable();
    let mut previous = None;
    for id in sorted {
        if context.image.brokers().get(id).is_none() {
            let why = "but no such broker is registered.";
            return invalid(format!("The manual partition assignment includes broker {id}, {why}"));
        }
        if previous == Some(id) {
            return invalid(format!(
                "The manual partition assignment includes the broker {id} more than once."
            ));
        }
        previous = Some(id);
    }
    match expected {
        Some(expected) if expected != replicas.len() => invalid(format!(
            "The manual partition assignment includes a partition with {} replica(s), but this is not consistent \
             with previous partitions, which have {expected} replica(s).",
            replicas.len()
        )),
        _ => Ok(()),
    }
}

pub(super) fn all_inactive(partition: i32) -> TopicError {
    TopicError::InvalidReplicaAssignment(format!(
        "All brokers specified in the manual partition assignment for partition {partition} are fenced or in \
         controlled shutdown."
    ))
}

pub(super) fn none_active(replication_factor: usize) -> TopicError {
    TopicError::InvalidReplicationFactor(format!(
        "Unable to replicate the partition {replication_factor} time(s): All brokers are currently fenced or in \
         controlled shutdown."
    ))
}

fn inactive(topic: &NewTopic, partition: i32, replication_factor: usize) -> TopicError {
    if topic.assignments.is_empty() { none_active(replication_factor) } else { all_inactive(partition) }
}

fn partition_count(topic: &NewTopic, context: &Context<'_>) -> usize {
    if !topic.assignments.is_empty() {
        return topic.assignments.len();
    }
    let count = match topic.partition_count {
        -1 => context.settings.broker.topics.num_partitions,
        count => count,
    };
    usize::try_from(count).unwrap_or(0)
}

fn replication_factor(topic: &NewTopic, context: &Context<'_>) -> i16 {
    match topic.replication_factor {
        -1 => i16::try_from(context.settings.broker.topics.replication_factor).unwrap_or(i16::MAX),
        factor => factor,
    }
}

/// A random id that does not begin with a dash when printed, as Kafka's `Uuid.randomUuid`: tools take it as an
/// argument. Nor is it one of the reserved ids.
fn new_topic_id(context: &mut Context<'_>) -> uuid::Uuid {
    loop {
        let uuid = context.random.uuid();
        let id = TopicId(uuid);
        let reserved = id == TopicId::ZERO || id == TopicId::METADATA;
        if !reserved && !id.to_base64().starts_with('-') && context.image.topic_by_id(id).is_none() {
            return uuid;
        }
    }
}
