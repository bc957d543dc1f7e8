//! The classic protocol: join, sync, heartbeat, leave.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use ottla_group_coordinator::classic::{
    HeartbeatRequest, JoinMember, JoinRequest, JoinResponse, LeaveRequest, LeavingMember, Protocol,
    SyncRequest,
};
use ottla_group_coordinator::{GroupError, GroupResponse, MemberId};
use ottla_storage::Seeded;

use super::ask::GroupAsk;
use super::caller::TIMEOUT_MS;
use super::checks::Checks;
use super::member::{Member, Said, What};
use super::past::Was;
use super::refusal::refusal;
use super::work;
use crate::counts::Counts;
use crate::ledger::Violation;

const SESSION_MS: i32 = 1_000;
const REBALANCE_MS: i32 = 1_200;
/// A join waits for the others.
const JOIN_WAIT_MS: u64 = 1_600;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Out,
    /// With what it is to tell the others, if it leads.
    Joined(Vec<(MemberId, Bytes)>),
    Stable,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Classic {
    phase: Phase,
}

impl Classic {
    pub(super) fn is_stable(&self) -> bool {
        self.phase == Phase::Stable
    }

    pub(super) fn rejoins(&mut self) {
        self.phase = Phase::Out;
    }
}

impl Member {
    pub(super) fn speak_classic(&mut self, leaves: bool) -> (What, u64, GroupAsk) {
        let (group, member_id, generation) = (self.group.clone(), self.member_id.clone(), self.epoch);
        match std::mem::take(&mut self.classic.phase) {
            Phase::Out => {
                // What it had may be another's by the time that it is in.
                self.owned.clear();
                (What::Join, JOIN_WAIT_MS, GroupAsk::Join(self.join()))
            }
            Phase::Joined(assignments) => {
                let (protocol_type, protocol) = (Some(Arc::from("consumer")), Some(Arc::from("range")));
                let request = SyncRequest {
                    group,
                    generation,
                    member_id,
                    instance_id: self.instance.clone(),
                    protocol_type,
                    protocol,
                    assignments,
                };
                (What::Sync, JOIN_WAIT_MS, GroupAsk::Sync(request))
            }
            Phase::Stable if leaves => {
                self.owned.clear();
                self.member_id = MemberId::default();
                let members = vec![LeavingMember { member_id, instance_id: None }];
                (What::Leave, TIMEOUT_MS, GroupAsk::Leave(LeaveRequest { group, members }))
            }
            Phase::Stable => {
                self.classic.phase = Phase::Stable;
                let instance_id = self.instance.clone();
                let request = HeartbeatRequest { group, generation, member_id, instance_id };
                (What::Beat, TIMEOUT_MS, GroupAsk::Beat(request))
            }
        }
    }

    fn join(&mut self) -> JoinRequest {
        let uuid = u128::from(self.caller.chance.bits()) << 64 | u128::from(self.caller.chance.bits());
        JoinRequest {
            group: self.group.clone(),
            member_id: self.member_id.clone(),
            instance_id: self.instance.clone(),
            client_id: Arc::from(format!("c{}", self.caller.address)),
            client_host: Arc::from("/sim"),
            session_timeout_ms: SESSION_MS,
            rebalance_timeout_ms: REBALANCE_MS,
            protocol_type: Arc::from("consumer"),
            protocols: vec![Protocol { name: Arc::from("range"), metadata: work::subscription() }],
            requires_known_member_id: true,
            supports_skipping_assignment: false,
            uuid: uuid::Uuid::from_u128(uuid),
        }
    }

    pub(super) fn told_classic(
        &mut self,
        what: &What,
        response: &GroupResponse,
        said: Said,
        checks: &mut Checks,
        counts: &mut Counts,
    ) -> Result<(), Violation> {
        let error = match (what, response) {
            (What::Join, GroupResponse::Join(joined)) => match &joined.error {
                None => return self.joined(joined, said, checks, counts),
                Some(GroupError::MemberIdRequired) => {
                    self.member_id = joined.member_id.clone();
                    return Ok(());
                }
                Some(error) => error,
            },
            (What::Sync, GroupResponse::Sync(synced)) => match &synced.error {
                None => {
                    counts.add("group: classic member assigned");
                    let partitions = work::assigned(&synced.assignment);
                    let broken = |error| Violation::new("an assignment can be read", format!("{error}"));
                    self.owned = partitions.map_err(broken)?;
                    self.classic.phase = Phase::Stable;
                    self.past.is_now(&self.member_id, self.epoch, said.epoch);
                    return checks.assigned(
                        &self.group,
                        self.epoch,
                        &self.member_id,
                        said.epoch,
                        &self.owned,
                    );
                }
                Some(error) => error,
            },
            (What::Beat, GroupResponse::Heartbeat(Ok(()))) | (What::Leave, GroupResponse::Leave(_)) => {
                return Ok(());
            }
            (What::Beat, GroupResponse::Heartbeat(Err(error))) => error,
            (_, response) => {
                return Err(Violation::new("an answer is of its request's kind", format!("{response:?}")));
            }
        };
        counts.add(refusal(error));
        self.refused(&error.clone(), said.now);
        Ok(())
    }

    fn joined(
        &mut self,
        joined: &JoinResponse,
        said: Said,
        checks: &mut Checks,
        counts: &mut Counts,
    ) -> Result<(), Violation> {
        counts.add("group: classic member joined");
        if self.epoch >= 0 && self.epoch < joined.generation {
            let partition = self.caller.index;
            self.past.leave_behind(Was { member: self.member_id.clone(), epoch: self.epoch, partition });
        }
        self.member_id = joined.member_id.clone();
        self.epoch = joined.generation;
        let assignments = assign(&joined.members, &mut self.caller.chance);
        self.classic.phase = Phase::Joined(assignments);
        checks.joined(&self.group, said.epoch, joined)
    }

    /// It is no member, and comes as a new one.
    pub(super) fn is_nobody(&mut self) {
        self.member_id = MemberId::default();
        self.epoch = -1;
        self.classic.rejoins();
    }

    pub(super) fn refused_classic(&mut self, error: &GroupError) {
        match error {
            GroupError::UnknownMemberId | GroupError::FencedInstanceId => {
                self.is_nobody();
            }
            GroupError::IllegalGeneration | GroupError::RebalanceInProgress => self.classic.rejoins(),
            // A member goes on with what it has until somebody tells it.
            _ => {}
        }
    }
}

/// The leader's part: each partition to one member, another way each time.
fn assign(members: &[JoinMember], chance: &mut Seeded) -> Vec<(MemberId, Bytes)> {
    let count = members.len().max(1);
    let turn = usize::try_from(chance.below(count as u64)).unwrap_or(0);
    let of = |at: usize| -> BTreeSet<i32> {
        (0..work::PARTITIONS)
            .filter(|partition| (usize::try_from(*partition).unwrap_or(0) + turn) % count == at)
            .collect()
    };
    let assigned =
        members.iter().enumerate().map(|(at, member)| (member.member_id.clone(), work::assignment(&of(at))));
    assigned.collect()
}
