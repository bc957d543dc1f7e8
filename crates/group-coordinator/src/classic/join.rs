//! JoinGroup.

use std::collections::BTreeSet;
use std::fmt::Debug;

use bytes::Bytes;

use super::group::ClassicState;
use super::member::ClassicMember;
use super::rebalance::Rebalance;
use super::request::{JoinRequest, JoinResponse, SyncResponse};
use super::{Completion, Replacement};
use crate::error::GroupError;
use crate::ids::{InstanceId, MemberId};
use crate::response::GroupResponse;

impl<T: Debug> Rebalance<'_, T> {
    /// A member joins or rejoins; the answer may come with the end of the join phase.
    pub(crate) fn join(&mut self, mut request: JoinRequest, token: T) {
        // The collection in Kafka's schema has one entry a name.
        let mut names = BTreeSet::new();
        request.protocols.retain(|protocol| names.insert(protocol.name.clone()));
        if !self.accepts(&request.member_id) {
            self.group.remove(&request.member_id);
            return self.refuse(token, MemberId::default(), GroupError::GroupMaxSizeReached);
        }
        if request.member_id.is_empty() {
            self.join_new(request, token);
        } else {
            self.join_existing(request, token);
        }
    }

    fn accepts(&self, member: &MemberId) -> bool {
        let group = &self.group;
        match group.state {
            ClassicState::Empty | ClassicState::Dead => true,
            ClassicState::PreparingRebalance => {
                group.members.get(member).is_some_and(ClassicMember::is_awaiting_join)
                    || group.awaiting_join_count() < self.config.max_size
            }
            ClassicState::CompletingRebalance | ClassicState::Stable => {
                group.members.contains_key(member) || group.members.len() < self.config.max_size
            }
        }
    }

    fn join_new(&mut self, request: JoinRequest, token: T) {
        if !self.group.supports(&request.protocol_type, &request.protocols) {
            return self.refuse(token, MemberId::default(), GroupError::InconsistentGroupProtocol);
        }
        let new = request.new_member_id();
        let known =
            request.instance_id.as_ref().and_then(|id| Some((id.clone(), self.group.static_member(id)?)));
        match known {
            Some((instance, old)) => {
                let old = old.clone();
                self.replace_static_member(request, &instance, old, new, token);
            }
            None if request.instance_id.is_none() && request.requires_known_member_id => {
                self.group.pending_join.insert(new.clone());
                self.schedule_session(&new, request.session_timeout_ms);
                self.refuse(token, new, GroupError::MemberIdRequired);
            }
            None => self.add_member(request, new, token),
        }
    }

    fn join_existing(&mut self, request: JoinRequest, token: T) {
        let member = request.member_id.clone();
        if !self.group.supports(&request.protocol_type, &request.protocols) {
            return self.refuse(token, member, GroupError::InconsistentGroupProtocol);
        }
        if self.group.pending_join.contains(&member) {
            if request.instance_id.is_some() {
                // Ids were promised to dynamic members only: Kafka calls it an illegal state.
                return self.refuse(token, MemberId::default(), GroupError::UnknownServer);
            }
            return self.add_member(request, member, token);
        }
        if let Err(error) = self.group.validate_member(&member, request.instance_id.as_ref()) {
            return self.refuse(token, member, error);
        }
        let matches = self.group.members.get(&member).is_some_and(|m| m.protocols == request.protocols);
        let leads = self.group.is_leader(&member);
        match self.group.state {
            // The answer was lost: give it again.
            ClassicState::CompletingRebalance if matches => {
                let response = self.joined(&member, leads, false);
                self.out.reply_now(token, GroupResponse::Join(response));
            }
            // A leader that rejoins wants a rebalance, for instance because the topics have changed.
            ClassicState::Stable if matches && !leads => {
                let response = self.joined(&member, false, false);
                self.out.reply_now(token, GroupResponse::Join(response));
            }
            ClassicState::PreparingRebalance | ClassicState::CompletingRebalance | ClassicState::Stable => {
                self.update_member(&member, request, token);
            }
            ClassicState::Empty | ClassicState::Dead => {
                self.refuse(token, member, GroupError::UnknownMemberId);
            }
        }
    }

    fn add_member(&mut self, request: JoinRequest, member_id: MemberId, token: T) {
        let member = ClassicMember {
            member_id: member_id.clone(),
            instance_id: request.instance_id,
            client_id: request.client_id,
            client_host: request.client_host,
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            session_timeout_ms: request.session_timeout_ms,
            protocols: request.protocols,
            assignment: Bytes::new(),
            awaiting_join: Some(token),
            awaiting_sync: None,
            is_new: true,
        };
        let initial = self.group.state == ClassicState::PreparingRebalance
            && self.group.previous_state == ClassicState::Empty;
        if initial {
            self.group.new_member_added = true;
        }
        self.group.add(member, &request.protocol_type);
        self.schedule_session(&member_id, self.config.new_member_join_timeout_ms);
        self.rebalance_or_complete_join();
    }

    fn update_member(&mut self, member: &MemberId, request: JoinRequest, token: T) {
        let (rebalance_timeout_ms, session_timeout_ms) =
            (request.rebalance_timeout_ms, request.session_timeout_ms);
        self.group.update_member(member, request.protocols, rebalance_timeout_ms, session_timeout_ms);
        self.park_join(member, token);
        self.rebalance_or_complete_join();
    }

    /// The older of two joins of one member is told to come again: only one can wait.
    fn park_join(&mut self, member: &MemberId, token: T) {
        if let Some(older) = self.group.park_join(member, token) {
            self.refuse(older, member.clone(), GroupError::RebalanceInProgress);
        }
    }

    fn replace_static_member(
        &mut self,
        request: JoinRequest,
        instance: &InstanceId,
        old: MemberId,
        new: MemberId,
        token: T,
    ) {
        let old_leader = self.group.leader.clone();
        self.fence(instance, &old, &new);
        self.reset_session(&new);
        let Some(member) = self.group.members.get(&new) else { return };
        let replacement = Replacement {
            group: self.group.id.clone(),
            instance_id: instance.clone(),
            old_member_id: old,
            new_member_id: new.clone(),
            old_leader,
            old_protocols: member.protocols.clone(),
            old_rebalance_timeout_ms: member.rebalance_timeout_ms,
            old_session_timeout_ms: member.session_timeout_ms,
            supports_skipping_assignment: request.supports_skipping_assignment,
            token,
        };
        let (rebalance_timeout_ms, session_timeout_ms) =
            (request.rebalance_timeout_ms, request.session_timeout_ms);
        self.group.update_member(&new, request.protocols, rebalance_timeout_ms, session_timeout_ms);
        if self.group.state == ClassicState::Stable && self.group.protocol == self.group.select_protocol() {
            // Nothing changes for the others: the generation goes on under the new id.
            let record = self.group.to_present_record();
            self.out.record(record);
            self.out.on_completion(crate::shard::Completion::Classic(Completion::Replaced(Box::new(
                replacement,
            ))));
            return;
        }
        self.park_join(&new, replacement.token);
        match self.group.state {
            ClassicState::Stable | ClassicState::CompletingRebalance => self.prepare(),
            ClassicState::PreparingRebalance | ClassicState::Empty | ClassicState::Dead => {
                self.complete_join_if_all_joined();
            }
        }
    }

    /// Gives the instance to `new`; what `old` waits for is answered.
    fn fence(&mut self, instance: &InstanceId, old: &MemberId, new: &MemberId) {
        let (join, sync) = self.group.replace_static(instance, old, new);
        if let Some(token) = join {
            self.refuse(token, old.clone(), GroupError::FencedInstanceId);
        }
        if let Some(token) = sync {
            let response = SyncResponse::error(GroupError::FencedInstanceId);
            self.out.reply_now(token, GroupResponse::Sync(response));
        }
        self.cancel_session(old);
    }

    /// A static member's new id is stored.
    pub(crate) fn replaced(&mut self, replacement: Replacement<T>) {
        let new = &replacement.new_member_id;
        let leads = self.group.is_leader(new);
        let response = if replacement.supports_skipping_assignment {
            self.joined(new, leads, leads)
        } else {
            // Named as leader it would assign anew, from subscriptions it was not told.
            let leader = replacement.old_leader.unwrap_or_default();
            JoinResponse { leader, ..self.joined(new, false, false) }
        };
        self.out.reply_now(replacement.token, GroupResponse::Join(response));
    }

    /// A static member's new id could not be stored: the old one comes back.
    pub(crate) fn not_replaced(&mut self, replacement: Replacement<T>, error: GroupError) {
        let Replacement { old_member_id: old, new_member_id: new, instance_id: instance, .. } = replacement;
        if self.group.members.contains_key(&new) {
            let (rebalance, session) =
                (replacement.old_rebalance_timeout_ms, replacement.old_session_timeout_ms);
            self.group.update_member(&new, replacement.old_protocols, rebalance, session);
            self.fence(&instance, &new, &old);
            self.reset_session(&old);
        }
        let response = JoinResponse {
            generation: self.group.generation,
            protocol_type: self.group.protocol_type.clone(),
            protocol: self.group.protocol.clone(),
            leader: replacement.old_leader.unwrap_or_default(),
            ..JoinResponse::error(MemberId::default(), error)
        };
        self.out.reply_now(replacement.token, GroupResponse::Join(response));
    }

    fn refuse(&mut self, token: T, member: MemberId, error: GroupError) {
        self.out.reply_now(token, GroupResponse::Join(JoinResponse::error(member, error)));
    }
}
