//! DescribeTopicPartitions (KIP-966): topics by name, page by page.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use ottla_config::BrokerConfig;
use ottla_metadata::{MetadataImage, PartitionRegistration, TopicImage};
use ottla_model::BrokerId;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_topic_partitions_request::Cursor as AskedCursor;
use ottla_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use ottla_protocol::messages::{
    DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, StrBytes, TopicName,
};

use crate::authorized_operations as operations;
use crate::dispatch::{Handler, Reply, RequestContext};
use crate::internal_topics::is_internal;
use crate::metadata_view::MetadataView;

/// Answers from the published image.
#[derive(Debug)]
pub(crate) struct DescribeTopicPartitions {
    pub view: Arc<MetadataView>,
    pub config: Arc<ArcSwap<BrokerConfig>>,
}

impl Handler for DescribeTopicPartitions {
    type Request = DescribeTopicPartitionsRequest;

    fn handle(
        &self,
        _: &RequestContext,
        request: DescribeTopicPartitionsRequest,
    ) -> Reply<DescribeTopicPartitionsResponse> {
        match &request.cursor {
            Some(cursor) if !is_valid(cursor, &request) => Reply::Ready(invalid(&request)),
            _ => {
                let page_max = self.config.load().net.request_partitions_max;
                Reply::Ready(respond(&self.view.image(), &request, page_max))
            }
        }
    }
}

/// A cursor stands at a topic that is asked for.
fn is_valid(cursor: &AskedCursor, request: &DescribeTopicPartitionsRequest) -> bool {
    let is_asked =
        request.topics.is_empty() || request.topics.iter().any(|topic| topic.name == cursor.topic_name);
    is_asked && cursor.partition_index >= 0
}

/// What Kafka makes of an invalid cursor: the error stands at each topic that was asked for.
fn invalid(request: &DescribeTopicPartitionsRequest) -> DescribeTopicPartitionsResponse {
    let topics = request.topics.iter().map(|topic| {
        DescribeTopicPartitionsResponseTopic::default()
            .with_name(Some(topic.name.clone()))
            .with_error_code(ErrorCode::InvalidRequest.code())
    });
    DescribeTopicPartitionsResponse::default().with_topics(topics.collect())
}

fn respond(
    image: &MetadataImage,
    request: &DescribeTopicPartitionsRequest,
    page_max: i32,
) -> DescribeTopicPartitionsResponse {
    let from = request.cursor.as_ref().map_or("", |cursor| cursor.topic_name.as_str());
    let first = request.cursor.as_ref().map_or(0, |cursor| cursor.partition_index);
    let limit = request.response_partition_limit.min(page_max).max(1);
    let mut page = Page { image, left: usize::try_from(limit).unwrap_or(1), topics: Vec::new(), next: None };
    if request.topics.is_empty() {
        let all = image.topics().from_name(from);
        for topic in all {
            let start = if &*topic.name == from { first } else { 0 };
            if !page.add(topic, start) {
                break;
            }
        }
        return page.response();
    }
    let names: BTreeSet<&str> = request.topics.iter().map(|topic| topic.name.as_str()).collect();
    for name in names.range(from..) {
        let start = if *name == from { first } else { 0 };
        let more = match image.topic(name) {
            Some(topic) => page.add(topic, start),
            None => page.add_unknown(name),
        };
        if !more {
            break;
        }
    }
    page.response()
}

/// Topics in order of their names, until as many partitions are listed as one answer may have.
struct Page<'a> {
    image: &'a MetadataImage,
    left: usize,
    topics: Vec<DescribeTopicPartitionsResponseTopic>,
    next: Option<Cursor>,
}

impl Page<'_> {
    /// Adds a topic's partitions from `start` on; false if the page is full, and something is left.
    fn add(&mut self, topic: &TopicImage, start: i32) -> bool {
        if self.left == 0 {
            self.stop_before(&topic.name, 0);
            return false;
        }
        let mut rest = topic.partitions().skip_while(|(index, _)| *index < start);
        let shown: Vec<_> = rest
            .by_ref()
            .take(self.left)
            .map(|(index, partition)| self.partition(index, partition))
            .collect();
        let next = rest.next().map(|(index, _)| index);
        self.left -= shown.len();
        self.topics.push(
            DescribeTopicPartitionsResponseTopic::default()
                .with_name(Some(topic_name(&topic.name)))
                .with_topic_id(topic.id.0)
                .with_is_internal(is_internal(&topic.name))
                .with_partitions(shown)
                .with_topic_authorized_operations(operations::TOPIC),
        );
        if let Some(next) = next {
            self.stop_before(&topic.name, next);
        }
        next.is_none()
    }

    fn add_unknown(&mut self, name: &str) -> bool {
        if self.left == 0 {
            self.stop_before(name, 0);
            return false;
        }
        let error = if ottla_model::check_topic_name(name).is_err() {
            ErrorCode::InvalidTopicException
        } else {
            ErrorCode::UnknownTopicOrPartition
        };
        self.topics.push(
            DescribeTopicPartitionsResponseTopic::default()
                .with_error_code(error.code())
                .with_name(Some(topic_name(name)))
                .with_is_internal(is_internal(name))
                .with_topic_authorized_operations(operations::TOPIC),
        );
        true
    }

    fn stop_before(&mut self, topic: &str, partition: i32) {
        let cursor = Cursor::default().with_topic_name(topic_name(topic)).with_partition_index(partition);
        self.next = Some(cursor);
    }

    fn response(self) -> DescribeTopicPartitionsResponse {
        DescribeTopicPartitionsResponse::default().with_topics(self.topics).with_next_cursor(self.next)
    }

    fn partition(
        &self,
        index: i32,
        partition: &PartitionRegistration,
    ) -> DescribeTopicPartitionsResponsePartition {
        let ids = |ids: &[BrokerId]| ids.iter().map(|id| id.get().into()).collect::<Vec<_>>();
        let offline = self.image.offline_replicas(partition);
        let error = if partition.has_leader() { ErrorCode::None } else { ErrorCode::LeaderNotAvailable };
        DescribeTopicPartitionsResponsePartition::default()
            .with_error_code(error.code())
            .with_partition_index(index)
            .with_leader_id(partition.leader.get().into())
            .with_leader_epoch(partition.leader_epoch.get())
            .with_replica_nodes(ids(&partition.replicas))
            .with_isr_nodes(ids(&partition.isr))
            .with_eligible_leader_replicas(Some(ids(&partition.elr)))
            .with_last_known_elr(Some(ids(&partition.last_known_elr)))
            .with_offline_replicas(ids(&offline))
    }
}

fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use ottla_metadata::{DirectoryId, LeaderRecoveryState, MetadataRecord, PartitionRecord, TopicRecord};
    use ottla_model::{LeaderEpoch, PartitionEpoch, TopicId};
    use ottla_protocol::messages::describe_topic_partitions_request::{Cursor as Asked, TopicRequest};

    use super::*;

    /// Topics a, b and c with three partitions each.
    fn image() -> MetadataImage {
        let mut image = MetadataImage::new("c");
        for (n, name) in ["a", "b", "c"].into_iter().enumerate() {
            let topic_id = TopicId(uuid::Uuid::from_u128(n as u128 + 10));
            image.replay(&MetadataRecord::Topic(TopicRecord { name: name.to_owned(), topic_id })).unwrap();
            for partition_id in 0..3 {
                let record = PartitionRecord {
                    partition_id,
                    topic_id,
                    replicas: vec![BrokerId(1)],
                    isr: vec![BrokerId(1)],
                    removing_replicas: Vec::new(),
                    adding_replicas: Vec::new(),
                    leader: BrokerId(1),
                    leader_recovery_state: LeaderRecoveryState::Recovered,
                    leader_epoch: LeaderEpoch(0),
                    partition_epoch: PartitionEpoch(0),
                    directories: vec![DirectoryId::UNASSIGNED],
                    elr: Vec::new(),
                    last_known_elr: Vec::new(),
                };
                image.replay(&MetadataRecord::Partition(record)).unwrap();
            }
        }
        image
    }

    /// (name, partitions) of each topic.
    type Topics = Vec<(String, Vec<i32>)>;

    /// The topics of a page, and where to go on.
    fn page(topics: &[&str], limit: i32, cursor: Option<(&str, i32)>) -> (Topics, Option<(String, i32)>) {
        let named = |name: &&str| TopicRequest::default().with_name(topic_name(name));
        let cursor = cursor.map(|(name, index)| {
            Asked::default().with_topic_name(topic_name(name)).with_partition_index(index)
        });
        let request = DescribeTopicPartitionsRequest::default()
            .with_topics(topics.iter().map(named).collect())
            .with_response_partition_limit(limit)
            .with_cursor(cursor);
        let response = respond(&image(), &request, 2_000);
        let topics = response.topics.iter().map(|topic| {
            let name = topic.name.as_ref().map(|name| name.to_string()).unwrap_or_default();
            (name, topic.partitions.iter().map(|partition| partition.partition_index).collect())
        });
        let next = response.next_cursor.map(|next| (next.topic_name.to_string(), next.partition_index));
        (topics.collect(), next)
    }

    fn topics(expected: &[(&str, &[i32])]) -> Topics {
        expected.iter().map(|(name, partitions)| ((*name).to_owned(), partitions.to_vec())).collect()
    }

    #[test]
    fn pages_follow_each_other_without_gap_or_overlap() {
        let (first, next) = page(&[], 4, None);
        assert_eq!(first, topics(&[("a", &[0, 1, 2]), ("b", &[0])]));
        assert_eq!(next, Some(("b".to_owned(), 1)));
        let (second, next) = page(&[], 5, Some(("b", 1)));
        assert_eq!(second, topics(&[("b", &[1, 2]), ("c", &[0, 1, 2])]));
        assert_eq!(next, None);
    }

    #[test]
    fn a_page_that_ends_with_a_topic_points_at_the_next() {
        let (first, next) = page(&[], 3, None);
        assert_eq!(first, topics(&[("a", &[0, 1, 2])]));
        assert_eq!(next, Some(("b".to_owned(), 0)));
    }

    #[test]
    fn named_topics_come_sorted_and_unknown_ones_with_an_error() {
        let (found, next) = page(&["c", "nope", "a"], 2_000, None);
        assert_eq!(found, topics(&[("a", &[0, 1, 2]), ("c", &[0, 1, 2]), ("nope", &[])]));
        assert_eq!(next, None);
    }

    #[test]
    fn a_full_page_ends_before_an_unknown_topic_too() {
        let (found, next) = page(&["a", "nope"], 3, None);
        assert_eq!(found, topics(&[("a", &[0, 1, 2])]));
        assert_eq!(next, Some(("nope".to_owned(), 0)));
        assert_eq!(page(&["a", "nope"], 3, Some(("nope", 0))), (topics(&[("nope", &[])]), None));
    }

    #[test]
    fn a_cursor_stands_at_a_topic_that_is_asked_for() {
        let asked = |names: &[&str], topic: &str, partition: i32| {
            let named = |name: &&str| TopicRequest::default().with_name(topic_name(name));
            let cursor =
                AskedCursor::default().with_topic_name(topic_name(topic)).with_partition_index(partition);
            let topics = names.iter().map(named).collect();
            is_valid(&cursor, &DescribeTopicPartitionsRequest::default().with_topics(topics))
        };
        assert!(asked(&["a", "b"], "b", 0) && asked(&[], "zz", 0) && asked(&["a"], "a", 30));
        assert!(!asked(&["a"], "a", -1) && !asked(&["a"], "zz", 0) && !asked(&["a", "c"], "b", 2));
    }
}
