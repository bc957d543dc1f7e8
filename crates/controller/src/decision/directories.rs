//! Which log dir a replica is in, and which log dirs a broker can still use (KIP-858).

use ottla_metadata::{BrokerRegistrationChangeRecord, DirectoryId, MetadataRecord, PartitionRegistration};
use ottla_model::BrokerId;

use super::brokers::{changes, check_epoch};
use super::partition_change::PartitionChange;
use super::{Context, Decision};
use crate::command::{DirectoryAnswers, ReplicaDirectories};
use crate::error::{BrokerError, DirectoryError};

/// Notes where a broker keeps its replicas; one answer for each. A replica in a dir that does not work leaves its ISR.
pub fn assign_replicas_to_dirs(
    request: &ReplicaDirectories,
    context: &Context<'_>,
) -> Decision<Result<DirectoryAnswers, BrokerError>> {
    let id = request.broker_id;
    if let Err(error) = check_epoch(id, request.broker_epoch, context.image) {
        return Decision::answer_only(Err(error));
    }
    let online = context.image.brokers().get(id).map_or(&[][..], |broker| &broker.log_dirs);
    let broker = context.effective_broker_config();
    let mut records = Vec::new();
    let answers = request.directories.iter().map(|(at, directory)| {
        let topic = context.image.topic_by_id(at.topic_id).ok_or(DirectoryError::UnknownTopicId)?;
        let before = topic.partition(at.partition).ok_or(DirectoryError::UnknownPartition)?;
        if !before.replicas.contains(&id) {
            return Err(DirectoryError::NotAReplica);
        }
        let rules = context.topic_rules(&topic.name, &broker);
        let mut change = PartitionChange::new(context.image, topic, at.partition, before, rules);
        change.directory = Some((id, *directory));
        if !online.contains(directory) {
            change.leave(id);
        }
        records.extend(change.build().map(MetadataRecord::PartitionChange));
        Ok(())
    });
    let answers = answers.collect();
    Decision { records, answer: Ok(answers) }
}

/// A broker's log dirs that work, when one of them has failed: what is in the others has left its ISR, and has no leader there
/// any more.
pub fn set_online_log_dirs(
    id: BrokerId,
    epoch: i64,
    online: &[DirectoryId],
    context: &Context<'_>,
) -> Decision<Result<(), BrokerError>> {
    if let Err(error) = check_epoch(id, epoch, context.image) {
        return Decision::answer_only(Err(error));
    }
    let mut change = BrokerRegistrationChangeRecord::new(id, epoch);
    change.log_dirs = online.to_vec();
    let mut records = vec![MetadataRecord::BrokerRegistrationChange(change)];
    let lost = |before: &PartitionRegistration| {
        (before.leader == id || before.isr.contains(&id)) && !is_online(before, id, online)
    };
    records.extend(changes(context, lost, |change| {
        change.log_dirs = Some((id, online.to_vec()));
        change.leave(id);
    }));
    Decision { records, answer: Ok(()) }
}

/// Whether the broker's replica is in one of these dirs, or in none that is known.
pub(super) fn is_online(registration: &PartitionRegistration, id: BrokerId, online: &[DirectoryId]) -> bool {
    registration.directory(id).is_none_or(|directory| directory.is_reserved() || online.contains(&directory))
}
