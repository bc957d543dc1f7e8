//! Which log dir a replica is in, and which log dirs a broker can still use (KIP-858).

use ottla_metadata::{
    BrokerRegistrationChangeRecord, DirectoryId, MetadataRecord, PartitionChangeRecord, PartitionRegistration,
};
use ottla_model::BrokerId;

use super::brokers::{changes, check_epoch};
use super::{Context, Decision};
use crate::command::ReplicaDirectories;
use crate::error::BrokerError;

/// Notes where a broker keeps its replicas.
pub fn assign_replicas_to_dirs(
    request: &ReplicaDirectories,
    context: &Context<'_>,
) -> Decision<Result<(), BrokerError>> {
    if let Err(error) = check_epoch(request.broker_id, request.broker_epoch, context.image) {
        return Decision::answer_only(Err(error));
    }
    let mut records = Vec::new();
    for (id, directory) in &request.directories {
        let topic = context.image.topic_by_id(id.topic_id);
        let Some(registration) = topic.and_then(|topic| topic.partition(id.partition)) else { continue };
        let Some(at) = registration.replicas.iter().position(|replica| *replica == request.broker_id) else {
            continue;
        };
        let mut directories = registration.directories.clone();
        directories.resize(registration.replicas.len(), DirectoryId::UNASSIGNED);
        if directories.get(at) == Some(directory) {
            continue;
        }
        directories[at] = *directory;
        let mut change = PartitionChangeRecord::new(id.topic_id, id.partition);
        change.directories = Some(directories);
        records.push(MetadataRecord::PartitionChange(change));
    }
    Decision { records, answer: Ok(()) }
}

/// A broker's log dirs that work, when one of them has failed: what is in the others has no leader any more.
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
    // Nobody else has the partitions of a dir that does not work.
    let led = |before: &PartitionRegistration| before.leader == id;
    records.extend(changes(context, led, |change| change.log_dirs = Some((id, online.to_vec()))));
    Decision { records, answer: Ok(()) }
}

/// Whether the broker's replica is in one of these dirs, or in none that is known.
pub(super) fn is_online(registration: &PartitionRegistration, id: BrokerId, online: &[DirectoryId]) -> bool {
    registration.directory(id).is_none_or(|directory| directory.is_reserved() || online.contains(&directory))
}
