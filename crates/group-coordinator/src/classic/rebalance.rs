//! How a classic group moves from one generation to the next.

use std::fmt::Debug;

use bytes::Bytes;
use ottla_coordinator::{Outcome, Timers};
use ottla_model::Now;

use super::group::{ClassicGroup, ClassicState, InitialRebalance};
use super::request::{JoinResponse, SyncResponse};
use crate::config::GroupConfig;
use crate::error::GroupError;
use crate::ids::MemberId;
use crate::response::GroupResponse;
use crate::shard::{GroupShard, TimerKey};

/// One operation on one classic group, and what it needs.
pub(crate) struct Rebalance<'a, T: Debug> {
    pub(crate) group: &'a mut ClassicGroup<T>,
    pub(crate) timers: &'a mut Timers<TimerKey>,
    pub(crate) config: &'a GroupConfig,
    pub(crate) now: Now,
    pub(crate) out: &'a mut Outcome<GroupShard<T>>,
}

impl<T: Debug> Rebalance<'_, T> {
    /// After members or their metadata changed.
    pub(super) fn rebalance_or_complete_join(&mut self) {
        match self.group.state {
            ClassicState::Empty | ClassicState::CompletingRebalance | ClassicState::Stable => self.prepare(),
            ClassicState::PreparingRebalance => self.complete_join_if_all_joined(),
            ClassicState::Dead => {}
        }
    }

    /// Begins a rebalance. That of an empty group is delayed, so that members that start together end up in one
    /// generation.
    pub(crate) fn prepare(&mut self) {
        if self.group.state == ClassicState::CompletingRebalance {
            self.reset_assignment(&GroupError::RebalanceInProgress);
        }
        self.group.pending_sync.clear();
        self.timers.cancel(&TimerKey::ClassicSync(self.group.id.clone()));
        let initial = self.group.is_empty();
        self.group.initial_rebalance = None;
        if initial {
            let delay_ms = self.config.initial_rebalance_delay_ms;
            let remaining_ms = self.group.rebalance_timeout_ms().saturating_sub(delay_ms).max(0);
            self.schedule_initial(InitialRebalance { delay_ms, remaining_ms });
        }
        self.group.transition(ClassicState::PreparingRebalance, self.now.wall);
        if !initial {
            self.complete_join_or_wait();
        }
    }

    fn complete_join_or_wait(&mut self) {
        if self.group.has_all_members_joined() {
            self.complete_join();
        } else {
            self.schedule_join(self.group.rebalance_timeout_ms());
        }
    }

    /// Nothing to do during the initial rebalance: its timer decides.
    pub(super) fn complete_join_if_all_joined(&mut self) {
        let waits_for_all = self.group.state == ClassicState::PreparingRebalance
            && self.group.previous_state != ClassicState::Empty;
        if waits_for_all && self.group.has_all_members_joined() {
            self.complete_join();
        }
    }

    /// The join timer of the group.
    pub(crate) fn join_timer_fired(&mut self) {
        match self.group.initial_rebalance {
            Some(initial) if self.group.new_member_added && initial.remaining_ms != 0 => {
                self.group.new_member_added = false;
                self.schedule_initial(InitialRebalance {
                    delay_ms: self.config.initial_rebalance_delay_ms.min(initial.remaining_ms),
                    remaining_ms: initial.remaining_ms.saturating_sub(initial.delay_ms).max(0),
                });
            }
            _ => self.complete_join(),
        }
    }

    /// Ends the join phase: members that did not come are dropped (static ones stay until their session ends), those
    /// that did get the next generation.
    pub(super) fn complete_join(&mut self) {
        self.timers.cancel(&TimerKey::ClassicJoin(self.group.id.clone()));
        self.group.initial_rebalance = None;
        self.drop_absent_dynamic_members();
        if !self.group.elect_joined_leader() && !self.group.members.is_empty() {
            // Only static members are left and none has come: wait once more.
            self.schedule_join(self.group.rebalance_timeout_ms());
            return;
        }
        self.group.init_next_generation(self.now.wall);
        if self.group.is_empty() {
            let record = self.group.to_record(&std::collections::BTreeMap::new());
            self.out.record(record);
            return;
        }
        let members: Vec<MemberId> = self.group.members.keys().cloned().collect();
        for member in members {
            self.answer_join(&member);
            self.reset_session(&member);
            if let Some(member) = self.group.members.get_mut(&member) {
                member.is_new = false;
            }
            self.group.pending_sync.insert(member);
        }
        let timeout = self.group.rebalance_timeout_ms();
        let key = TimerKey::ClassicSync(self.group.id.clone());
        self.timers.schedule(key, self.now.mono.plus_ms(unsigned(timeout)));
    }

    fn drop_absent_dynamic_members(&mut self) {
        let absent = self.group.members.values().filter(|m| !m.is_awaiting_join() && m.instance_id.is_none());
        let absent: Vec<MemberId> = absent.map(|m| m.member_id.clone()).collect();
        for member in absent {
            self.group.remove(&member);
            self.cancel_session(&member);
        }
    }

    fn answer_join(&mut self, member: &MemberId) {
        let response = self.joined(member, self.group.is_leader(member), false);
        self.complete_join_request(member, response);
    }

    /// A successful answer to a join: only the leader is told the members.
    pub(super) fn joined(
        &self,
        member: &MemberId,
        with_members: bool,
        skip_assignment: bool,
    ) -> JoinResponse {
        JoinResponse {
            error: None,
            generation: self.group.generation,
            protocol_type: self.group.protocol_type.clone(),
            protocol: self.group.protocol.clone(),
            leader: self.group.leader.clone().unwrap_or_default(),
            skip_assignment,
            member_id: member.clone(),
            members: if with_members { self.group.joined_members() } else { Vec::new() },
        }
    }

    /// Answers the member's parked join, if there is one.
    pub(super) fn complete_join_request(&mut self, member: &MemberId, response: JoinResponse) {
        if let Some(token) = self.group.take_join(member) {
            self.out.reply_now(token, GroupResponse::Join(response));
        }
    }

    /// Members of this generation that never synced are dropped.
    pub(crate) fn sync_timer_fired(&mut self) {
        let running = matches!(self.group.state, ClassicState::CompletingRebalance | ClassicState::Stable);
        if !running || self.group.pending_sync.is_empty() {
            return;
        }
        for member in std::mem::take(&mut self.group.pending_sync) {
            self.group.remove(&member);
            self.cancel_session(&member);
        }
        self.prepare();
    }

    /// Takes all assignments back and answers those that wait for one.
    pub(super) fn reset_assignment(&mut self, error: &GroupError) {
        for member in self.group.members.values_mut() {
            member.assignment = Bytes::new();
        }
        self.answer_syncs(Some(error));
    }

    /// Answers all parked syncs, with the members' assignments unless there is an error.
    pub(super) fn answer_syncs(&mut self, error: Option<&GroupError>) {
        let members: Vec<MemberId> = self.group.members.keys().cloned().collect();
        for member in members {
            let Some(token) = self.group.take_sync(&member) else { continue };
            let response = match error {
                Some(error) => SyncResponse::error(error.clone()),
                None => self.synced(&member),
            };
            self.out.reply_now(token, GroupResponse::Sync(response));
            self.reset_session(&member);
        }
    }

    pub(super) fn synced(&self, member: &MemberId) -> SyncResponse {
        SyncResponse {
            error: None,
            protocol_type: self.group.protocol_type.clone(),
            protocol: self.group.protocol.clone(),
            assignment: self.group.members.get(member).map(|m| m.assignment.clone()).unwrap_or_default(),
        }
    }

    /// The member has shown life.
    pub(crate) fn reset_session(&mut self, member: &MemberId) {
        if let Some(timeout) = self.group.members.get(member).map(|m| m.session_timeout_ms) {
            self.schedule_session(member, timeout);
        }
    }

    pub(super) fn schedule_session(&mut self, member: &MemberId, timeout_ms: i32) {
        let key = TimerKey::ClassicSession(self.group.id.clone(), member.clone());
        self.timers.schedule(key, self.now.mono.plus_ms(unsigned(timeout_ms)));
    }

    pub(super) fn cancel_session(&mut self, member: &MemberId) {
        self.timers.cancel(&TimerKey::ClassicSession(self.group.id.clone(), member.clone()));
    }

    fn schedule_initial(&mut self, initial: InitialRebalance) {
        self.group.initial_rebalance = Some(initial);
        self.schedule_join(initial.delay_ms);
    }

    fn schedule_join(&mut self, timeout_ms: i32) {
        let key = TimerKey::ClassicJoin(self.group.id.clone());
        self.timers.schedule(key, self.now.mono.plus_ms(unsigned(timeout_ms)));
    }
}

/// A negative timeout is no timeout.
pub(super) fn unsigned(timeout_ms: i32) -> u64 {
    u64::try_from(timeout_ms).unwrap_or(0)
}
