//! What a Fetch request asks for, without its versions.

use std::sync::Arc;
use std::time::Duration;

use ottla_model::{BrokerId, LeaderEpoch, Offset, TopicId};
use ottla_protocol::messages::FetchRequest;
use ottla_replication::session::{FetchKey, FetchPartition, FetchTopic};

use super::round::Limits;

/// Who fetches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replica {
    Consumer,
    /// A replica verification tool: `replica_id` -2.
    Debug,
    Follower(BrokerId),
}

impl Replica {
    pub(super) fn is_follower(self) -> bool {
        matches!(self, Self::Follower(_))
    }

    fn from_id(id: i32) -> Self {
        match id {
            -2 => Self::Debug,
            id if id < 0 => Self::Consumer,
            id => Self::Follower(BrokerId(id)),
        }
    }
}

/// A request taken apart.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) session_id: i32,
    pub(super) session_epoch: i32,
    pub(super) replica: Replica,
    pub(super) wanted: Vec<(FetchKey, FetchPartition)>,
    pub(super) forgotten: Vec<FetchKey>,
    pub(super) limits: Limits,
    pub(super) max_wait: Duration,
    pub(super) min_len: usize,
}

impl Asked {
    pub(super) fn from_request(request: FetchRequest, version: i16, response_max_len: usize) -> Self {
        let by_id = version >= 13;
        let replica_id = if version >= 15 { request.replica_state.replica_id } else { request.replica_id };
        let replica = Replica::from_id(replica_id.0);
        let topic = |name: &str, id: uuid::Uuid| {
            if by_id { FetchTopic::Id(TopicId(id)) } else { FetchTopic::Name(Arc::from(name)) }
        };
        let wanted = request.topics.iter().flat_map(|asked| {
            let topic = topic(&asked.topic, asked.topic_id);
            asked.partitions.iter().map(move |partition| {
                let wanted = FetchPartition {
                    fetch_offset: Offset(partition.fetch_offset),
                    log_start: Offset(partition.log_start_offset),
                    max_bytes: partition.partition_max_bytes,
                    current_leader_epoch: epoch(partition.current_leader_epoch),
                    last_fetched_epoch: epoch(partition.last_fetched_epoch),
                };
                (FetchKey { topic: topic.clone(), partition: partition.partition }, wanted)
            })
        });
        let forgotten = request.forgotten_topics_data.iter().flat_map(|gone| {
            let topic = topic(&gone.topic, gone.topic_id);
            gone.partitions
                .iter()
                .map(move |partition| FetchKey { topic: topic.clone(), partition: *partition })
        });
        let max_len = usize::try_from(request.max_bytes).unwrap_or(0).min(response_max_len);
        Self {
            session_id: request.session_id,
            session_epoch: request.session_epoch,
            replica,
            wanted: wanted.collect(),
            forgotten: forgotten.collect(),
            limits: Limits { max_len, replica, read_committed: request.isolation_level == 1 },
            max_wait: Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0)),
            min_len: usize::try_from(request.min_bytes).unwrap_or(0).min(max_len.max(1)),
        }
    }
}

fn epoch(number: i32) -> Option<LeaderEpoch> {
    (number >= 0).then_some(LeaderEpoch(number))
}
