//! Commits offsets of a group without members, deletes and fetches them: one request at a time.

use std::sync::Arc;

use ottla_group_coordinator::offsets::{
    OffsetCommitRequest, OffsetCommitTopic, OffsetDeleteRequest, OffsetFetchRequest, OffsetFetchTopic,
    OffsetToCommit,
};
use ottla_group_coordinator::{GroupError, GroupId, GroupResponse, MemberId};
use ottla_model::{LeaderEpoch, Offset, TopicId};
use ottla_storage::Seeded;

use super::ask::GroupAsk;
use super::caller::{Caller, TIMEOUT_MS};
use super::refusal::refusal;
use super::track::{Known, Track};
use super::work;
use crate::counts::Counts;
use crate::ledger::Violation;
use crate::message::{Address, Message};

const TOPIC: &str = "kept elsewhere";
const PARTITIONS: u64 = 2;

#[derive(Debug)]
pub(crate) struct Committer {
    caller: Caller,
    pub(crate) group: GroupId,
    tracks: Vec<Track>,
    /// Of the partition in question.
    waits: (usize, What),
    begin_at: u64,
    pub(crate) stopped: bool,
}

#[derive(Debug)]
enum What {
    /// That write.
    Write(i64),
    /// That there is nothing, from what was known.
    Deletion(Known),
    /// What must be shown.
    Fetch(Known),
}

impl Committer {
    pub(crate) fn new(address: Address, group: GroupId, index: i32, chance: Seeded) -> Self {
        let tracks = (0..PARTITIONS).map(|_| Track::default()).collect();
        let caller = Caller::new(address, index, chance);
        Self { caller, group, tracks, waits: (0, What::Write(0)), begin_at: 0, stopped: false }
    }

    pub(crate) fn index(&self) -> i32 {
        self.caller.index
    }

    /// Whether it waits for nothing.
    pub(crate) fn is_idle(&self) -> bool {
        !self.caller.is_waiting()
    }

    /// `leader`: of the group's partition, as the controller knows it.
    pub(crate) fn tick(&mut self, now: u64, leader: Option<Address>, out: &mut Vec<Message>) {
        self.caller.gives_up(now);
        if self.caller.is_waiting() || self.stopped || now < self.begin_at {
            return;
        }
        let Some(to) = self.caller.find(leader) else { return };
        let partition = self.caller.chance.below(PARTITIONS);
        let (what, ask) = self.next(partition);
        self.waits = (usize::try_from(partition).unwrap_or(0), what);
        self.caller.ask(now, TIMEOUT_MS, to, ask, out);
    }

    fn next(&mut self, partition: u64) -> (What, GroupAsk) {
        let kind = self.caller.chance.below(10);
        let track = &mut self.tracks[usize::try_from(partition).unwrap_or(0)];
        let partition = i32::try_from(partition).unwrap_or(0);
        let (group, name) = (self.group.clone(), Arc::from(TOPIC));
        match kind {
            0..=4 => {
                let number = track.issue(false);
                let to_commit = OffsetToCommit {
                    partition,
                    offset: Offset(number),
                    leader_epoch: LeaderEpoch::NONE,
                    metadata: None,
                };
                let topic = OffsetCommitTopic { name, topic_id: TopicId::ZERO, partitions: vec![to_commit] };
                let request = OffsetCommitRequest {
                    group,
                    member_id: MemberId::default(),
                    instance_id: None,
                    generation: -1,
                    knows_epochs: true,
                    retention_ms: None,
                    topics: vec![topic],
                };
                (What::Write(number), GroupAsk::Commit(request))
            }
            5 => {
                let request = OffsetDeleteRequest { group, topics: vec![(name, vec![partition])] };
                let known = track.known();
                track.issue(true);
                (What::Deletion(known), GroupAsk::Delete(request))
            }
            _ => {
                let ask = if kind < 8 { GroupAsk::Fetch } else { GroupAsk::FetchStable };
                (What::Fetch(track.known()), ask(fetch(group, partition)))
            }
        }
    }

    pub(crate) fn told(
        &mut self,
        request: u64,
        epoch: LeaderEpoch,
        outcome: &Result<GroupResponse, GroupError>,
        now: u64,
        counts: &mut Counts,
    ) -> Result<(), Violation> {
        if self.caller.answered(request).is_none() {
            return Ok(());
        }
        self.begin_at = now + self.caller.chance.below(40);
        let (at, what) = &self.waits;
        let track = &mut self.tracks[*at];
        let error = match (what, outcome) {
            (What::Write(number), Ok(response)) => match work::written(response) {
                None => {
                    counts.add("group: write acknowledged");
                    track.acknowledge(*number, epoch);
                    return Ok(());
                }
                Some(error) => error,
            },
            (What::Deletion(then), Ok(response)) => match work::written(response) {
                None => {
                    counts.add("group: deletion acknowledged");
                    return track.delete(epoch, then).map_err(|what| {
                        let what = format!("{} partition {at} has deleted {what}", self.group);
                        Violation::new("an acknowledged deletion is one", what)
                    });
                }
                Some(error) => error,
            },
            (What::Fetch(then), Ok(GroupResponse::OffsetFetch(Ok(topics)))) => {
                counts.add("group: offset shown");
                let offset = topics.first().and_then(|topic| topic.partitions.first());
                let offset = offset.map_or(-1, |partition| partition.offset.get());
                return track.show(offset, epoch, then).map_err(|what| {
                    let what = format!("{} partition {} shows {what}", self.group, at);
                    Violation::new("an acknowledged offset is shown", what)
                });
            }
            (What::Fetch(_), Ok(GroupResponse::OffsetFetch(Err(error)))) | (_, Err(error)) => error.clone(),
            (_, Ok(response)) => {
                return Err(Violation::new("an answer is of its request's kind", format!("{response:?}")));
            }
        };
        counts.add(refusal(&error));
        self.caller.look_again();
        self.begin_at = now + 30;
        Ok(())
    }

    /// What its group has in the end.
    pub(crate) fn look(
        &mut self,
        epoch: LeaderEpoch,
        fetch_of: impl Fn(&OffsetFetchRequest) -> i64,
    ) -> Result<(), Violation> {
        for (partition, track) in (0..).zip(&mut self.tracks) {
            let offset = fetch_of(&fetch(self.group.clone(), partition));
            let known = track.known();
            track.show(offset, epoch, &known).map_err(|what| {
                let what = format!("{} partition {partition} has {what}", self.group);
                Violation::new("an acknowledged offset is there in the end", what)
            })?;
        }
        Ok(())
    }
}

fn fetch(group: GroupId, partition: i32) -> OffsetFetchRequest {
    let topic =
        OffsetFetchTopic { name: Arc::from(TOPIC), topic_id: TopicId::ZERO, partitions: vec![partition] };
    OffsetFetchRequest { group, member_id: None, member_epoch: -1, topics: Some(vec![topic]) }
}
