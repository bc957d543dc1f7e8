//! OffsetForLeaderEpoch (KIP-101, KIP-320): where an epoch ends in the leader's log.

use std::sync::Arc;

use ottla_model::LeaderEpoch;
use ottla_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use ottla_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use ottla_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

use crate::dispatch::{Handler, Reply, RequestContext};
use crate::error_map;
use crate::partitions::opening::{OPENING_WAIT, when_open};
use crate::partitions::{Partitions, TopicKey};

/// Answers from the leaders on this broker.
#[derive(Debug)]
pub(crate) struct OffsetForLeaderEpoch {
    pub partitions: Arc<Partitions>,
}

impl Handler for OffsetForLeaderEpoch {
    type Request = OffsetForLeaderEpochRequest;

    fn handle(
        &self,
        _: &RequestContext,
        request: OffsetForLeaderEpochRequest,
    ) -> Reply<OffsetForLeaderEpochResponse> {
        let named = request.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|asked| (TopicKey::Name(&topic.topic), asked.partition))
        });
        let openings = self.partitions.opening(named);
        let handler = Self { partitions: Arc::clone(&self.partitions) };
        when_open(openings, OPENING_WAIT, move || handler.answer(&request))
    }
}

impl OffsetForLeaderEpoch {
    fn answer(&self, request: &OffsetForLeaderEpochRequest) -> OffsetForLeaderEpochResponse {
        let topics = request.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|asked| self.find(&topic.topic, asked));
            OffsetForLeaderTopicResult::default()
                .with_topic(topic.topic.clone())
                .with_partitions(partitions.collect())
        });
        OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
    }

    fn find(&self, topic: &str, asked: &OffsetForLeaderPartition) -> EpochEndOffset {
        let current = (asked.current_leader_epoch >= 0).then_some(LeaderEpoch(asked.current_leader_epoch));
        let found = self
            .partitions
            .by_name(topic, asked.partition)
            .map_err(|error| error_map::absent(&error))
            .and_then(|partition| {
                let end = partition.end_offset_for_epoch(current, LeaderEpoch(asked.leader_epoch));
                end.map_err(|error| error_map::partition(&error))
            });
        let answer = EpochEndOffset::default().with_partition(asked.partition);
        match found {
            Ok(Some((epoch, end))) => answer.with_leader_epoch(epoch.get()).with_end_offset(end.get()),
            Ok(None) => answer.with_leader_epoch(-1).with_end_offset(-1),
            Err(error) => answer.with_error_code(error.code()).with_leader_epoch(-1).with_end_offset(-1),
        }
    }
}
