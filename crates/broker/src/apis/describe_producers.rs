//! DescribeProducers (KIP-664): who has written to a partition lately.

use std::sync::Arc;

use ottla_model::check_topic_name;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_producers_response::{
    PartitionResponse, ProducerState, TopicResponse,
};
use ottla_protocol::messages::{DescribeProducersRequest, DescribeProducersResponse, StrBytes};
use ottla_storage::ActiveProducer;

use crate::dispatch::{AnswerLimit, Handler, Reply, RequestContext};
use crate::error_map;
use crate::partitions::opening::{OPENING_WAIT, when_open};
use crate::partitions::{Partitions, TopicKey};

const UNKNOWN_TOPIC: &str = "This server does not host this topic-partition.";

/// Answers from the leaders on this broker.
#[derive(Debug)]
pub(crate) struct DescribeProducers {
    pub partitions: Arc<Partitions>,
}

impl Handler for DescribeProducers {
    type Request = DescribeProducersRequest;

    fn handle(
        &self,
        _: &RequestContext,
        request: DescribeProducersRequest,
    ) -> Reply<DescribeProducersResponse> {
        let named = request.topics.iter().flat_map(|topic| {
            topic.partition_indexes.iter().map(|index| (TopicKey::Name(&topic.name), *index))
        });
        let openings = self.partitions.opening(named);
        let handler = Self { partitions: Arc::clone(&self.partitions) };
        when_open(openings, OPENING_WAIT, move || handler.answer(&request))
    }
}

impl DescribeProducers {
    fn answer(&self, request: &DescribeProducersRequest) -> DescribeProducersResponse {
        let mut limit = AnswerLimit::new();
        let topics = request.topics.iter().map(|topic| {
            let partitions = topic.partition_indexes.iter().map(|index| {
                if limit.is_reached() {
                    return too_much(*index);
                }
                let described = self.describe(&topic.name, *index);
                limit.take(described.active_producers.len(), size_of::<ProducerState>());
                described
            });
            TopicResponse::default().with_name(topic.name.clone()).with_partitions(partitions.collect())
        });
        DescribeProducersResponse::default().with_topics(topics.collect())
    }

    fn describe(&self, topic: &str, index: i32) -> PartitionResponse {
        let answer = PartitionResponse::default().with_partition_index(index);
        if let Err(error) = check_topic_name(topic) {
            return answer
                .with_error_code(ErrorCode::InvalidTopicException.code())
                .with_error_message(Some(StrBytes::from_string(error.to_string())));
        }
        let found = self.partitions.by_name(topic, index).map_err(|error| error_map::absent(&error));
        let producers = found
            .and_then(|partition| partition.active_producers().map_err(|error| error_map::partition(&error)));
        match producers {
            Ok(producers) => answer.with_active_producers(producers.iter().map(state).collect()),
            Err(error) => {
                // Kafka explains a topic that there is not, and nothing else.
                let message = (!self.partitions.knows(topic)).then_some(UNKNOWN_TOPIC);
                answer
                    .with_error_code(error.code())
                    .with_error_message(message.map(StrBytes::from_static_str))
            }
        }
    }
}

/// The answer has become so large that the rest is to be asked for anew.
fn too_much(index: i32) -> PartitionResponse {
    PartitionResponse::default()
        .with_partition_index(index)
        .with_error_code(ErrorCode::InvalidRequest.code())
        .with_error_message(Some(StrBytes::from_static_str(
            "The answer would be too large: ask for fewer partitions at once.",
        )))
}

fn state(producer: &ActiveProducer) -> ProducerState {
    ProducerState::default()
        .with_producer_id(producer.producer_id.get().into())
        .with_producer_epoch(i32::from(producer.producer_epoch.get()))
        .with_last_sequence(producer.last_sequence)
        .with_last_timestamp(producer.last_timestamp.get())
        .with_coordinator_epoch(producer.coordinator_epoch)
        .with_current_txn_start_offset(producer.current_txn_start_offset.map_or(-1, |offset| offset.get()))
}
