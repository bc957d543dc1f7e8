//! Asks the controller to change in-sync sets (AlterPartition, KIP-497): one request at a time, of all that is proposed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ottla_model::{BrokerId, LeaderEpoch, PartitionEpoch, TopicId, TopicIdPartition};
use ottla_protocol::messages::alter_partition_request::{BrokerState, PartitionData, TopicData};
use ottla_protocol::messages::alter_partition_response::PartitionData as Answered;
use ottla_protocol::messages::{AlterPartitionRequest, AlterPartitionResponse};
use ottla_protocol::{ApiKey, ErrorCode};
use ottla_replication::{AlterPartitionAnswer, IsrProposal};
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::IsrProposals;
use crate::clock::Clock;
use crate::cluster::{ControllerChannel, version};
use crate::partitions::{Flusher, Partition, Partitions};
use crate::telemetry::Metrics;

/// How long the controller may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Before what the controller could not do is asked again.
const BACKOFF: Duration = Duration::from_millis(50);

type Proposals = BTreeMap<TopicIdPartition, IsrProposal>;

/// What asks.
#[derive(Debug)]
pub(crate) struct IsrManager {
    pub proposals: Arc<IsrProposals>,
    pub partitions: Arc<Partitions>,
    pub flusher: Arc<Flusher>,
    pub channel: ControllerChannel,
    pub metrics: Arc<Metrics>,
    pub clock: Clock,
    pub broker_id: BrokerId,
    pub broker_epoch: i64,
}

impl IsrManager {
    /// Runs until it is aborted.
    pub(crate) async fn run(self) {
        loop {
            let mut proposals = Proposals::new();
            for (id, proposal) in self.proposals.next().await {
                if self.is_flushed(id, &proposal).await {
                    proposals.insert(id, proposal);
                }
            }
            if proposals.is_empty() {
                continue;
            }
            let request = self.request(&proposals);
            let answers = match self.channel.ask(&request, version(ApiKey::AlterPartition), TIMEOUT).await {
                Ok(answer) => answers(&answer),
                Err(error) => {
                    tracing::warn!(%error, "in-sync sets will be proposed again");
                    BTreeMap::new()
                }
            };
            if self.settle(&proposals, &answers) {
                sleep(BACKOFF).await;
            }
        }
    }

    /// Of an in-sync set of one the page cache of this broker would be the only place of acknowledged records: they are flushed
    /// first. Where that fails, or another broker leads by then, nothing is proposed.
    async fn is_flushed(&self, id: TopicIdPartition, proposal: &IsrProposal) -> bool {
        let (Some(end), Ok(partition)) =
            (proposal.flush_first, self.partitions.by_id(id.topic_id, id.partition))
        else {
            return true;
        };
        let waiter = Arc::new(Notify::new());
        if partition.park_flush(end, Arc::clone(&waiter)).is_some() {
            self.flusher.flush(&partition);
            waiter.notified().await;
        }
        partition.is_flushed(end)
    }

    fn request(&self, proposals: &Proposals) -> AlterPartitionRequest {
        let mut topics: BTreeMap<TopicId, Vec<PartitionData>> = BTreeMap::new();
        for (id, proposal) in proposals {
            let members = proposal.isr.iter().map(|member| {
                let own = (member.broker == self.broker_id).then_some(self.broker_epoch);
                BrokerState::default()
                    .with_broker_id(member.broker.get().into())
                    .with_broker_epoch(own.or(member.broker_epoch).unwrap_or(-1))
            });
            let partition = PartitionData::default()
                .with_partition_index(id.partition)
                .with_leader_epoch(proposal.leader_epoch.get())
                .with_partition_epoch(proposal.partition_epoch.get())
                .with_new_isr_with_epochs(members.collect());
            topics.entry(id.topic_id).or_default().push(partition);
        }
        let topics = topics
            .into_iter()
            .map(|(id, partitions)| TopicData::default().with_topic_id(id.0).with_partitions(partitions));
        AlterPartitionRequest::default()
            .with_broker_id(self.broker_id.get().into())
            .with_broker_epoch(self.broker_epoch)
            .with_topics(topics.collect())
    }

    /// Tells each leader what was answered; whether some are to ask again, as those that were not answered at all.
    fn settle(
        &self,
        proposals: &Proposals,
        answers: &BTreeMap<TopicIdPartition, AlterPartitionAnswer>,
    ) -> bool {
        let now = self.clock.now().mono;
        let mut again = false;
        for (id, proposal) in proposals {
            let answer = answers.get(id).cloned().unwrap_or(AlterPartitionAnswer::Retry);
            again |= matches!(answer, AlterPartitionAnswer::Retry | AlterPartitionAnswer::Rejected);
            if let Ok(partition) = self.partitions.by_id(id.topic_id, id.partition) {
                let metrics = &self.metrics.broker;
                match partition.isr_answered(proposal.partition_epoch, answer, now) {
                    std::cmp::Ordering::Less => metrics.isr_shrinks.increment(1),
                    std::cmp::Ordering::Equal => {}
                    std::cmp::Ordering::Greater => metrics.isr_expands.increment(1),
                }
            }
        }
        again
    }
}

fn answers(response: &AlterPartitionResponse) -> BTreeMap<TopicIdPartition, AlterPartitionAnswer> {
    if response.error_code != ErrorCode::None.code() {
        let code = ErrorCode::from_code(response.error_code);
        tracing::warn!(?code, "the controller refuses in-sync sets");
        return BTreeMap::new();
    }
    let topics = response.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| {
            let id =
                TopicIdPartition { topic_id: TopicId(topic.topic_id), partition: partition.partition_index };
            (id, answer(partition))
        })
    });
    topics.collect()
}

/// As Kafka's `Partition.handleAlterPartitionError`.
fn answer(partition: &Answered) -> AlterPartitionAnswer {
    match ErrorCode::from_code(partition.error_code) {
        Some(ErrorCode::None) => AlterPartitionAnswer::Committed {
            leader_epoch: LeaderEpoch(partition.leader_epoch),
            partition_epoch: PartitionEpoch(partition.partition_epoch),
            isr: partition.isr.iter().map(|id| BrokerId(id.0)).collect(),
        },
        Some(ErrorCode::OperationNotAttempted | ErrorCode::IneligibleReplica) => {
            AlterPartitionAnswer::Rejected
        }
        Some(
            ErrorCode::UnknownTopicOrPartition
            | ErrorCode::UnknownTopicId
            | ErrorCode::FencedLeaderEpoch
            | ErrorCode::InvalidUpdateVersion
            | ErrorCode::InvalidRequest
            | ErrorCode::NewLeaderElected,
        ) => AlterPartitionAnswer::Stale,
        _ => AlterPartitionAnswer::Retry,
    }
}

/// Has every leader look for followers that lag, twice in `replica.lag.time.max.ms`. Runs until it is aborted.
pub(crate) async fn watch_lag(partitions: Arc<Partitions>, lag_time_max: Duration, clock: Clock) {
    let mut ticks = interval((lag_time_max / 2).max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        partitions
            .all()
            .iter()
            .for_each(|partition: &Arc<Partition>| partition.look_for_lag(clock.now().mono));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_what_kafka_makes_of_it() {
        let of = |code: ErrorCode| {
            let partition = Answered::default()
                .with_error_code(code.code())
                .with_leader_epoch(3)
                .with_partition_epoch(8)
                .with_isr(vec![1.into(), 2.into()]);
            answer(&partition)
        };
        let committed = AlterPartitionAnswer::Committed {
            leader_epoch: LeaderEpoch(3),
            partition_epoch: PartitionEpoch(8),
            isr: vec![BrokerId(1), BrokerId(2)],
        };
        assert_eq!(of(ErrorCode::None), committed);
        assert_eq!(of(ErrorCode::IneligibleReplica), AlterPartitionAnswer::Rejected);
        assert_eq!(of(ErrorCode::InvalidUpdateVersion), AlterPartitionAnswer::Stale);
        assert_eq!(of(ErrorCode::NewLeaderElected), AlterPartitionAnswer::Stale);
        assert_eq!(of(ErrorCode::UnknownServerError), AlterPartitionAnswer::Retry);
    }
}
