//! CreatePartitions: more partitions for topics that exist.

use ottla_metadata::{MetadataRecord, TopicImage};
use ottla_model::BrokerId;

use super::create_topics::{all_inactive, check_assignment, none_active};
use super::duplicates::duplicates;
use super::placement::{new_partition, place};
use super::{Context, Decision, PARTITIONS_PER_REQUEST_MAX};
use crate::command::{CreatePartitions, NewPartitions, TopicAnswers};
use crate::error::TopicError;

/// Adds partitions, to each topic on its own.
pub fn create_partitions(
    request: &CreatePartitions,
    context: &mut Context<'_>,
) -> Decision<TopicAnswers<()>> {
    let repeated = duplicates(request.topics.iter().map(|topic| topic.name.as_str()));
    let asked = request.topics.iter().filter(|topic| !repeated.contains(topic.name.as_str()));
    let additional: usize = asked.map(|topic| additional(topic, context)).sum();
    let too_many = additional > PARTITIONS_PER_REQUEST_MAX;

    let mut records = Vec::new();
    let mut answer = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        answer.push(if repeated.contains(topic.name.as_str()) {
            Err(TopicError::InvalidRequest("Duplicate topic name.".to_owned()))
        } else if too_many {
            let why = "Excessively large number of additional partitions per request.";
            Err(TopicError::PolicyViolation(why.to_owned()))
        } else {
            add(topic, context).map(|new| records.extend(new))
        });
    }
    if request.validate_only {
        records.clear();
    }
    Decision { records, answer }
}

fn add(topic: &NewPartitions, context: &mut Context<'_>) -> Result<Vec<MetadataRecord>, TopicError> {
    let existing = context.image.topic(&topic.name).ok_or(TopicError::UnknownName)?.clone();
    let current = existing.partition_count();
    let count = check_count(topic, current)?;
    let replication_factor = existing.partition(0).map_or(0, |first| first.replicas.len());
    let assignments = match &topic.assignments {
        Some(assignments) => manual(assignments, count - current, replication_factor, current, context)?,
        None => {
            let factor = i16::try_from(replication_factor).unwrap_or(i16::MAX);
            place(context, count - current, factor)?
        }
    };
    register(&existing, current, assignments, context)
}

fn check_count(topic: &NewPartitions, current: usize) -> Result<usize, TopicError> {
    match usize::try_from(topic.count) {
        Ok(count) if count > current => Ok(count),
        Ok(count) if count == current => {
            Err(TopicError::InvalidPartitions(format!("Topic already has {current} partition(s).")))
        }
        _ => Err(TopicError::InvalidPartitions(format!(
            "The topic {} currently has {current} partition(s); {} would not be an increase.",
            topic.name, topic.count
        ))),
    }
}

fn manual(
    assignments: &[Vec<BrokerId>],
    additional: usize,
    replication_factor: usize,
    first: usize,
    context: &Context<'_>,
) -> Result<Vec<Vec<BrokerId>>, TopicError> {
    if assignments.len() != additional {
        return Err(TopicError::InvalidReplicaAssignment(format!(
            "Attempted to add {additional} additional partition(s), but only {} assignment(s) were specified.",
            assignments.len()
        )));
    }
    for (i, replicas) in assignments.iter().enumerate() {
        check_assignment(replicas, Some(replication_factor), context)?;
        if !replicas.iter().any(|id| context.image.brokers().is_active(*id)) {
            return Err(all_inactive(i32::try_from(first + i).unwrap_or(i32::MAX)));
        }
    }
    Ok(assignments.to_vec())
}

fn register(
    topic: &TopicImage,
    first: usize,
    assignments: Vec<Vec<BrokerId>>,
    context: &Context<'_>,
) -> Result<Vec<MetadataRecord>, TopicError> {
    let mut records = Vec::with_capacity(assignments.len());
    for (i, replicas) in assignments.into_iter().enumerate() {
        let partition = i32::try_from(first + i).unwrap_or(i32::MAX);
        let replica_count = replicas.len();
        let record = new_partition(context, topic.id, partition, replicas);
        records.push(MetadataRecord::Partition(record.ok_or_else(|| none_active(replica_count))?));
    }
    Ok(records)
}

fn additional(topic: &NewPartitions, context: &Context<'_>) -> usize {
    let current = context.image.topic(&topic.name).map_or(0, |topic| topic.partition_count());
    usize::try_from(topic.count).unwrap_or(0).saturating_sub(current)
}
