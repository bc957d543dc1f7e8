//! DeleteRecords (KIP-107): moves the start of logs up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ottla_model::Offset;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use ottla_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse, TopicName};

use crate::dispatch::{Handler, Reply, RequestContext};
use crate::error_map;
use crate::internal_topics::is_internal;
use crate::partitions::opening::{OPENING_WAIT, when_open};
use crate::partitions::{Partitions, TopicKey};

/// Asks for everything below the high watermark.
const HIGH_WATERMARK: i64 = -1;

/// Works on the leaders on this broker.
#[derive(Debug)]
pub(crate) struct DeleteRecords {
    pub partitions: Arc<Partitions>,
}

impl Handler for DeleteRecords {
    type Request = DeleteRecordsRequest;

    fn handle(&self, _: &RequestContext, request: DeleteRecordsRequest) -> Reply<DeleteRecordsResponse> {
        let named = request.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|asked| (TopicKey::Name(&topic.name), asked.partition_index))
        });
        let openings = self.partitions.opening(named);
        let limit = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0)).min(OPENING_WAIT);
        let handler = Self { partitions: Arc::clone(&self.partitions) };
        when_open(openings, limit, move || handler.answer(&request))
    }
}

impl DeleteRecords {
    fn answer(&self, request: &DeleteRecordsRequest) -> DeleteRecordsResponse {
        // Of a partition that is named twice the last offset counts.
        let mut asked: BTreeMap<&TopicName, BTreeMap<i32, i64>> = BTreeMap::new();
        for (topic, partition) in request.topics.iter().flat_map(|t| t.partitions.iter().map(move |p| (t, p)))
        {
            asked.entry(&topic.name).or_default().insert(partition.partition_index, partition.offset);
        }
        let topics = asked.into_iter().map(|(name, partitions)| {
            let partitions = partitions.into_iter().map(|(index, offset)| {
                let (error, low_watermark) = match self.delete(name, index, offset) {
                    Ok(low_watermark) => (ErrorCode::None, low_watermark),
                    Err(error) => (error, Offset::NONE),
                };
                DeleteRecordsPartitionResult::default()
                    .with_partition_index(index)
                    .with_low_watermark(low_watermark.get())
                    .with_error_code(error.code())
            });
            DeleteRecordsTopicResult::default().with_name(name.clone()).with_partitions(partitions.collect())
        });
        DeleteRecordsResponse::default().with_topics(topics.collect())
    }

    /// The low watermark after the deletion: with one replica, the log's start.
    fn delete(&self, topic: &str, partition: i32, offset: i64) -> Result<Offset, ErrorCode> {
        if is_internal(topic) {
            return Err(ErrorCode::InvalidTopicException);
        }
        let partition =
            self.partitions.by_name(topic, partition).map_err(|error| error_map::absent(&error))?;
        let upto = (offset != HIGH_WATERMARK).then_some(Offset(offset));
        partition.delete_records(upto).map_err(|error| error_map::partition(&error))
    }
}
