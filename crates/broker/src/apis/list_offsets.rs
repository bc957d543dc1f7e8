//! ListOffsets (KIP-79, KIP-734, KIP-1005, KIP-1023): offsets by time, and the special ones at both ends.

use std::collections::HashSet;
use std::sync::Arc;

use ottla_model::{LeaderEpoch, Offset, TimestampMs};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use ottla_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use ottla_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse, TopicName};
use ottla_storage::TimestampOffset;
use tokio::time::Instant;

use crate::dispatch::{Handler, Reply, RequestContext};
use crate::error_map;
use crate::partitions::opening::{OPENING_WAIT, all_over, when_open};
use crate::partitions::{Isolation, Partition, Partitions, TopicKey};

/// The first version that tells the leader epoch (KIP-320).
const FIRST_WITH_EPOCH: i16 = 4;

/// Answers from the leaders on this broker.
#[derive(Debug)]
pub(crate) struct ListOffsets {
    pub partitions: Arc<Partitions>,
}

/// What a request's timestamp asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Latest,
    Earliest,
    MaxTimestamp,
    /// Of tiered storage, which no topic here has: there is no such offset.
    Tiered,
    AtOrAfter(TimestampMs),
}

impl Wanted {
    fn from_timestamp(timestamp: i64, version: i16) -> Option<Self> {
        match timestamp {
            -1 => Some(Self::Latest),
            -2 => Some(Self::Earliest),
            -3 if version >= 7 => Some(Self::MaxTimestamp),
            // Without tiered storage the earliest local offset is the earliest.
            -4 if version >= 8 => Some(Self::Earliest),
            -5 if version >= 9 => Some(Self::Tiered),
            -6 if version >= 11 => Some(Self::Tiered),
            timestamp if timestamp >= 0 => Some(Self::AtOrAfter(TimestampMs(timestamp))),
            _ => None,
        }
    }
}

impl Handler for ListOffsets {
    type Request = ListOffsetsRequest;

    fn handle(&self, context: &RequestContext, request: ListOffsetsRequest) -> Reply<ListOffsetsResponse> {
        let Some(mut isolation) = isolation(request.isolation_level) else {
            return Reply::Ready(failed(&request, context.version));
        };
        if request.replica_id.0 >= 0 {
            isolation = Isolation::LogEnd;
        }
        let asked = request.topics.iter().flat_map(|topic| &topic.partitions);
        let reads_records = asked
            .filter_map(|asked| Wanted::from_timestamp(asked.timestamp, context.version))
            .any(|wanted| matches!(wanted, Wanted::MaxTimestamp | Wanted::AtOrAfter(_)));
        let named = request.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|asked| (TopicKey::Name(&topic.name), asked.partition_index))
        });
        let openings = self.partitions.opening(named);
        let (handler, version) = (Self { partitions: Arc::clone(&self.partitions) }, context.version);
        let answer = move || handler.answer(&request, version, isolation);
        if !reads_records {
            return when_open(openings, OPENING_WAIT, answer);
        }
        let deadline = Instant::now() + OPENING_WAIT;
        // Records are read, unpacked too: other connections' requests must not wait for that.
        Reply::ordered(async move {
            all_over(openings, deadline).await;
            tokio::task::spawn_blocking(answer).await.unwrap_or_default()
        })
    }
}

impl ListOffsets {
    fn answer(
        &self,
        request: &ListOffsetsRequest,
        version: i16,
        isolation: Isolation,
    ) -> ListOffsetsResponse {
        let duplicates = duplicates(&request.topics);
        let mut answered = HashSet::new();
        let mut topics: Vec<ListOffsetsTopicResponse> = Vec::new();
        for topic in &request.topics {
            for asked in &topic.partitions {
                let key = (topic.name.as_str(), asked.partition_index);
                let found = if !duplicates.contains(&key) {
                    self.find(&topic.name, asked, version, isolation)
                } else if answered.insert(key) {
                    Err(ErrorCode::InvalidRequest)
                } else {
                    // A partition that was given twice is answered once.
                    continue;
                };
                let partition = respond(asked.partition_index, version, found);
                push(&mut topics, &topic.name, partition);
            }
        }
        ListOffsetsResponse::default().with_topics(topics)
    }

    fn find(
        &self,
        topic: &str,
        asked: &ListOffsetsPartition,
        version: i16,
        isolation: Isolation,
    ) -> Result<Option<TimestampOffset>, ErrorCode> {
        let wanted = Wanted::from_timestamp(asked.timestamp, version).ok_or(ErrorCode::UnsupportedVersion)?;
        let partition = self
            .partitions
            .by_name(topic, asked.partition_index)
            .map_err(|error| error_map::absent(&error))?;
        let epoch = (asked.current_leader_epoch != -1).then_some(LeaderEpoch(asked.current_leader_epoch));
        lookup(&partition, wanted, epoch, isolation).map_err(|error| error_map::partition(&error))
    }
}

/// A topic that was given twice is answered in one place.
fn push(
    topics: &mut Vec<ListOffsetsTopicResponse>,
    name: &TopicName,
    partition: ListOffsetsPartitionResponse,
) {
    match topics.iter_mut().find(|topic| topic.name == *name) {
        Some(topic) => topic.partitions.push(partition),
        None => topics.push(
            ListOffsetsTopicResponse::default().with_name(name.clone()).with_partitions(vec![partition]),
        ),
    }
}

fn isolation(level: i8) -> Option<Isolation> {
    match level {
        0 => Some(Isolation::Uncommitted),
        1 => Some(Isolation::Committed),
        _ => None,
    }
}

/// Kafka trips over a level of isolation that there is not.
fn failed(request: &ListOffsetsRequest, version: i16) -> ListOffsetsResponse {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter();
        let partitions = partitions
            .map(|asked| respond(asked.partition_index, version, Err(ErrorCode::UnknownServerError)));
        ListOffsetsTopicResponse::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions.collect())
    });
    ListOffsetsResponse::default().with_topics(topics.collect())
}

fn lookup(
    partition: &Partition,
    wanted: Wanted,
    epoch: Option<LeaderEpoch>,
    isolation: Isolation,
) -> Result<Option<TimestampOffset>, crate::partitions::PartitionError> {
    match wanted {
        Wanted::Latest => partition.latest_offset(epoch, isolation).map(Some),
        Wanted::Earliest => partition.log_start_offset(epoch).map(Some),
        Wanted::MaxTimestamp => partition.max_timestamp(epoch),
        Wanted::AtOrAfter(timestamp) => partition.offset_for_timestamp(epoch, timestamp),
        Wanted::Tiered => partition.latest_offset(epoch, isolation).map(|_| None),
    }
}

fn respond(
    index: i32,
    version: i16,
    found: Result<Option<TimestampOffset>, ErrorCode>,
) -> ListOffsetsPartitionResponse {
    let none = TimestampOffset {
        timestamp: TimestampMs::NONE,
        offset: Offset::NONE,
        leader_epoch: LeaderEpoch::NONE,
    };
    let (error, found) = match found {
        Ok(found) => (ErrorCode::None, found.unwrap_or(none)),
        Err(error) => (error, none),
    };
    ListOffsetsPartitionResponse::default()
        .with_partition_index(index)
        .with_error_code(error.code())
        .with_timestamp(found.timestamp.get())
        .with_offset(found.offset.get())
        .with_leader_epoch(if version >= FIRST_WITH_EPOCH { found.leader_epoch.get() } else { -1 })
}

/// The partitions that the request names more than once.
fn duplicates(topics: &[ListOffsetsTopic]) -> HashSet<(&str, i32)> {
    let mut seen = HashSet::new();
    let named = topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| (topic.name.as_str(), partition.partition_index))
    });
    named.filter(|key| !seen.insert(*key)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_timestamps_need_their_version() {
        assert_eq!(Wanted::from_timestamp(-3, 6), None);
        assert_eq!(Wanted::from_timestamp(-3, 7), Some(Wanted::MaxTimestamp));
        assert_eq!(Wanted::from_timestamp(-4, 7), None);
        assert_eq!(Wanted::from_timestamp(-5, 9), Some(Wanted::Tiered));
        assert_eq!(Wanted::from_timestamp(-6, 10), None);
        assert_eq!(Wanted::from_timestamp(-7, 11), None);
        assert_eq!(Wanted::from_timestamp(0, 1), Some(Wanted::AtOrAfter(TimestampMs(0))));
    }
}
