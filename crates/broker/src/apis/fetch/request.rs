//! What a Fetch request asks for, without its versions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ottla_metadata::MetadataImage;
use ottla_model::{BrokerId, LeaderEpoch, MonoMs, Offset, TopicId};
use ottla_protocol::messages::FetchRequest;
use ottla_replication::BrokerStanding;
use ottla_replication::session::{FetchKey, FetchPartition, FetchTopic};

use super::round::Limits;
use crate::replication::ReplicationQuotas;

/// The first version in which a consumer says where it is (KIP-392).
const FIRST_WITH_RACK: i16 = 11;
/// The first version with the state of a replica (KIP-903).
const FIRST_WITH_STATE: i16 = 15;

/// Who fetches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replica {
    /// `leader_only`: it knows nothing of reading from other replicas (KIP-392).
    Consumer {
        leader_only: bool,
    },
    /// A replica verification tool: `replica_id` -2.
    Debug,
    Follower(Follower),
}

/// A broker that copies records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Follower {
    pub(super) broker: BrokerId,
    /// Of the incarnation that asks (KIP-903), if it says so.
    pub(super) broker_epoch: Option<i64>,
    /// What the metadata says of the broker.
    pub(super) standing: BrokerStanding,
    /// Whether its fetch has not been taken into account yet: it is news once.
    pub(super) is_news: bool,
    pub(super) now: MonoMs,
}

impl Follower {
    /// Whether the broker has not been started anew since.
    pub(super) fn is_the_registered_one(self) -> bool {
        self.standing.epoch.is_some_and(|registered| self.broker_epoch.is_none_or(|own| own >= registered))
    }
}

impl Replica {
    pub(super) fn is_follower(self) -> bool {
        matches!(self, Self::Follower(_))
    }

    /// Its fetch has been taken into account by every partition.
    pub(super) fn noted(&mut self) {
        if let Self::Follower(follower) = self {
            follower.is_news = false;
        }
    }

    fn from_request(request: &FetchRequest, version: i16, image: &MetadataImage, now: MonoMs) -> Self {
        let by_state = version >= FIRST_WITH_STATE;
        let id = if by_state { request.replica_state.replica_id } else { request.replica_id };
        match id.0 {
            -2 => Self::Debug,
            id if id < 0 => Self::Consumer { leader_only: version < FIRST_WITH_RACK },
            id => {
                let broker = BrokerId(id);
                let registered = image.brokers().get(broker);
                let standing = BrokerStanding {
                    epoch: registered.map(|broker| broker.epoch),
                    fenced: registered.is_none_or(|broker| broker.fenced),
                    in_controlled_shutdown: registered.is_some_and(|broker| broker.in_controlled_shutdown),
                };
                let broker_epoch = Some(request.replica_state.replica_epoch).filter(|epoch| *epoch >= 0);
                Self::Follower(Follower { broker, broker_epoch, standing, is_news: true, now })
            }
        }
    }
}

/// Finds the replicas near a consumer (`RackAwareReplicaSelector`).
#[derive(Clone, Debug)]
pub(super) struct Neighbourhood {
    rack: Arc<str>,
    image: Arc<MetadataImage>,
}

impl Neighbourhood {
    /// `None` where the consumer does not say where it is.
    pub(super) fn of(request: &FetchRequest, version: i16, image: Arc<MetadataImage>) -> Option<Self> {
        let is_consumer = request.replica_id.0 == -1 && request.replica_state.replica_id.0 == -1;
        let says = is_consumer && version >= FIRST_WITH_RACK && !request.rack_id.is_empty();
        says.then(|| Self { rack: Arc::from(request.rack_id.as_str()), image })
    }

    pub(super) fn has(&self, broker: BrokerId) -> bool {
        let broker = self.image.brokers().get(broker);
        broker.is_some_and(|broker| !broker.fenced && broker.rack.as_deref() == Some(&*self.rack))
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
    pub(super) fn from_request(
        request: &FetchRequest,
        version: i16,
        response_max_len: usize,
        image: &MetadataImage,
        quotas: &Arc<ReplicationQuotas>,
        now: MonoMs,
    ) -> Self {
        let by_id = version >= 13;
        let replica = Replica::from_request(request, version, image, now);
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
        let max_len = request.max_bytes.min(i32::try_from(response_max_len).unwrap_or(i32::MAX));
        let enough = usize::try_from(max_len).unwrap_or(0).max(1);
        Self {
            session_id: request.session_id,
            session_epoch: request.session_epoch,
            replica,
            wanted: last_of_each(wanted.collect()),
            forgotten: forgotten.collect(),
            limits: Limits {
                max_len,
                replica,
                read_committed: request.isolation_level == 1,
                quotas: Arc::clone(quotas),
                neighbourhood: None,
            },
            max_wait: Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0)),
            min_len: usize::try_from(request.min_bytes).unwrap_or(0).min(enough),
        }
    }
}

/// A partition that is named more than once stands where it was first, with what was said of it last.
fn last_of_each(wanted: Vec<(FetchKey, FetchPartition)>) -> Vec<(FetchKey, FetchPartition)> {
    if wanted.len() < 2 {
        return wanted;
    }
    let mut places = BTreeMap::new();
    for (at, (key, _)) in wanted.iter().enumerate() {
        places.entry(key).and_modify(|(_, last)| *last = at).or_insert((at, at));
    }
    if places.len() == wanted.len() {
        return wanted;
    }
    let mut places: Vec<(usize, usize)> = places.into_values().collect();
    places.sort_unstable();
    places.into_iter().filter_map(|(_, last)| wanted.get(last).cloned()).collect()
}

fn epoch(number: i32) -> Option<LeaderEpoch> {
    (number >= 0).then_some(LeaderEpoch(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_partition_named_twice_the_last_word_counts() {
        let wanted = |partition: i32, offset: i64| {
            let key = FetchKey { topic: FetchTopic::Name(Arc::from("t")), partition };
            let wanted = FetchPartition {
                fetch_offset: Offset(offset),
                log_start: Offset::NONE,
                max_bytes: 1,
                current_leader_epoch: None,
                last_fetched_epoch: None,
            };
            (key, wanted)
        };
        let kept = last_of_each(vec![wanted(1, 5), wanted(0, 6), wanted(1, 7)]);
        assert_eq!(kept, [wanted(1, 7), wanted(0, 6)]);
    }
}
