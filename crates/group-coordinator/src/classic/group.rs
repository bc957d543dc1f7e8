//! A classic group's members and where it stands; the rules by which it moves are in the sibling files.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_model::TimestampMs;
use ottla_planted::planted;

use super::member::{ClassicMember, Protocol};
use super::request::JoinMember;
use crate::embedded::subscribed_topics;
use crate::error::GroupError;
use crate::ids::{GroupId, InstanceId, MemberId};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClassicState {
    /// No members; offsets may be left.
    Empty,
    /// Waits for all members to (re)join.
    PreparingRebalance,
    /// Waits for the leader's assignment.
    CompletingRebalance,
    Stable,
    /// Before anything; a group that is gone is simply not there.
    Dead,
}

impl ClassicState {
    /// As DescribeGroups and ListGroups spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
            Self::Dead => "Dead",
        }
    }
}

/// The delayed first rebalance of an empty group (`group.initial.rebalance.delay.ms`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InitialRebalance {
    pub(super) delay_ms: i32,
    /// What is left of the longest rebalance timeout.
    pub(super) remaining_ms: i32,
}

#[derive(Debug)]
pub struct ClassicGroup<T> {
    pub(super) id: GroupId,
    pub(super) state: ClassicState,
    pub(super) previous_state: ClassicState,
    pub(super) state_timestamp: Option<TimestampMs>,
    pub(super) protocol_type: Option<Arc<str>>,
    pub(super) protocol: Option<Arc<str>>,
    pub(super) generation: i32,
    pub(super) leader: Option<MemberId>,
    pub(super) members: BTreeMap<MemberId, ClassicMember<T>>,
    static_members: BTreeMap<InstanceId, MemberId>,
    /// Told an id, not come back with it yet.
    pub(crate) pending_join: BTreeSet<MemberId>,
    /// Of this generation's members those that have not synced.
    pub(super) pending_sync: BTreeSet<MemberId>,
    awaiting_join_count: usize,
    /// Members that support each protocol.
    supported_protocols: BTreeMap<Arc<str>, usize>,
    /// `None` where the coordinator does not know: another protocol type, or an unreadable subscription.
    pub(super) subscribed_topics: Option<BTreeSet<Arc<str>>>,
    pub(super) initial_rebalance: Option<InitialRebalance>,
    /// During the initial rebalance: it is prolonged.
    pub(super) new_member_added: bool,
}

/// Protocol type of consumers, whose subscriptions the coordinator reads.
pub(super) const CONSUMER: &str = "consumer";

impl<T> ClassicGroup<T> {
    pub(crate) const fn new(id: GroupId, state_timestamp: Option<TimestampMs>) -> Self {
        Self {
            id,
            state: ClassicState::Empty,
            previous_state: ClassicState::Dead,
            state_timestamp,
            protocol_type: None,
            protocol: None,
            generation: 0,
            leader: None,
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            pending_join: BTreeSet::new(),
            pending_sync: BTreeSet::new(),
            awaiting_join_count: 0,
            supported_protocols: BTreeMap::new(),
            subscribed_topics: None,
            initial_rebalance: None,
            new_member_added: false,
        }
    }

    #[must_use]
    pub const fn id(&self) -> &GroupId {
        &self.id
    }

    #[must_use]
    pub const fn state(&self) -> ClassicState {
        self.state
    }

    #[must_use]
    pub const fn generation(&self) -> i32 {
        self.generation
    }

    #[must_use]
    pub const fn state_timestamp(&self) -> Option<TimestampMs> {
        self.state_timestamp
    }

    #[must_use]
    pub const fn protocol_type(&self) -> Option<&Arc<str>> {
        self.protocol_type.as_ref()
    }

    #[must_use]
    pub const fn protocol(&self) -> Option<&Arc<str>> {
        self.protocol.as_ref()
    }

    #[must_use]
    pub const fn members(&self) -> &BTreeMap<MemberId, ClassicMember<T>> {
        &self.members
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        matches!(self.state, ClassicState::Empty)
    }

    #[must_use]
    pub fn is_consumer_protocol(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER)
    }

    /// Where the coordinator does not know a consumer group's topics, it takes the group to be subscribed to all.
    #[must_use]
    pub fn is_subscribed_to(&self, topic: &str) -> bool {
        match &self.subscribed_topics {
            Some(topics) => topics.contains(topic),
            None => self.is_consumer_protocol(),
        }
    }

    #[must_use]
    pub const fn knows_subscribed_topics(&self) -> bool {
        self.subscribed_topics.is_some()
    }

    pub(super) fn is_leader(&self, member: &MemberId) -> bool {
        self.leader.as_ref() == Some(member)
    }

    #[cfg(test)]
    pub(crate) fn set_leader(&mut self, leader: Option<MemberId>) {
        self.leader = leader;
    }

    pub(super) fn static_member(&self, instance: &InstanceId) -> Option<&MemberId> {
        self.static_members.get(instance)
    }

    pub(crate) const fn awaiting_join_count(&self) -> usize {
        self.awaiting_join_count
    }

    pub(super) fn has_all_members_joined(&self) -> bool {
        self.members.len() == self.awaiting_join_count && self.pending_join.is_empty()
    }

    /// The longest of the members'.
    pub(super) fn rebalance_timeout_ms(&self) -> i32 {
        self.members.values().map(|m| m.rebalance_timeout_ms).max().unwrap_or(0)
    }

    pub(super) fn transition(&mut self, state: ClassicState, now: TimestampMs) {
        self.previous_state = std::mem::replace(&mut self.state, state);
        self.state_timestamp = Some(now);
    }

    /// Whether the request comes from a member under its present id.
    pub(crate) fn validate_member(
        &self,
        member: &MemberId,
        instance: Option<&InstanceId>,
    ) -> Result<(), GroupError> {
        if let Some(instance) = instance {
            match self.static_members.get(instance) {
                None => return Err(GroupError::UnknownMemberId),
                Some(known) if known != member => {
                    let is_fenced = !planted!("replaced_static_commits");
                    return if is_fenced { Err(GroupError::FencedInstanceId) } else { Ok(()) };
                }
                Some(_) => {}
            }
        }
        if self.members.contains_key(member) { Ok(()) } else { Err(GroupError::UnknownMemberId) }
    }

    /// Whether a member with these protocols can be together with those that are there.
    pub(super) fn supports(&self, protocol_type: &str, protocols: &[Protocol]) -> bool {
        if self.is_empty() {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        let by_all =
            |p: &Protocol| self.supported_protocols.get(&p.name).copied().unwrap_or(0) == self.members.len();
        self.protocol_type.as_deref() == Some(protocol_type) && protocols.iter().any(by_all)
    }

    pub(super) fn add(&mut self, member: ClassicMember<T>, protocol_type: &Arc<str>) {
        if let Some(instance) = &member.instance_id {
            self.static_members.insert(instance.clone(), member.member_id.clone());
        }
        if self.members.is_empty() {
            self.protocol_type = Some(protocol_type.clone());
        }
        if self.leader.is_none() {
            self.leader = Some(member.member_id.clone());
        }
        self.pending_join.remove(&member.member_id);
        self.count_protocols(&member.protocols, 1);
        self.awaiting_join_count += usize::from(member.awaiting_join.is_some());
        self.members.insert(member.member_id.clone(), member);
    }

    /// Removes a member or a pending one; its waiting requests must have been answered before.
    pub(super) fn remove(&mut self, member_id: &MemberId) {
        if let Some(member) = self.members.remove(member_id) {
            self.count_protocols(&member.protocols, -1);
            self.awaiting_join_count -= usize::from(member.awaiting_join.is_some());
            if let Some(instance) = &member.instance_id {
                self.static_members.remove(instance);
            }
        }
        if self.is_leader(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
        self.pending_join.remove(member_id);
        self.pending_sync.remove(member_id);
    }

    /// Gives a static member a new id; what waited for the old one comes back to be answered.
    pub(super) fn replace_static(
        &mut self,
        instance: &InstanceId,
        old: &MemberId,
        new: &MemberId,
    ) -> (Option<T>, Option<T>) {
        let join = self.take_join(old);
        let Some(mut member) = self.members.remove(old) else { return (join, None) };
        let sync = member.awaiting_sync.take();
        member.member_id = new.clone();
        member.is_new = false;
        self.members.insert(new.clone(), member);
        if self.is_leader(old) {
            self.leader = Some(new.clone());
        }
        self.static_members.insert(instance.clone(), new.clone());
        (join, sync)
    }

    /// What a rejoin may change of a member.
    pub(super) fn update_member(
        &mut self,
        member_id: &MemberId,
        protocols: Vec<Protocol>,
        rebalance_timeout_ms: i32,
        session_timeout_ms: i32,
    ) {
        let Some(member) = self.members.get_mut(member_id) else { return };
        member.rebalance_timeout_ms = rebalance_timeout_ms;
        member.session_timeout_ms = session_timeout_ms;
        let old = std::mem::replace(&mut member.protocols, protocols.clone());
        self.count_protocols(&old, -1);
        self.count_protocols(&protocols, 1);
    }

    /// Parks a join; one that was parked before comes back to be answered.
    pub(super) fn park_join(&mut self, member_id: &MemberId, token: T) -> Option<T> {
        let replaced = self.take_join(member_id);
        if let Some(member) = self.members.get_mut(member_id) {
            member.awaiting_join = Some(token);
            self.awaiting_join_count += 1;
        }
        replaced
    }

    pub(super) fn take_join(&mut self, member_id: &MemberId) -> Option<T> {
        let token = self.members.get_mut(member_id)?.awaiting_join.take()?;
        self.awaiting_join_count -= 1;
        Some(token)
    }

    pub(super) fn take_sync(&mut self, member_id: &MemberId) -> Option<T> {
        self.members.get_mut(member_id)?.awaiting_sync.take()
    }

    /// A leader that has joined; `false` if nobody has.
    pub(super) fn elect_joined_leader(&mut self) -> bool {
        let Some(leader) = &self.leader else { return false };
        if self.members.get(leader).is_some_and(ClassicMember::is_awaiting_join) {
            return true;
        }
        let joined = self.members.values().find(|m| m.is_awaiting_join()).map(|m| m.member_id.clone());
        let found = joined.is_some();
        if found {
            self.leader = joined;
        }
        found
    }

    /// The protocol with the most votes among those that all support; of equals the first by name.
    pub(super) fn select_protocol(&self) -> Option<Arc<str>> {
        let by_all = self.supported_protocols.iter().filter(|(_, count)| **count == self.members.len());
        let candidates: BTreeSet<Arc<str>> = by_all.map(|(name, _)| name.clone()).collect();
        let mut votes: BTreeMap<Arc<str>, usize> = BTreeMap::new();
        for name in self.members.values().filter_map(|m| m.vote(&candidates)) {
            *votes.entry(name).or_default() += 1;
        }
        votes.into_iter().rev().max_by_key(|(_, count)| *count).map(|(name, _)| name)
    }

    pub(super) fn init_next_generation(&mut self, now: TimestampMs) {
        if !planted!("generation_not_raised") {
            self.generation = self.generation.wrapping_add(1);
        }
        let empty = self.members.is_empty();
        self.protocol = if empty { None } else { self.select_protocol() };
        self.subscribed_topics = self.compute_subscribed_topics();
        let next = if empty { ClassicState::Empty } else { ClassicState::CompletingRebalance };
        self.transition(next, now);
        self.pending_sync.clear();
    }

    /// The members as the leader is told them.
    pub(super) fn joined_members(&self) -> Vec<JoinMember> {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let told = |m: &ClassicMember<T>| JoinMember {
            member_id: m.member_id.clone(),
            instance_id: m.instance_id.clone(),
            metadata: m.metadata(protocol),
        };
        self.members.values().map(told).collect()
    }

    /// `None` if it is no consumer group, has no protocol yet, or a subscription cannot be read.
    pub(super) fn compute_subscribed_topics(&self) -> Option<BTreeSet<Arc<str>>> {
        if !self.is_consumer_protocol() {
            return None;
        }
        if self.members.is_empty() {
            return Some(BTreeSet::new());
        }
        let protocol = self.protocol.as_deref()?;
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            topics.extend(subscribed_topics(&member.metadata(protocol)).ok()?);
        }
        Some(topics)
    }

    fn count_protocols(&mut self, protocols: &[Protocol], by: isize) {
        for protocol in protocols {
            let count = self.supported_protocols.entry(protocol.name.clone()).or_default();
            *count = count.saturating_add_signed(by);
            if *count == 0 {
                self.supported_protocols.remove(&protocol.name);
            }
        }
    }
}
