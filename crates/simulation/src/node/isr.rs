//! What a leader makes of the controller's answer about an in-sync set: as `broker/src/replication/isr.rs`.

use ottla_controller::AlterPartitionError;
use ottla_metadata::PartitionRegistration;
use ottla_replication::AlterPartitionAnswer;

pub(crate) fn answer(answer: &Result<PartitionRegistration, AlterPartitionError>) -> AlterPartitionAnswer {
    match answer {
        Ok(partition) => AlterPartitionAnswer::Committed {
            leader_epoch: partition.leader_epoch,
            partition_epoch: partition.partition_epoch,
            isr: partition.isr.clone(),
        },
        Err(AlterPartitionError::IneligibleReplica) => AlterPartitionAnswer::Rejected,
        Err(AlterPartitionError::NotController) => AlterPartitionAnswer::Retry,
        Err(_) => AlterPartitionAnswer::Stale,
    }
}
