//! Heartbeat, LeaveGroup, and the end of sessions.

use std::fmt::Debug;

use ottla_coordinator::Outcome;

use super::group::{ClassicGroup, ClassicState};
use super::rebalance::Rebalance;
use super::request::{HeartbeatRequest, JoinResponse, LeavingMember, LeftMember, SyncResponse};
use crate::error::GroupError;
use crate::ids::MemberId;
use crate::response::GroupResponse;
use crate::shard::GroupShard;

impl<T: Debug> Rebalance<'_, T> {
    /// A member is alive; it learns of a rebalance this way.
    pub(crate) fn heartbeat(&mut self, request: &HeartbeatRequest) -> Result<(), GroupError> {
        self.group.validate_member(&request.member_id, request.instance_id.as_ref())?;
        if request.generation != self.group.generation {
            return Err(GroupError::IllegalGeneration);
        }
        match self.group.state {
            ClassicState::Empty | ClassicState::Dead => Err(GroupError::UnknownMemberId),
            ClassicState::PreparingRebalance => {
                self.reset_session(&request.member_id);
                Err(GroupError::RebalanceInProgress)
            }
            ClassicState::CompletingRebalance | ClassicState::Stable => {
                self.reset_session(&request.member_id);
                Ok(())
            }
        }
    }

    /// Members leave, each with its own result; the group rebalances once.
    pub(crate) fn leave(&mut self, members: Vec<LeavingMember>) -> Vec<LeftMember> {
        let mut left = Vec::with_capacity(members.len());
        for member in members {
            let error = self.leave_one(&member).err();
            left.push(LeftMember { member_id: member.member_id, instance_id: member.instance_id, error });
        }
        if left.iter().any(|member| member.error.is_none()) {
            match self.group.state {
                ClassicState::CompletingRebalance | ClassicState::Stable => self.rebalance_or_complete_join(),
                ClassicState::PreparingRebalance => self.complete_join_if_all_joined(),
                ClassicState::Empty | ClassicState::Dead => {}
            }
        }
        left
    }

    fn leave_one(&mut self, leaving: &LeavingMember) -> Result<(), GroupError> {
        let member = if leaving.member_id.is_empty() {
            // An administrator removes a static member, whatever its present id.
            let known = leaving.instance_id.as_ref().and_then(|id| self.group.static_member(id));
            known.cloned().ok_or(GroupError::UnknownMemberId)?
        } else if self.group.pending_join.contains(&leaving.member_id) {
            leaving.member_id.clone()
        } else {
            self.group.validate_member(&leaving.member_id, leaving.instance_id.as_ref())?;
            leaving.member_id.clone()
        };
        self.cancel_session(&member);
        self.drop_member(&member);
        Ok(())
    }

    /// Removes a member; what it waits for is answered.
    fn drop_member(&mut self, member: &MemberId) {
        let gone = JoinResponse::error(MemberId::default(), GroupError::UnknownMemberId);
        self.complete_join_request(member, gone);
        if let Some(token) = self.group.take_sync(member) {
            let response = SyncResponse::error(GroupError::UnknownMemberId);
            self.out.reply_now(token, GroupResponse::Sync(response));
        }
        self.group.remove(member);
    }

    /// The group comes from the log: its members get a full session to show themselves.
    pub(crate) fn loaded(&mut self) {
        let members: Vec<MemberId> = self.group.members.keys().cloned().collect();
        for member in &members {
            self.reset_session(member);
        }
        if members.len() > self.config.max_size {
            self.prepare();
        }
    }

    /// The group was a consumer group until now: its members get a full session, and are called together if what they
    /// have is not what they should have.
    pub(crate) fn downgraded(&mut self, rebalance: bool) {
        let members: Vec<MemberId> = self.group.members.keys().cloned().collect();
        members.iter().for_each(|member| self.reset_session(member));
        if rebalance {
            self.prepare();
        }
    }

    /// A member's session timer.
    pub(crate) fn session_expired(&mut self, member_id: &MemberId) {
        if self.group.pending_join.contains(member_id) {
            self.group.remove(member_id);
            return self.complete_join_when_last();
        }
        let Some(member) = self.group.members.get(member_id) else { return };
        if member.has_satisfied_heartbeat() {
            return;
        }
        self.drop_member(member_id);
        match self.group.state {
            ClassicState::Stable | ClassicState::CompletingRebalance => self.rebalance_or_complete_join(),
            ClassicState::PreparingRebalance => self.complete_join_when_last(),
            ClassicState::Empty | ClassicState::Dead => {}
        }
    }

    /// The one that was waited for is gone. Unlike after a join or a leave, the initial delay does not count.
    fn complete_join_when_last(&mut self) {
        if self.group.state == ClassicState::PreparingRebalance && self.group.has_all_members_joined() {
            self.complete_join();
        }
    }
}

impl<T: Debug> ClassicGroup<T> {
    /// The group is gone: whoever waits in it is told so.
    pub(crate) fn answer_all(&mut self, error: &GroupError, out: &mut Outcome<GroupShard<T>>) {
        let members: Vec<MemberId> = self.members.keys().cloned().collect();
        for member in members {
            if let Some(token) = self.take_join(&member) {
                let response = JoinResponse::error(member.clone(), error.clone());
                out.reply_now(token, GroupResponse::Join(response));
            }
            if let Some(token) = self.take_sync(&member) {
                out.reply_now(token, GroupResponse::Sync(SyncResponse::error(error.clone())));
            }
        }
    }
}
