//! AlterPartitionReassignments (KIP-455): a partition moves to other brokers, or a move is taken back.
//!
//! A move that needs nobody new, or nobody who is not in sync yet, is complete at once. Another one adds the new
//! replicas to the old ones, and is completed when they are in sync.

use ottla_metadata::{MetadataRecord, PartitionRegistration, TopicImage};
use ottla_model::BrokerId;
use ottla_planted::planted;

use super::create_topics::check_assignment;
use super::partition_change::{Election, PartitionChange};
use super::{Context, Decision};
use crate::command::{AlterPartitionReassignments, ReassignmentAnswers};
use crate::error::ReassignmentError;

/// Reassigns each partition on its own.
pub fn alter_partition_reassignments(
    request: &AlterPartitionReassignments,
    context: &Context<'_>,
) -> Decision<ReassignmentAnswers> {
    let mut records = Vec::new();
    let broker = context.effective_broker_config();
    let mut alter = |name: &str, partition: i32, target: Option<&[BrokerId]>| {
        let topic =
            context.image.topic(name).ok_or_else(|| ReassignmentError::UnknownTopic(name.to_owned()))?;
        let before = topic
            .partition(partition)
            .ok_or_else(|| ReassignmentError::UnknownPartition { topic: name.to_owned(), partition })?;
        let rules = context.topic_rules(name, &broker);
        let change = PartitionChange::new(context.image, topic, partition, before, rules);
        let change = match target {
            None => cancel(change, topic, partition, before, rules.unclean_leader_election)?,
            Some(target) => {
                check(target, before, request.allow_replication_factor_change, context)?;
                reassign(change, target, before)
            }
        };
        records.extend(change.build().map(MetadataRecord::PartitionChange));
        Ok(())
    };
    let answer = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter();
        partitions.map(|(partition, target)| alter(&topic.name, *partition, target.as_deref())).collect()
    });
    let answer = answer.collect();
    Decision { records, answer }
}

fn check(
    target: &[BrokerId],
    before: &PartitionRegistration,
    allow_replication_factor_change: bool,
    context: &Context<'_>,
) -> Result<(), ReassignmentError> {
    check_assignment(target, None, context)
        .map_err(|error| ReassignmentError::InvalidReplicaAssignment(error.to_string()))?;
    let from = settled_replica_count(before);
    if !allow_replication_factor_change && from != target.len() {
        return Err(ReassignmentError::ReplicationFactorChanged { from, to: target.len() });
    }
    Ok(())
}

/// How many replicas there will be when a move that goes on is complete.
fn settled_replica_count(before: &PartitionRegistration) -> usize {
    before.replicas.iter().filter(|id| !before.removing_replicas.contains(id)).count()
}

/// The replicas that are to go come behind the new ones, until these are in sync. Where another move goes on, Kafka keeps its
/// lists if the new ones are empty (`ReplicationControlManager.changePartitionReassignment`), and removes in the end whom the
/// later request names; here who comes and who goes is what the later request says.
fn reassign<'a>(
    mut change: PartitionChange<'a>,
    target: &[BrokerId],
    before: &PartitionRegistration,
) -> PartitionChange<'a> {
    let sorted = |ids: &[BrokerId], is_one: &dyn Fn(&BrokerId) -> bool| -> Vec<BrokerId> {
        let mut sorted: Vec<BrokerId> = ids.iter().copied().filter(is_one).collect();
        sorted.sort_unstable();
        sorted
    };
    // Those who are new already stay so: a request that is made again changes nothing.
    let is_new = |id: &BrokerId| !before.replicas.contains(id) || before.adding_replicas.contains(id);
    change.adding = sorted(target, &is_new);
    change.removing = sorted(&before.replicas, &|id| !target.contains(id));
    change.replicas = [target, &change.removing].concat();
    change
}

/// Back to the replicas from before the move.
fn cancel<'a>(
    mut change: PartitionChange<'a>,
    topic: &TopicImage,
    partition: i32,
    before: &PartitionRegistration,
    unclean_allowed: bool,
) -> Result<PartitionChange<'a>, ReassignmentError> {
    if !before.is_reassigning() {
        return Err(ReassignmentError::NotInProgress);
    }
    change.replicas.retain(|id| !before.adding_replicas.contains(id));
    change
        .isr
        .retain(|id| !before.adding_replicas.contains(id) || planted!("cancelled_replica_stays_in_isr"));
    change.removing.clear();
    change.adding.clear();
    if change.isr.is_empty() {
        // All who are in sync are new ones: whoever takes over lacks records.
        if !unclean_allowed {
            return Err(ReassignmentError::InvalidReplicaAssignment(format!(
                "Unable to revert partition assignment for {}:{partition} because it would require an unclean leader \
                 election.",
                topic.name
            )));
        }
        change.isr = change.replicas.first().copied().into_iter().collect();
    }
    if unclean_allowed {
        change.election = Election::Unclean;
    }
    Ok(change)
}
