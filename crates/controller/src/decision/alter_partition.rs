//! AlterPartition (KIP-497): a leader says who is in sync, and the controller sees that it may. Other than in Kafka, a leader may
//! leave itself out, where others are in sync: it can append no more (its disk is full), and one of them leads.

use std::collections::BTreeSet;

use ottla_metadata::{LeaderRecoveryState, MetadataRecord, PartitionRegistration};
use ottla_model::BrokerId;
use ottla_planted::planted;

use super::brokers::check_epoch;
use super::partition_change::{Election, PartitionChange};
use super::{Context, Decision};
use crate::command::{AlterPartition, IsrAnswers, IsrChange};
use crate::error::{AlterPartitionError, BrokerError};

/// Changes in-sync sets; the order of the checks is Kafka's (`ReplicationControlManager.validateAlterPartitionData`).
pub fn alter_partition(
    request: &AlterPartition,
    context: &Context<'_>,
) -> Decision<Result<IsrAnswers, BrokerError>> {
    if let Err(error) = check_epoch(request.broker_id, request.broker_epoch, context.image) {
        return Decision::answer_only(Err(error));
    }
    let (mut records, mut seen) = (Vec::new(), BTreeSet::new());
    let answers = request.partitions.iter().map(|change| {
        // Of one that is named twice, the second is of an epoch that has gone.
        if !seen.insert(change.id) {
            return Err(AlterPartitionError::InvalidUpdateVersion);
        }
        alter(request.broker_id, change, context, &mut records)
    });
    let answers = answers.collect();
    Decision { records, answer: Ok(answers) }
}

fn alter(
    leader: BrokerId,
    change: &IsrChange,
    context: &Context<'_>,
    records: &mut Vec<MetadataRecord>,
) -> Result<PartitionRegistration, AlterPartitionError> {
    let topic = context.image.topic_by_id(change.id.topic_id).ok_or(AlterPartitionError::UnknownTopicId)?;
    let before = topic.partition(change.id.partition).ok_or(AlterPartitionError::UnknownPartition)?;
    check(leader, change, before, context)?;
    let rules = context.topic_rules(&topic.name, &context.effective_broker_config());
    let mut next = PartitionChange::new(context.image, topic, change.id.partition, before, rules);
    if rules.unclean_leader_election {
        next.election = Election::Unclean;
    }
    next.isr = change.isr.iter().map(|(id, _)| *id).collect();
    next.recovery = change.leader_recovery_state;
    let Some(record) = next.build() else { return Ok(before.as_ref().clone()) };
    let after = before.after(&record);
    records.push(MetadataRecord::PartitionChange(record));
    if after.leader != leader { Err(AlterPartitionError::NewLeaderElected) } else { Ok(after) }
}

fn check(
    leader: BrokerId,
    change: &IsrChange,
    before: &PartitionRegistration,
    context: &Context<'_>,
) -> Result<(), AlterPartitionError> {
    if change.leader_epoch > before.leader_epoch || change.partition_epoch > before.partition_epoch {
        return Err(AlterPartitionError::NotController);
    }
    if change.leader_epoch < before.leader_epoch {
        return Err(AlterPartitionError::FencedLeaderEpoch);
    }
    if leader != before.leader {
        return Err(AlterPartitionError::InvalidRequest);
    }
    if change.partition_epoch < before.partition_epoch && !planted!("isr_without_partition_epoch") {
        return Err(AlterPartitionError::InvalidUpdateVersion);
    }
    let distinct: BTreeSet<BrokerId> = change.isr.iter().map(|(id, _)| *id).collect();
    let are_replicas = distinct.iter().all(|id| before.replicas.contains(id));
    let recovering = change.leader_recovery_state == LeaderRecoveryState::Recovering;
    let was_recovered = before.leader_recovery_state == LeaderRecoveryState::Recovered;
    if distinct.len() != change.isr.len()
        || !are_replicas
        || distinct.is_empty()
        || (recovering && (distinct.len() > 1 || was_recovered))
    {
        return Err(AlterPartitionError::InvalidRequest);
    }
    let brokers = context.image.brokers();
    let is_eligible = |(id, epoch): &(BrokerId, i64)| {
        let is_same = |current| *epoch == -1 || *epoch == current || planted!("dead_incarnation_in_isr");
        brokers.is_active(*id) && brokers.get(*id).is_some_and(|broker| is_same(broker.epoch))
    };
    if change.isr.iter().all(is_eligible) { Ok(()) } else { Err(AlterPartitionError::IneligibleReplica) }
}
