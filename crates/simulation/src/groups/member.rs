//! A member of a group: it joins, shows that it lives, and commits and fetches the offsets of the partitions that it owns.

use std::collections::BTreeSet;
use std::sync::Arc;

use ottla_group_coordinator::{GroupError, GroupId, GroupResponse, InstanceId, MemberId};
use ottla_model::LeaderEpoch;

use super::ask::GroupAsk;
use super::caller::{Caller, TIMEOUT_MS};
use super::checks::Checks;
use super::past::Past;
use super::refusal::refusal;
use super::track::Known;
use super::work;
use crate::counts::Counts;
use crate::ledger::Violation;
use crate::message::{Address, Message};

const BEAT_MS: u64 = 120;
/// Before it asks again where it was told that somebody else coordinates, or nobody yet.
const PAUSE_MS: u64 = 30;

/// Which protocol it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Classic,
    /// KIP-848.
    Consumer,
}

#[derive(Debug)]
pub(crate) struct Member {
    pub(super) caller: Caller,
    pub(crate) group: GroupId,
    pub(crate) kind: Kind,
    pub(super) member_id: MemberId,
    /// Generation or member epoch; -1 and 0 while it is no member.
    pub(super) epoch: i32,
    pub(super) owned: BTreeSet<i32>,
    waits: What,
    pub(super) beat_at: u64,
    work_at: u64,
    /// It has left, or was sent away, and comes again then.
    pub(super) back_at: u64,
    pub(super) classic: super::classic::Classic,
    pub(super) consumer: super::consumer::Consumer,
    /// Of a static member.
    pub(super) instance: Option<InstanceId>,
    pub(super) past: Past,
    /// Commits no more, and does not leave.
    pub(crate) stopped: bool,
}

/// What it waits for.
#[derive(Clone, Debug)]
pub(super) enum What {
    Join,
    Sync,
    Beat,
    Leave,
    Commit {
        partition: i32,
        number: i64,
    },
    Fetch {
        partition: i32,
        then: Known,
    },
    /// A commit as what it was until that epoch of its coordinator.
    Haunt {
        over_in: LeaderEpoch,
    },
}

/// An answer, by whom, and when its question was asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said {
    pub(super) index: i32,
    pub(super) epoch: LeaderEpoch,
    /// When whoever answers began to serve.
    pub(super) since: u64,
    pub(super) asked_at: u64,
    pub(super) now: u64,
}

impl Member {
    pub(crate) fn new(caller: Caller, group: GroupId, kind: Kind, past: Past) -> Self {
        let address = caller.address;
        let member_id = match kind {
            Kind::Classic => MemberId::default(),
            Kind::Consumer => MemberId::from(format!("member-{address}-0")),
        };
        Self {
            caller,
            group,
            kind,
            member_id,
            epoch: if kind == Kind::Classic { -1 } else { 0 },
            owned: BTreeSet::new(),
            waits: What::Beat,
            beat_at: 0,
            work_at: 0,
            back_at: 0,
            classic: super::classic::Classic::default(),
            consumer: super::consumer::Consumer::default(),
            instance: None,
            past,
            stopped: false,
        }
    }

    pub(crate) fn index(&self) -> i32 {
        self.caller.index
    }

    /// Whether it is in its group and does what that wants.
    pub(crate) fn is_settled(&self) -> bool {
        match self.kind {
            Kind::Classic => self.classic.is_stable(),
            Kind::Consumer => self.epoch > 0 && self.consumer.owns_what_it_should(&self.owned),
        }
    }

    pub(crate) fn owned(&self) -> &BTreeSet<i32> {
        &self.owned
    }

    pub(crate) fn epoch(&self) -> i32 {
        self.epoch
    }

    pub(crate) fn tick(
        &mut self,
        now: u64,
        leader: Option<Address>,
        checks: &mut Checks,
        out: &mut Vec<Message>,
    ) {
        if self.caller.gives_up(now) {
            self.is_given_up();
        }
        if self.caller.is_waiting() || now < self.back_at {
            return;
        }
        if self.kind == Kind::Consumer {
            self.reconcile(now);
        }
        let Some(to) = self.caller.find(leader) else { return };
        let asked = if self.has_to_speak(now) {
            self.speak(now)
        } else if !self.stopped && now >= self.work_at && !self.owned.is_empty() {
            Some(self.haunts(checks).unwrap_or_else(|| self.work(checks)))
        } else {
            None
        };
        let Some((what, wait_ms, ask)) = asked else { return };
        // What a member has that died without a word is still its own.
        checks.holds(&self.group, self.caller.address, &self.owned);
        self.work_at = now + self.caller.chance.below(80);
        self.waits = what;
        self.caller.ask(now, wait_ms, to, ask, out);
    }

    fn has_to_speak(&self, now: u64) -> bool {
        now >= self.beat_at || (self.kind == Kind::Classic && !self.classic.is_stable())
    }

    fn speak(&mut self, now: u64) -> Option<(What, u64, GroupAsk)> {
        self.beat_at = now + BEAT_MS;
        let leaves = !self.stopped && self.is_settled() && self.caller.chance.below(60) == 0;
        if leaves && self.instance.is_some() {
            return self.restarts();
        }
        if leaves {
            // Whether it was heard is not known: who it was may be a member still.
            self.past.forget();
            self.back_at = now + 100 + self.caller.chance.below(600);
        }
        Some(match self.kind {
            Kind::Classic => self.speak_classic(leaves),
            Kind::Consumer => {
                let what = if leaves { What::Leave } else { What::Beat };
                (what, TIMEOUT_MS, GroupAsk::ConsumerBeat(self.beat(leaves)))
            }
        })
    }

    fn work(&mut self, checks: &mut Checks) -> (What, u64, GroupAsk) {
        let at = self.caller.chance.below(self.owned.len() as u64);
        let partition = self.owned.iter().copied().nth(usize::try_from(at).unwrap_or(0)).unwrap_or(0);
        let track = checks.track(&self.group, partition);
        let (what, ask) = match self.caller.chance.below(5) {
            0..=2 => {
                let number = track.issue(false);
                let member = (self.member_id.clone(), self.instance.clone());
                let request = work::commit(self.group.clone(), member, self.epoch, partition, number);
                (What::Commit { partition, number }, GroupAsk::Commit(request))
            }
            3 => {
                let what = What::Fetch { partition, then: track.known() };
                (what, GroupAsk::Fetch(work::fetch(self.group.clone(), partition)))
            }
            _ => {
                let what = What::Fetch { partition, then: track.known() };
                (what, GroupAsk::FetchStable(work::fetch(self.group.clone(), partition)))
            }
        };
        (what, TIMEOUT_MS, ask)
    }

    fn is_given_up(&mut self) {
        match (self.kind, &self.waits) {
            (Kind::Classic, What::Join | What::Sync) => self.classic.rejoins(),
            (Kind::Consumer, What::Beat) => self.consumer.says_everything(),
            _ => {}
        }
    }

    pub(crate) fn told(
        &mut self,
        request: u64,
        said: (LeaderEpoch, u64),
        outcome: &Result<GroupResponse, GroupError>,
        now: u64,
        checks: &mut Checks,
        counts: &mut Counts,
    ) -> Result<(), Violation> {
        let Some(asked_at) = self.caller.answered(request) else { return Ok(()) };
        let said = Said { index: self.index(), epoch: said.0, since: said.1, asked_at, now };
        let error = match (self.waits.clone(), outcome) {
            // It is heard by nobody who is still there.
            (What::Haunt { .. }, Err(_)) => return Ok(()),
            (What::Haunt { over_in }, Ok(response)) => {
                return self.told_haunt(over_in, response, said, counts);
            }
            (_, Err(error)) => error.clone(),
            (What::Commit { partition, number }, Ok(response @ GroupResponse::OffsetCommit(_))) => {
                match work::written(response) {
                    Some(error) => error,
                    None => {
                        counts.add("group: write of a member acknowledged");
                        checks.track(&self.group, partition).acknowledge(number, said.epoch);
                        return Ok(());
                    }
                }
            }
            (What::Fetch { partition, then }, Ok(GroupResponse::OffsetFetch(Ok(topics)))) => {
                counts.add("group: offset shown to a member");
                let offset = topics.first().and_then(|topic| topic.partitions.first());
                let offset = offset.map_or(-1, |partition| partition.offset.get());
                let track = checks.track(&self.group, partition);
                return track.show(offset, said.epoch, &then).map_err(|what| {
                    let what = format!("{} partition {partition} shows {what}", self.group);
                    Violation::new("an acknowledged offset is shown", what)
                });
            }
            (_, Ok(GroupResponse::OffsetFetch(Err(error)))) => error.clone(),
            (What::Beat, Ok(GroupResponse::ConsumerHeartbeat(result))) => {
                return self.told_consumer(result, said, checks, counts);
            }
            (What::Leave, Ok(GroupResponse::ConsumerHeartbeat(_))) => return Ok(()),
            (what, Ok(response)) => return self.told_classic(&what, response, said, checks, counts),
        };
        counts.add(refusal(&error));
        self.refused(&error, now);
        Ok(())
    }

    /// A coordinator refuses; a member finds out with its next heartbeat what is wrong with it.
    pub(super) fn refused(&mut self, error: &GroupError, now: u64) {
        let is_elsewhere = matches!(error, GroupError::NotActive(_) | GroupError::Write(_));
        if is_elsewhere {
            self.caller.look_again();
            self.back_at = self.back_at.max(now + PAUSE_MS);
        }
        match (self.kind, &self.waits) {
            (Kind::Classic, _) => self.refused_classic(error),
            (Kind::Consumer, What::Beat) => self.consumer.says_everything(),
            _ => self.beat_at = 0,
        }
    }
}

/// A member's id and address, for stories.
pub(super) fn named(member: &Member) -> Arc<str> {
    Arc::from(format!("{} at {}", member.member_id, member.caller.address))
}
