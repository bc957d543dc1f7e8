//! What became of each batch, as a Produce answer.

use std::sync::Arc;

use ottla_metadata::MetadataImage;
use ottla_model::Offset;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::produce_response::{
    LeaderIdAndEpoch, PartitionProduceResponse, TopicProduceResponse,
};
use ottla_protocol::messages::{ProduceResponse, StrBytes, TopicName};
use ottla_replication::Ticket;
use ottla_storage::AppendInfo;
use tokio::sync::Notify;
use uuid::Uuid;

use super::refusal::Refusal;
use crate::error_map;
use crate::leader_hint::LeaderHints;
use crate::partitions::Partition;

/// The first version with leader hints (KIP-951).
const FIRST_WITH_HINTS: i16 = 10;

/// All partitions of a request, in its order.
#[derive(Debug)]
pub(super) struct Answers {
    pub(super) topics: Vec<TopicAnswers>,
}

#[derive(Debug)]
pub(super) struct TopicAnswers {
    pub(super) name: StrBytes,
    pub(super) topic_id: Uuid,
    pub(super) outcomes: Vec<(i32, Outcome)>,
}

/// One batch.
#[derive(Debug)]
pub(super) enum Outcome {
    Done(AppendInfo),
    /// In the log, not yet committed.
    Waiting {
        partition: Arc<Partition>,
        info: AppendInfo,
        required: Offset,
    },
    Failed(Refusal),
}

/// Places in wait lists, given back when dropped.
#[derive(Debug)]
pub(super) struct Parked(Vec<(Arc<Partition>, Ticket)>);

impl Drop for Parked {
    fn drop(&mut self) {
        for (partition, ticket) in self.0.drain(..) {
            partition.cancel_produce(ticket);
        }
    }
}

impl Answers {
    /// Copies the names, which are pieces of the request's frame.
    pub(super) fn let_go_of_frame(&mut self) {
        for topic in &mut self.topics {
            topic.name = StrBytes::from_string(topic.name.to_string());
        }
    }

    pub(super) fn has_error(&self) -> bool {
        self.outcomes().any(|outcome| matches!(outcome, Outcome::Failed(_)))
    }

    pub(super) fn is_complete(&self) -> bool {
        !self.outcomes().any(|outcome| matches!(outcome, Outcome::Waiting { .. }))
    }

    /// Takes a place in the wait list of every partition that is waited for.
    pub(super) fn park(&self, waiter: &Arc<Notify>) -> Parked {
        let places = self.outcomes().filter_map(|outcome| match outcome {
            Outcome::Waiting { partition, required, .. } => {
                let ticket = partition.park_produce(*required, Arc::clone(waiter))?;
                Some((Arc::clone(partition), ticket))
            }
            _ => None,
        });
        Parked(places.collect())
    }

    /// Asks every partition that is waited for whether its batch is committed.
    pub(super) fn settle(&mut self) {
        for outcome in self.outcomes_mut() {
            if let Outcome::Waiting { partition, info, required } = outcome {
                match partition.acknowledged(*required) {
                    Some(Ok(())) => *outcome = Outcome::Done(*info),
                    Some(Err(error)) => *outcome = Outcome::Failed(Refusal::code(error_map::append(&error))),
                    None => {}
                }
            }
        }
    }

    /// REQUEST_TIMED_OUT for what still waits.
    pub(super) fn time_out(&mut self) {
        for outcome in self.outcomes_mut() {
            if matches!(outcome, Outcome::Waiting { .. }) {
                *outcome = Outcome::Failed(Refusal::code(ErrorCode::RequestTimedOut));
            }
        }
    }

    /// `image` and `listener` say who leads where this broker does not.
    pub(super) fn into_response(
        self,
        version: i16,
        image: &MetadataImage,
        listener: &str,
    ) -> ProduceResponse {
        let responses = self.topics.into_iter().map(|topic| TopicProduceResponse {
            name: TopicName(topic.name),
            topic_id: topic.topic_id,
            partition_responses: topic
                .outcomes
                .into_iter()
                .map(|(index, outcome)| partition(index, outcome))
                .collect(),
        });
        let mut response = ProduceResponse { responses: responses.collect(), ..ProduceResponse::default() };
        if version >= FIRST_WITH_HINTS {
            hint(&mut response, image, listener);
        }
        response
    }

    fn outcomes(&self) -> impl Iterator<Item = &Outcome> {
        self.topics.iter().flat_map(|topic| topic.outcomes.iter().map(|(_, outcome)| outcome))
    }

    fn outcomes_mut(&mut self) -> impl Iterator<Item = &mut Outcome> {
        self.topics.iter_mut().flat_map(|topic| topic.outcomes.iter_mut().map(|(_, outcome)| outcome))
    }
}

/// Says who leads where this broker does not.
fn hint(response: &mut ProduceResponse, image: &MetadataImage, listener: &str) {
    let mut hints = LeaderHints::new(image, listener);
    for topic in &mut response.responses {
        for partition in &mut topic.partition_responses {
            if partition.error_code == ErrorCode::NotLeaderOrFollower.code() {
                let (leader, epoch) = hints.leader(topic.topic_id, &topic.name, partition.index);
                partition.current_leader =
                    LeaderIdAndEpoch { leader_id: leader.get().into(), leader_epoch: epoch.get() };
            }
        }
    }
    response.node_endpoints = hints.into_endpoints();
}

fn partition(index: i32, outcome: Outcome) -> PartitionProduceResponse {
    match outcome {
        Outcome::Done(info) | Outcome::Waiting { info, .. } => PartitionProduceResponse {
            index,
            base_offset: info.first_offset.get(),
            log_append_time_ms: info.log_append_time.get(),
            log_start_offset: info.log_start_offset.get(),
            ..PartitionProduceResponse::default()
        },
        Outcome::Failed(refusal) => refusal.into_response(index),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_waiting_answer_does_not_keep_the_frame() {
        let frame = Bytes::from(b"..topic..".to_vec());
        let name = StrBytes::from_utf8(frame.slice(2..7)).unwrap();
        let topic = TopicAnswers { name, topic_id: Uuid::nil(), outcomes: Vec::new() };
        let mut answers = Answers { topics: vec![topic] };
        assert!(!frame.is_unique());
        answers.let_go_of_frame();
        assert!(frame.is_unique());
        let response = answers.into_response(9, &MetadataImage::new("c"), "PLAINTEXT");
        assert_eq!(response.responses[0].name.as_str(), "topic");
    }

    #[test]
    fn who_does_not_lead_says_who_does() {
        let image = crate::leader_hint::tests::image_led_by_another();
        let answers = || {
            let refused = |code| Outcome::Failed(Refusal::code(code));
            let outcomes = vec![
                (0, refused(ErrorCode::NotLeaderOrFollower)),
                (7, refused(ErrorCode::NotLeaderOrFollower)),
                (0, refused(ErrorCode::CorruptMessage)),
            ];
            let name = StrBytes::from_static_str("t");
            Answers { topics: vec![TopicAnswers { name, topic_id: Uuid::nil(), outcomes }] }
        };
        let response = answers().into_response(10, &image, "PLAINTEXT");
        let leaders: Vec<(i32, i32)> = response.responses[0]
            .partition_responses
            .iter()
            .map(|partition| (partition.current_leader.leader_id.0, partition.current_leader.leader_epoch))
            .collect();
        assert_eq!(leaders, [(2, 5), (-1, -1), (-1, -1)]);
        let [node] = response.node_endpoints.as_slice() else { panic!("{response:?}") };
        assert_eq!((node.node_id.0, node.host.as_str(), node.port), (2, "other", 9092));
        assert!(answers().into_response(9, &image, "PLAINTEXT").node_endpoints.is_empty());
        assert!(answers().into_response(10, &image, "ELSEWHERE").node_endpoints.is_empty());
    }
}
