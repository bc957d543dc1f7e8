//! Members of a consumer group that speak the classic protocol (online migration): JoinGroup is a heartbeat that says
//! everything, SyncGroup fetches what it brought, Heartbeat tells them to join again, LeaveGroup removes them. The
//! generation is their member epoch, the assignor is the coordinator.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::context::{Context, Outcome};
use super::downgrade::{self, Downgrade};
use super::fence;
use super::group::ConsumerGroup;
use super::heartbeat::session_timer;
use super::member::{ConsumerGroupMember, MemberState};
use super::subscribe;
use super::target::{self, Target};
use super::timer::{TimerCommand, TimerKey};
use super::update::{Update, milliseconds};
use crate::assignor::Assignment;
use crate::classic::{
    HeartbeatRequest, JoinRequest, JoinResponse, LeavingMember, LeftMember, Protocol, SyncRequest,
    SyncResponse,
};
use crate::embedded::{self, Subscription};
use crate::error::GroupError;
use crate::records::{ClassicMemberMetadata, ClassicProtocol};
use crate::{InstanceId, MemberId};

const CONSUMER: &str = "consumer";

/// A classic member joins a consumer group that has members, or comes back to be told what it shall own now.
pub(crate) fn join(
    group: &ConsumerGroup,
    request: &JoinRequest,
    ctx: &mut Context<'_>,
) -> Result<Outcome<JoinResponse>, JoinRefusal> {
    if !ctx.settings.migration.mixes() {
        return Err(GroupError::InconsistentGroupProtocol.into());
    }
    let is_new = request.member_id.is_empty();
    let member_id = if is_new { request.new_consumer_member_id() } else { request.member_id.clone() };
    let instance_id = request.instance_id.as_ref();
    subscribe::check_room(group, &member_id, instance_id, ctx.settings.max_size)
        .map_err(|_| GroupError::GroupMaxSizeReached)?;
    if !supports(group, &request.protocol_type, &request.protocols) {
        return Err(GroupError::InconsistentGroupProtocol.into());
    }
    if is_new && instance_id.is_none() && request.requires_known_member_id {
        return Err(JoinRefusal { member_id, error: GroupError::MemberIdRequired });
    }
    let settings = ctx.settings;
    let mut update = Update::new(group, ctx);
    let member = subscribe::classic_member_of(group, &member_id, instance_id, is_new, &mut update.records)?;
    let subscription = subscription_of(&request.protocols)?;
    let owned = embedded::by_id(&subscription.owned, update.ctx.topics);
    let updated = updated(&member, request, subscription);
    let replaced = instance_id.and_then(|instance| group.static_member(instance));
    let downgrades = replaced.is_some_and(|replaced| downgrade::by_replacing(group, replaced, settings));
    let (updated, downgrade) = update_member(&mut update, &member, updated, &owned, downgrades)?;
    let response = joined(&updated);
    let mut out = update.outcome(response);
    out.timers_once_stored = timers_of_join(group, request, &updated.member_id, downgrades);
    out.downgrade = downgrade;
    Ok(out)
}

/// An error, and the member id that the answer carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JoinRefusal {
    pub(crate) member_id: MemberId,
    pub(crate) error: GroupError,
}

impl From<GroupError> for JoinRefusal {
    fn from(error: GroupError) -> Self {
        Self { member_id: MemberId::default(), error }
    }
}

/// Whether a member with these protocols can be together with the classic members that are there.
fn supports(group: &ConsumerGroup, protocol_type: &str, protocols: &[Protocol]) -> bool {
    let classic: Vec<_> = group.members().values().filter_map(|member| member.classic.as_ref()).collect();
    let by_all = |name: &str| {
        classic.iter().all(|member| member.supported_protocols.iter().any(|protocol| &*protocol.name == name))
    };
    protocol_type == CONSUMER && protocols.iter().any(|protocol| by_all(&protocol.name))
}

fn subscription_of(protocols: &[Protocol]) -> Result<Subscription, GroupError> {
    let first = protocols.first().ok_or(GroupError::InconsistentGroupProtocol)?;
    embedded::read_subscription(&first.metadata).map_err(|_| GroupError::InconsistentGroupProtocol)
}

/// The member with what this join says of it.
fn updated(
    member: &ConsumerGroupMember,
    request: &JoinRequest,
    subscription: Subscription,
) -> ConsumerGroupMember {
    let protocols = request.protocols.iter();
    let classic = ClassicMemberMetadata {
        session_timeout_ms: request.session_timeout_ms,
        supported_protocols: protocols
            .map(|p| ClassicProtocol { name: p.name.clone(), metadata: p.metadata.clone() })
            .collect(),
    };
    let mut updated = member.clone();
    if request.instance_id.is_some() {
        updated.instance_id.clone_from(&request.instance_id);
    }
    if subscription.rack_id.is_some() {
        updated.rack_id = subscription.rack_id;
    }
    if request.rebalance_timeout_ms != -1 {
        updated.rebalance_timeout_ms = request.rebalance_timeout_ms;
    }
    updated.subscribed_topic_names = subscription.topics.into_iter().collect();
    updated.subscribed_topic_regex = Some("".into());
    updated.client_id = request.client_id.clone();
    updated.client_host = request.client_host.clone();
    updated.classic = Some(classic);
    updated
}

fn update_member(
    update: &mut Update<'_, '_>,
    member: &ConsumerGroupMember,
    updated: ConsumerGroupMember,
    owned: &Assignment,
    downgrades: bool,
) -> Result<(ConsumerGroupMember, Option<Downgrade>), GroupError> {
    let group = update.group;
    let gone = |_| GroupError::UnknownServer;
    let bump = update.subscribe(member, &updated).map_err(gone)?.any();
    let change = update.update_group(member, &updated, bump);
    if !downgrades {
        let target = target::update(update, &updated, change).map_err(gone)?;
        let updated = update
            .reconcile(updated, &target, bump, Some(owned))
            .map_err(|_| GroupError::FencedMemberEpoch)?;
        return Ok((updated, None));
    }
    let rebalance = group.target_epoch < change.epoch;
    let mut updated = updated;
    if !rebalance {
        let target = Target::last(group, &updated);
        updated = update
            .reconcile(updated, &target, bump, Some(owned))
            .map_err(|_| GroupError::FencedMemberEpoch)?;
    }
    let downgrade = Downgrade { joining: Some(updated.clone()), rebalance, ..Downgrade::default() };
    Ok((updated, Some(downgrade)))
}

fn joined(member: &ConsumerGroupMember) -> JoinResponse {
    JoinResponse {
        error: None,
        generation: member.member_epoch,
        protocol_type: Some(CONSUMER.into()),
        protocol: member.first_classic_protocol().map(|protocol| protocol.name.clone()),
        leader: MemberId::default(),
        skip_assignment: false,
        member_id: member.member_id.clone(),
        members: Vec::new(),
    }
}

/// A member that has joined must sync within its rebalance timeout; in a group that is now a classic one, that group's
/// timers watch over it.
fn timers_of_join(
    group: &ConsumerGroup,
    request: &JoinRequest,
    member_id: &MemberId,
    downgrades: bool,
) -> Vec<TimerCommand> {
    let key =
        |kind: fn(crate::GroupId, MemberId) -> TimerKey| kind(group.group_id.clone(), member_id.clone());
    let mut timers = vec![TimerCommand::Cancel(key(TimerKey::Join))];
    if !downgrades {
        timers.push(session_timer(group, member_id, milliseconds(request.session_timeout_ms)));
        timers.push(TimerCommand::Schedule {
            key: key(TimerKey::Sync),
            after_ms: milliseconds(request.rebalance_timeout_ms),
            member_epoch: 0,
        });
    }
    timers
}

/// A classic member asks for what its last join brought.
pub(crate) fn sync(
    group: &ConsumerGroup,
    request: &SyncRequest,
    ctx: &Context<'_>,
) -> Outcome<Result<SyncResponse, GroupError>> {
    let member = match checked(group, &request.member_id, request.instance_id.as_ref(), request.generation) {
        Ok(member) => member,
        Err(error) => return Outcome::of(Err(error)),
    };
    if is_other_protocol(member, request) {
        return Outcome::of(Err(GroupError::InconsistentGroupProtocol));
    }
    if group.target_epoch > member.member_epoch && member.state != MemberState::UnrevokedPartitions {
        return must_join(group, member);
    }
    let Some(assignment) = assignment_of(member, ctx) else {
        return Outcome::of(Err(GroupError::UnknownServer));
    };
    let mut out = Outcome::of(Ok(SyncResponse {
        error: None,
        protocol_type: request.protocol_type.clone(),
        protocol: request.protocol.clone(),
        assignment,
    }));
    let key = TimerKey::Sync(group.group_id.clone(), member.member_id.clone());
    out.timers_once_stored = vec![TimerCommand::Cancel(key), classic_session_timer(group, member)];
    out
}

/// A classic member is alive; it learns this way that it must join.
pub(crate) fn heartbeat(
    group: &ConsumerGroup,
    request: &HeartbeatRequest,
) -> Outcome<Result<(), GroupError>> {
    let member = match checked(group, &request.member_id, request.instance_id.as_ref(), request.generation) {
        Ok(member) => member,
        Err(error) => return Outcome::of(Err(error)),
    };
    let behind = match member.state {
        MemberState::UnrevokedPartitions => true,
        MemberState::UnreleasedPartitions => !group.waits_for_others(member),
        MemberState::Stable | MemberState::Unknown => false,
    };
    let mut out = if behind || member.member_epoch < group.target_epoch {
        must_join(group, member)
    } else {
        Outcome::of(Ok(()))
    };
    out.timers.push(classic_session_timer(group, member));
    out
}

/// Members leave, each with its own result; administrators remove members of either protocol this way.
pub(crate) fn leave(
    group: &ConsumerGroup,
    members: Vec<LeavingMember>,
    ctx: &mut Context<'_>,
) -> Outcome<Vec<LeftMember>> {
    let mut left = Vec::with_capacity(members.len());
    let mut leaving = BTreeSet::new();
    for member in members {
        let error = match leaving_member(group, &member) {
            Ok(known) => {
                leaving.insert(known.member_id.clone());
                None
            }
            Err(error) => Some(error),
        };
        left.push(LeftMember { member_id: member.member_id, instance_id: member.instance_id, error });
    }
    if leaving.is_empty() { Outcome::of(left) } else { fence::fence_all(group, &leaving, left, ctx) }
}

fn leaving_member<'a>(
    group: &'a ConsumerGroup,
    leaving: &LeavingMember,
) -> Result<&'a ConsumerGroupMember, GroupError> {
    let Some(instance_id) = &leaving.instance_id else {
        return group.member(&leaving.member_id).ok_or(GroupError::UnknownMemberId);
    };
    let member = group.static_member(instance_id).ok_or(GroupError::UnknownMemberId)?;
    let is_it = leaving.member_id.is_empty() || leaving.member_id == member.member_id;
    if is_it { Ok(member) } else { Err(GroupError::FencedInstanceId) }
}

/// The classic member of this id, in this generation.
fn checked<'a>(
    group: &'a ConsumerGroup,
    member_id: &MemberId,
    instance_id: Option<&InstanceId>,
    generation: i32,
) -> Result<&'a ConsumerGroupMember, GroupError> {
    let member = match instance_id {
        None => group.member(member_id),
        Some(instance_id) => group.static_member(instance_id),
    };
    let member = member.ok_or(GroupError::UnknownMemberId)?;
    if member.member_id != *member_id {
        return Err(GroupError::FencedInstanceId);
    }
    if !member.uses_classic_protocol() {
        return Err(GroupError::UnknownMemberId);
    }
    if member.member_epoch != generation {
        return Err(GroupError::IllegalGeneration);
    }
    Ok(member)
}

fn is_other_protocol(member: &ConsumerGroupMember, request: &SyncRequest) -> bool {
    let known = member.first_classic_protocol().map(|protocol| &protocol.name);
    request.protocol_type.as_deref().is_some_and(|said| said != CONSUMER)
        || request.protocol.as_ref().is_some_and(|said| Some(said) != known)
}

/// The member has its rebalance timeout to join, from when it was first told so.
fn must_join<R>(group: &ConsumerGroup, member: &ConsumerGroupMember) -> Outcome<Result<R, GroupError>> {
    let mut out = Outcome::of(Err(GroupError::RebalanceInProgress));
    out.timers.push(TimerCommand::ScheduleIfAbsent {
        key: TimerKey::Join(group.group_id.clone(), member.member_id.clone()),
        after_ms: milliseconds(member.rebalance_timeout_ms),
    });
    out
}

pub(crate) fn classic_session_timer(group: &ConsumerGroup, member: &ConsumerGroupMember) -> TimerCommand {
    let timeout = member.classic.as_ref().map_or(0, |classic| classic.session_timeout_ms);
    session_timer(group, &member.member_id, milliseconds(timeout))
}

/// In the version of the embedded protocol that the member speaks.
fn assignment_of(member: &ConsumerGroupMember, ctx: &Context<'_>) -> Option<Bytes> {
    let version = embedded::version_of(&member.first_classic_protocol()?.metadata).ok()?;
    let assigned = member.assigned.iter().map(|(t, ps)| (*t, ps.keys().copied().collect()));
    let assigned: Assignment = assigned.collect();
    Some(embedded::write_assignment(&assigned, version, ctx.topics))
}
