//! A leader's part: followers' fetches with their sessions, long polls, and consumers' reads. As `broker/src/apis/fetch` and
//! `broker/src/partitions/read.rs`.

use std::sync::Arc;

use ottla_model::{LeaderEpoch, Now, Offset, TopicIdPartition};
use ottla_replication::session::{
    FetchContext, FetchKey, FetchPartition, FetchSession, FetchSessionCache, FetchSessionConfig, FetchTopic,
    PartitionAnswer, SessionRequest, SlotId,
};
use ottla_replication::truncation::EpochEnd;
use ottla_replication::{Ask as FetchPlan, BrokerStanding, EpochError, FollowerFetch, FollowerFetchError};
use ottla_storage::ReadError;

use super::process::Process;
use super::replica::Replica;
use super::shell::Shell;
use crate::message::{Address, Body, FetchAnswer, Fetched, Refusal, broker};

/// Of all partitions of an answer; small, so that logs are copied in several.
const MAX_BYTES: u32 = 1_000;

/// A long poll.
#[derive(Debug)]
pub(crate) struct Poll {
    from: Address,
    request: u64,
    broker_epoch: i64,
    session: Box<FetchSession<()>>,
    until: u64,
}

pub(crate) fn sessions() -> FetchSessionCache<()> {
    FetchSessionCache::new(FetchSessionConfig::default())
}

fn key(id: TopicIdPartition) -> FetchKey {
    FetchKey { topic: FetchTopic::Id(id.topic_id), partition: id.partition }
}

fn id_of(key: &FetchKey) -> Option<TopicIdPartition> {
    match &key.topic {
        FetchTopic::Id(topic_id) => Some(TopicIdPartition { topic_id: *topic_id, partition: key.partition }),
        FetchTopic::Name(_) => None,
    }
}

fn told(outcome: &Result<Fetched, Refusal>) -> PartitionAnswer {
    match outcome {
        Ok(fetched) => PartitionAnswer {
            high_watermark: fetched.high_watermark,
            log_start: fetched.log_start,
            records_len: fetched.records.len(),
            is_error: false,
            redirects: fetched.diverging.is_some(),
        },
        Err(_) => PartitionAnswer {
            high_watermark: Offset::NONE,
            log_start: Offset::NONE,
            records_len: 0,
            is_error: true,
            redirects: false,
        },
    }
}

impl Process {
    pub(crate) fn serve_fetch(
        &mut self,
        from: Address,
        request: u64,
        broker_epoch: i64,
        plan: &FetchPlan,
        max_wait_ms: u64,
        now: Now,
    ) {
        let wanted = plan.wanted.iter().map(|(id, position)| (key(*id), *position)).collect();
        let forgotten: Vec<FetchKey> = plan.forgotten.iter().map(|id| key(*id)).collect();
        let session = SessionRequest {
            session_id: plan.session_id,
            epoch: plan.session_epoch,
            uses_topic_ids: true,
            privileged: true,
        };
        match self.sessions.begin(session, wanted, &forgotten, now.mono) {
            Err(_) => {
                self.shell.count("fetch session refused");
                self.shell.answer(from, Body::Fetched { request, outcome: Err(Refusal::Session) });
            }
            Ok(FetchContext::Sessionless(wanted) | FetchContext::Full(wanted)) => {
                let mut answered = Vec::new();
                for (key, position) in wanted {
                    let Some(id) = id_of(&key) else { continue };
                    let outcome = self.read_for(from, broker_epoch, id, &position, true, now);
                    answered.push((key, id, position, outcome));
                }
                let told = answered
                    .iter()
                    .map(|(key, _, position, outcome)| (key.clone(), *position, told(outcome)));
                let fresh = &mut self.next_session;
                let fresh_id = || {
                    *fresh += 1;
                    *fresh
                };
                let session_id =
                    self.sessions.create(session, told.collect::<Vec<_>>().into_iter(), fresh_id, now.mono);
                let partitions = answered.into_iter().map(|(_, id, _, outcome)| (id, outcome)).collect();
                let outcome = Ok(Arc::new(FetchAnswer { session_id, partitions }));
                self.shell.answer(from, Body::Fetched { request, outcome });
            }
            Ok(FetchContext::Incremental(session)) => {
                let until = now.mono.0 + max_wait_ms;
                let poll = Poll { from, request, broker_epoch, session, until };
                self.poll(poll, true, now);
            }
        }
    }

    /// A round of reads: answered, or parked.
    fn poll(&mut self, mut poll: Poll, news: bool, now: Now) {
        let due: Vec<(SlotId, TopicIdPartition, FetchPartition)> = poll
            .session
            .due()
            .filter_map(|(slot, key, position)| Some((slot, id_of(key)?, position)))
            .collect();
        let mut partitions = Vec::new();
        for (slot, id, position) in due {
            let outcome = self.read_for(poll.from, poll.broker_epoch, id, &position, news, now);
            if poll.session.settle(slot, &told(&outcome)) {
                partitions.push((id, outcome));
            }
        }
        if partitions.is_empty() && now.mono.0 < poll.until {
            self.polls.push(poll);
            return;
        }
        let session_id = poll.session.id();
        self.sessions.check_in(poll.session);
        let outcome = Ok(Arc::new(FetchAnswer { session_id, partitions }));
        self.shell.answer(poll.from, Body::Fetched { request: poll.request, outcome });
    }

    /// Looks at the long polls again.
    pub(crate) fn poll_again(&mut self, now: Now) {
        for poll in std::mem::take(&mut self.polls) {
            self.poll(poll, false, now);
        }
    }

    pub(crate) fn has_poll_due(&self, now: Now) -> bool {
        self.polls.iter().any(|poll| poll.until <= now.mono.0)
    }

    fn read_for(
        &mut self,
        from: Address,
        broker_epoch: i64,
        id: TopicIdPartition,
        position: &FetchPartition,
        news: bool,
        now: Now,
    ) -> Result<Fetched, Refusal> {
        let follower = self.image.brokers().get(broker(from));
        let standing = BrokerStanding {
            epoch: follower.map(|follower| follower.epoch),
            fenced: follower.is_none_or(|follower| follower.fenced),
            in_controlled_shutdown: follower.is_some_and(|follower| follower.in_controlled_shutdown),
        };
        let fetch = FollowerFetch {
            broker: broker(from),
            broker_epoch: (broker_epoch >= 0).then_some(broker_epoch),
            standing,
            leader_epoch: position.current_leader_epoch,
            fetch_offset: position.fetch_offset,
            log_start: position.log_start,
        };
        let replica = self.replicas.get_mut(&id).ok_or(Refusal::UnknownTopic)?;
        replica.read_for_follower(&fetch, position, news, now, &mut self.shell)
    }

    pub(crate) fn serve_ends(
        &mut self,
        id: TopicIdPartition,
        epoch: LeaderEpoch,
    ) -> Result<(Offset, Offset), Refusal> {
        let replica = self.replicas.get(&id).ok_or(Refusal::UnknownTopic)?;
        replica.machine.check_epoch(Some(epoch), true).map_err(epoch_refusal)?;
        Ok((replica.log.log_start_offset(), replica.log.log_end_offset()))
    }

    pub(crate) fn serve_consumer(
        &mut self,
        id: TopicIdPartition,
        offset: Offset,
        leader_only: bool,
    ) -> Result<Arc<Vec<u8>>, Refusal> {
        let replica = self.replicas.get(&id).ok_or(Refusal::UnknownTopic)?;
        replica.machine.check_epoch(None, leader_only).map_err(epoch_refusal)?;
        replica.read_records(offset, replica.machine.high_watermark()).map(Arc::new)
    }
}

impl Replica {
    fn read_for_follower(
        &mut self,
        fetch: &FollowerFetch,
        position: &FetchPartition,
        news: bool,
        now: Now,
        shell: &mut Shell,
    ) -> Result<Fetched, Refusal> {
        self.machine.check_epoch(position.current_leader_epoch, true).map_err(epoch_refusal)?;
        self.machine.check_replica(fetch).map_err(follower_refusal)?;
        let diverging = match position.last_fetched_epoch {
            Some(epoch) => self.divergence(epoch, position.fetch_offset)?,
            None => None,
        };
        if news && diverging.is_none() {
            if fetch.fetch_offset < self.log.log_start_offset() {
                return Err(Refusal::OffsetOutOfRange);
            }
            let effects = self.machine.follower_fetched(fetch, now.mono).map_err(follower_refusal)?;
            if effects.lost_committed.is_some() {
                shell.count("in-sync replica fetches from below the high watermark");
            }
            self.settle(&effects, shell);
        }
        let records = match diverging {
            Some(_) => Vec::new(),
            None => self.read_records(position.fetch_offset, self.log.log_end_offset())?,
        };
        Ok(Fetched {
            records,
            high_watermark: self.machine.high_watermark(),
            log_start: self.log.log_start_offset(),
            diverging,
        })
    }

    fn divergence(
        &self,
        epoch: LeaderEpoch,
        offset: Offset,
    ) -> Result<Option<(LeaderEpoch, Offset)>, Refusal> {
        let end = self.log.end_offset_for_epoch(epoch).ok_or(Refusal::OffsetOutOfRange)?;
        let own = EpochEnd { epoch: end.epoch, end_offset: end.end_offset };
        Ok(own.diverges(epoch, offset).then_some((end.epoch, end.end_offset)))
    }

    pub(crate) fn read_records(&self, from: Offset, upper: Offset) -> Result<Vec<u8>, Refusal> {
        let read = self.log.read(from, MAX_BYTES, upper, true).map_err(|error| match error {
            ReadError::OffsetOutOfRange { .. } => Refusal::OffsetOutOfRange,
            ReadError::Storage(_) => Refusal::Storage,
        })?;
        match read.slice {
            Some(slice) => slice.to_vec().map_err(|_| Refusal::Storage),
            None => Ok(Vec::new()),
        }
    }
}

fn epoch_refusal(error: EpochError) -> Refusal {
    match error {
        EpochError::Fenced { .. } => Refusal::FencedLeaderEpoch,
        EpochError::Unknown { .. } => Refusal::UnknownLeaderEpoch,
        EpochError::NotLeader => Refusal::NotLeader,
    }
}

fn follower_refusal(error: FollowerFetchError) -> Refusal {
    match error {
        FollowerFetchError::Epoch(error) => epoch_refusal(error),
        FollowerFetchError::NotReplica { .. } => Refusal::UnknownLeaderEpoch,
        FollowerFetchError::StaleBroker { .. } => Refusal::NotLeader,
        FollowerFetchError::OutOfRange { .. } => Refusal::OffsetOutOfRange,
    }
}
