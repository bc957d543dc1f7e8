//! A follower's requests, as Kafka's own Fetch and ListOffsets.

use std::collections::BTreeMap;

use ottla_config::ReplicationConfig;
use ottla_model::{BrokerId, LeaderEpoch, Offset, TopicId};
use ottla_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic, ReplicaState};
use ottla_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use ottla_protocol::messages::{FetchRequest, ListOffsetsRequest, StrBytes, TopicName};
use ottla_replication::Ask;

/// This broker, as leaders are told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Follower {
    pub(super) broker_id: BrokerId,
    pub(super) broker_epoch: i64,
}

/// Fetch of the newest version.
pub(super) fn fetch(
    ask: &Ask,
    follower: Follower,
    config: &ReplicationConfig,
    max_wait_ms: i32,
) -> FetchRequest {
    let mut topics: BTreeMap<TopicId, Vec<FetchPartition>> = BTreeMap::new();
    for (id, position) in &ask.wanted {
        let epoch = |epoch: Option<LeaderEpoch>| epoch.unwrap_or(LeaderEpoch::NONE).get();
        topics.entry(id.topic_id).or_default().push(FetchPartition {
            partition: id.partition,
            current_leader_epoch: epoch(position.current_leader_epoch),
            fetch_offset: position.fetch_offset.get(),
            last_fetched_epoch: epoch(position.last_fetched_epoch),
            log_start_offset: position.log_start.get(),
            partition_max_bytes: position.max_bytes,
            ..FetchPartition::default()
        });
    }
    let mut forgotten: BTreeMap<TopicId, Vec<i32>> = BTreeMap::new();
    for id in &ask.forgotten {
        forgotten.entry(id.topic_id).or_default().push(id.partition);
    }
    let topic =
        |(id, partitions): (TopicId, _)| FetchTopic { topic_id: id.0, partitions, ..FetchTopic::default() };
    let forgotten_topic = |(id, partitions): (TopicId, _)| ForgottenTopic {
        topic_id: id.0,
        partitions,
        ..ForgottenTopic::default()
    };
    FetchRequest {
        replica_state: ReplicaState {
            replica_id: follower.broker_id.get().into(),
            replica_epoch: follower.broker_epoch,
        },
        max_wait_ms,
        min_bytes: config.fetch_bytes_min,
        max_bytes: config.fetch_response_bytes_max,
        session_id: ask.session_id,
        session_epoch: ask.session_epoch,
        topics: topics.into_iter().map(topic).collect(),
        forgotten_topics_data: forgotten.into_iter().map(forgotten_topic).collect(),
        ..FetchRequest::default()
    }
}

/// Which end of a leader's log is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    First,
    Last,
}

/// ListOffsets of one partition.
pub(super) fn list_offset(
    topic: &str,
    partition: i32,
    leader_epoch: LeaderEpoch,
    end: End,
    follower: Follower,
) -> ListOffsetsRequest {
    let asked = ListOffsetsPartition::default()
        .with_partition_index(partition)
        .with_current_leader_epoch(leader_epoch.get())
        .with_timestamp(match end {
            End::First => -2,
            End::Last => -1,
        });
    let topic = ListOffsetsTopic::default()
        .with_name(TopicName(StrBytes::from_string(topic.to_owned())))
        .with_partitions(vec![asked]);
    ListOffsetsRequest::default().with_replica_id(follower.broker_id.get().into()).with_topics(vec![topic])
}

/// An offset in an answer; nothing before the first one is meant by negative ones.
pub(super) fn offset(number: i64) -> Offset {
    Offset(number.max(0))
}
