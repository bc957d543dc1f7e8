//! Loads a coordinator from its partition's log.

use std::sync::Arc;

use ottla_config::BrokerConfig;
use ottla_coordinator::LoadError;
use ottla_model::Offset;
use ottla_storage::Reach;
use tokio::runtime::Handle;

use super::coordinator::Coordinator;
use super::settings;
use super::topics::ImageTopics;
use crate::metadata_view::MetadataView;
use crate::partitions::{AppendError, PartitionError, ReadRequest, Reader};

/// Bytes read at a time (`offsets.load.buffer.size`).
const LOAD_LEN: u32 = 5 * 1024 * 1024;

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Partition(#[from] PartitionError),
    #[error("reading the log: {0}")]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Replay(#[from] LoadError),
}

/// Whether there is nothing to load: then it need not leave the calling thread.
pub(super) fn is_empty(coordinator: &Coordinator) -> bool {
    let partition = &coordinator.partition;
    let start = partition.log_start_offset(None).map(|start| start.offset);
    start.is_ok_and(|start| start >= partition.log_end_offset())
}

/// Waits until all that an earlier leader has written is known to be committed: this one's high watermark lags behind,
/// and what was committed beyond it counts.
fn await_committed(coordinator: &Coordinator) -> Result<Offset, PartitionError> {
    let partition = &coordinator.partition;
    let end = partition.log_end_offset();
    let parked = partition.park_produce(end, Arc::clone(&coordinator.moved));
    let outcome = loop {
        match partition.acknowledged(end) {
            Some(Err(AppendError::NotLeader)) => break Err(PartitionError::NotLeader),
            Some(_) => break Ok(end),
            None if coordinator.is_closed() => break Err(PartitionError::NotLeader),
            // This thread may block.
            None => Handle::current().block_on(coordinator.moved.notified()),
        }
    };
    parked.into_iter().for_each(|ticket| partition.cancel_produce(ticket));
    outcome
}

/// Replays the log and lets the coordinator serve; one that cannot be loaded is closed.
pub(super) fn load(coordinator: &Arc<Coordinator>, view: &MetadataView, config: &BrokerConfig) {
    let partition = &coordinator.partition.name;
    match replay(coordinator) {
        Ok(end) => {
            coordinator.loaded(end);
            // Topics and settings may have changed meanwhile.
            let image = view.image_arc();
            let (all, own) = (settings::consumers(config), settings::own_consumers(&image, config));
            let created = image.provenance().offset.get();
            let topics = Arc::new(ImageTopics { image, created });
            let _ = coordinator.write(|shard, _, _| {
                shard.set_topics(topics);
                shard.set_consumer_settings(all, own);
            });
            tracing::debug!(%partition, %end, "groups loaded");
        }
        // Another broker leads meanwhile.
        Err(Failure::Partition(PartitionError::NotLeader | PartitionError::FencedLeaderEpoch { .. })) => {
            coordinator.close();
        }
        Err(error) => {
            tracing::error!(%partition, %error, "groups could not be loaded");
            coordinator.close();
        }
    }
}

fn replay(coordinator: &Coordinator) -> Result<Offset, Failure> {
    let partition = &coordinator.partition;
    let end = await_committed(coordinator)?;
    let mut offset = partition.log_start_offset(None)?.offset;
    loop {
        let request = ReadRequest {
            offset,
            // Of another leadership it would be another log.
            current_leader_epoch: Some(coordinator.leader_epoch),
            last_fetched_epoch: None,
            max_len: LOAD_LEN,
            min_one: true,
            reach: Reach::Disk,
            reader: Reader::Consumer { leader_only: true },
        };
        if offset >= end {
            return Ok(end);
        }
        let bytes = match partition.read(&request)?.slice {
            Some(slice) => slice.to_vec()?,
            None => return Ok(end),
        };
        // A slice may end inside a batch; after the last whole one the next read begins.
        match coordinator.load(whole_batches(&bytes))? {
            Some(next) => offset = next,
            None => return Ok(end),
        }
    }
}

/// The whole batches at the front.
fn whole_batches(bytes: &[u8]) -> &[u8] {
    let whole = ottla_model::batch::batches(bytes).map_while(Result::ok).map(|(_, batch)| batch.len()).sum();
    bytes.get(..whole).unwrap_or_default()
}
