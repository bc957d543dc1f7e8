//! A follower's part: one fetcher for each leader, as `broker/src/replication/fetcher.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_model::{LeaderEpoch, Now, Offset, TopicIdPartition};
use ottla_replication::truncation::EpochEnd;
use ottla_replication::{Fetcher, Role};

use super::process::Process;
use crate::message::{Address, Body, FetchAnswer, Fetched, Refusal};

const DELAY_MAX_MS: u64 = 200;
const MAX_WAIT_MS: u64 = 100;
/// Without an answer for so long the connection is given up.
const TIMEOUT_MS: u64 = 400;

#[derive(Debug)]
pub(crate) struct Follower {
    plan: Fetcher,
    /// Leader epoch, and where the fetch that is out begins.
    replicas: BTreeMap<TopicIdPartition, (LeaderEpoch, Offset)>,
    /// The fetch that is out, and when it is given up.
    asked: Option<(u64, u64)>,
    /// Partitions of the answer in hand for whose ends the leader was asked.
    ends: BTreeMap<u64, TopicIdPartition>,
}

impl Process {
    /// The replica's role has changed: it is followed here, or no more.
    pub(crate) fn role_changed(&mut self, id: TopicIdPartition) {
        let (followed, role) = match self.replicas.get(&id) {
            Some(replica) => (replica.machine.leader_epoch(), replica.machine.role()),
            None => (LeaderEpoch::NONE, Role::Offline),
        };
        let leader = match role {
            Role::Follower { leader: Some(leader) } => Some(leader.get()),
            _ => None,
        };
        for (address, follower) in &mut self.followers {
            if Some(*address) != leader {
                follower.replicas.remove(&id);
                follower.plan.unfollow(id);
            }
        }
        let Some(leader) = leader else { return };
        let position = self.replicas.get(&id).and_then(|replica| replica.fetch_position(followed, MAX_BYTES));
        let Some(position) = position else { return };
        let follower = self.followers.entry(leader).or_insert_with(|| Follower {
            plan: Fetcher::new(DELAY_MAX_MS),
            replicas: BTreeMap::new(),
            asked: None,
            ends: BTreeMap::new(),
        });
        follower.replicas.insert(id, (followed, position.fetch_offset));
        follower.plan.follow(id, position);
        // Whoever is to be followed now does not wait behind a long poll of the others: the fetcher hangs up.
        follower.asked = None;
        follower.plan.lost();
    }

    /// Sends what may be asked for now.
    pub(crate) fn fetch(&mut self, now: Now) {
        let Some(broker_epoch) = self.broker_epoch() else { return };
        self.forget_failed();
        let mut sent = Vec::new();
        for (leader, follower) in &mut self.followers {
            if let Some((_, until)) = follower.asked {
                if now.mono.0 < until {
                    continue;
                }
                follower.asked = None;
                follower.ends.clear();
                follower.plan.lost();
            }
            let unflushed = |id: &TopicIdPartition| {
                self.replicas.get(id).is_some_and(|replica| replica.unflushed().is_some())
            };
            if !follower.ends.is_empty() || follower.replicas.keys().any(unflushed) {
                // The next fetch acknowledges what is in the logs now.
                continue;
            }
            let Some(ask) = follower.plan.next(now.mono) else { continue };
            self.next_request += 1;
            follower.asked = Some((self.next_request, now.mono.0 + TIMEOUT_MS));
            sent.push((*leader, self.next_request, Arc::new(ask)));
        }
        for (leader, request, plan) in sent {
            let body = Body::Fetch { request, broker_epoch, plan, max_wait_ms: MAX_WAIT_MS };
            self.shell.answer(leader, body);
        }
    }

    /// Where a flush has failed nothing more is asked for: a fetch would acknowledge what the disk has lost.
    fn forget_failed(&mut self) {
        for follower in self.followers.values_mut() {
            let is_offline = |id: &TopicIdPartition| {
                self.replicas.get(id).is_none_or(|replica| replica.machine.role() == Role::Offline)
            };
            for id in follower.replicas.extract_if(.., |id, _| is_offline(id)).map(|(id, _)| id) {
                follower.plan.unfollow(id);
            }
        }
    }

    pub(crate) fn fetched(
        &mut self,
        leader: Address,
        request: u64,
        outcome: &Result<Arc<FetchAnswer>, Refusal>,
        now: Now,
    ) {
        let Some(follower) = self.followers.get_mut(&leader) else { return };
        if follower.asked.is_none_or(|(asked, _)| asked != request) {
            return;
        }
        follower.asked = None;
        let answer = match outcome {
            Ok(answer) => {
                follower.plan.answered(answer.session_id);
                Arc::clone(answer)
            }
            Err(_) => {
                follower.plan.lost();
                return self.fetch(now);
            }
        };
        for (id, fetched) in &answer.partitions {
            self.take_partition(leader, *id, fetched, now);
        }
        self.fetch(now);
    }

    fn take_partition(
        &mut self,
        leader: Address,
        id: TopicIdPartition,
        fetched: &Result<Fetched, Refusal>,
        now: Now,
    ) {
        let Some(follower) = self.followers.get_mut(&leader) else { return };
        let Some((epoch, fetch_offset)) = follower.replicas.get(&id).copied() else { return };
        let Some(replica) = self.replicas.get_mut(&id) else { return };
        let taken = match fetched {
            Err(Refusal::OffsetOutOfRange) => {
                self.next_request += 1;
                let request = self.next_request;
                follower.ends.insert(request, id);
                follower.asked = Some((request, now.mono.0 + TIMEOUT_MS));
                self.shell.answer(leader, Body::Ends { request, id, leader_epoch: epoch });
                return;
            }
            Err(refusal) => Err(*refusal),
            Ok(fetched) => match fetched.diverging {
                Some((epoch_of, end_offset)) => {
                    let end = EpochEnd { epoch: epoch_of, end_offset };
                    replica.truncate_diverging(epoch, end, now, &mut self.shell)
                }
                None => replica.take_fetched(epoch, fetch_offset, fetched, now, &mut self.shell),
            },
        };
        self.go_on(leader, id, taken.is_ok(), now);
    }

    /// The leader's log begins later, or ends before.
    pub(crate) fn ends_are(
        &mut self,
        leader: Address,
        request: u64,
        outcome: Result<(Offset, Offset), Refusal>,
        now: Now,
    ) {
        let Some(follower) = self.followers.get_mut(&leader) else { return };
        let Some(id) = follower.ends.remove(&request) else { return };
        if follower.ends.is_empty() {
            follower.asked = None;
        }
        let epoch = follower.replicas.get(&id).map(|(epoch, _)| *epoch);
        let (Some(epoch), Some(replica)) = (epoch, self.replicas.get_mut(&id)) else { return };
        let taken = outcome.and_then(|(start, end)| {
            let own = replica.log.log_end_offset();
            if end < own {
                replica.truncate_to_end(epoch, end, now, &mut self.shell)
            } else if start > own {
                self.shell.count("log restarted where the leader's begins");
                replica.restart_at(epoch, start, now, &mut self.shell)
            } else {
                Ok(())
            }
        });
        self.go_on(leader, id, taken.is_ok(), now);
        self.fetch(now);
    }

    /// Has the partition fetched from where its log ends now, unless it follows this leader no more.
    fn go_on(&mut self, leader: Address, id: TopicIdPartition, sound: bool, now: Now) {
        let Some(follower) = self.followers.get_mut(&leader) else { return };
        let Some(known) = follower.replicas.get_mut(&id) else { return };
        let position = self.replicas.get(&id).and_then(|replica| replica.fetch_position(known.0, MAX_BYTES));
        let Some(position) = position else {
            follower.replicas.remove(&id);
            follower.plan.unfollow(id);
            return;
        };
        known.1 = position.fetch_offset;
        if sound {
            follower.plan.sound(id);
        }
        follower.plan.advance(id, position);
        if !sound {
            follower.plan.delay(id, now.mono);
        }
    }
}

const MAX_BYTES: i32 = 1_000;
