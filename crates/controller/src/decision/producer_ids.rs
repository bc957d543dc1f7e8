//! AllocateProducerIds (KIP-730).

use ottla_metadata::{MetadataRecord, ProducerIdsRecord};
use ottla_model::{BrokerId, ProducerId};
use ottla_planted::planted;

use super::brokers::check_epoch;
use super::{Context, Decision};
use crate::command::ProducerIdBlock;
use crate::error::BrokerError;

/// Ids in a block (`ProducerIdsBlock.PRODUCER_ID_BLOCK_SIZE`).
pub const PRODUCER_ID_BLOCK_LEN: i64 = 1_000;

/// Gives a broker the next block.
pub fn allocate_producer_ids(
    broker_id: BrokerId,
    broker_epoch: i64,
    context: &Context<'_>,
) -> Decision<Result<ProducerIdBlock, BrokerError>> {
    if let Err(error) = check_epoch(broker_id, broker_epoch, context.image) {
        return Decision::answer_only(Err(error));
    }
    let first = context.image.producer_ids().next_producer_id.get();
    let Some(next) = first.checked_add(PRODUCER_ID_BLOCK_LEN) else {
        return Decision::answer_only(Err(BrokerError::ProducerIdsExhausted));
    };
    let next_producer_id = ProducerId(if planted!("producer_ids_twice") { first } else { next });
    let record = ProducerIdsRecord { broker_id, broker_epoch, next_producer_id };
    Decision {
        records: vec![MetadataRecord::ProducerIds(record)],
        answer: Ok(ProducerIdBlock { ids: first..next }),
    }
}
