//! The requests of classic members, led to their groups.

use std::fmt::Debug;

use ottla_coordinator::{Outcome, WriteError};
use ottla_model::Now;

use crate::classic::{
    ClassicGroup, Completion, HeartbeatRequest, JoinRequest, JoinResponse, LeaveRequest, LeaveResponse,
    LeftMember, SyncRequest, SyncResponse,
};
use crate::error::GroupError;
use crate::response::GroupResponse;
use crate::shard::{Group, GroupShard};

impl<T: Debug> GroupShard<T> {
    pub fn join_group(&mut self, now: Now, request: JoinRequest, token: T, out: &mut Outcome<Self>) {
        if self.precedes_group(&request).is_none()
            && let Some(group) = self.live_consumer_group(&request.group)
        {
            return self.join_consumer_group(now, &group, &request, token, out);
        }
        let refusal = self.refuse_join(&request);
        if let Some((member, error)) = refusal {
            return out.reply_now(token, GroupResponse::Join(JoinResponse::error(member, error)));
        }
        let id = request.group.clone();
        if matches!(self.groups.get(&id), Some(Group::Consumer(_))) {
            // An empty consumer group becomes a classic one.
            let tombstones = self.group_tombstones(&id);
            out.records(tombstones);
        }
        let is_new = !self.classic.contains_key(&id);
        self.classic.entry(id.clone()).or_insert_with(|| ClassicGroup::new(id.clone(), Some(now.wall)));
        if let Some(mut group) = self.rebalance(now, &id, out) {
            group.join(request, token);
        }
        // Groups exist by their records: from here on it can be listed, and is undone if this cannot be stored.
        if let Some(group) = self.classic.get(&id).filter(|_| is_new) {
            out.record(group.to_initial_record());
        }
    }

    fn refuse_join(&self, request: &JoinRequest) -> Option<(crate::MemberId, GroupError)> {
        let error = self.precedes_group(request).or_else(|| match self.groups.get(&request.group) {
            None | Some(Group::Consumer(_)) if !request.member_id.is_empty() => {
                Some(GroupError::UnknownMemberId)
            }
            _ => None,
        });
        error.map(|error| (request.member_id.clone(), error))
    }

    /// What is wrong with a join whatever its group is.
    fn precedes_group(&self, request: &JoinRequest) -> Option<GroupError> {
        let session = self.config.min_session_timeout_ms..=self.config.max_session_timeout_ms;
        if request.group.is_empty() {
            return Some(GroupError::InvalidGroupId);
        }
        (!session.contains(&request.session_timeout_ms)).then_some(GroupError::InvalidSessionTimeout)
    }

    pub fn sync_group(&mut self, now: Now, request: SyncRequest, token: T, out: &mut Outcome<Self>) {
        if request.group.is_empty() {
            let response = SyncResponse::error(GroupError::InvalidGroupId);
            return out.reply_now(token, GroupResponse::Sync(response));
        }
        if let Some(group) = self.live_consumer_group(&request.group) {
            return self.sync_consumer_group(now, &group, &request, token, out);
        }
        let known = self.classic.get(&request.group).is_some_and(|group| !group.is_empty());
        match self.rebalance(now, &request.group.clone(), out) {
            Some(mut group) if known => group.sync(request, token),
            _ => {
                let response = SyncResponse::error(GroupError::UnknownMemberId);
                out.reply_now(token, GroupResponse::Sync(response));
            }
        }
    }

    pub fn heartbeat(&mut self, now: Now, request: &HeartbeatRequest, token: T, out: &mut Outcome<Self>) {
        let result = if request.group.is_empty() {
            Err(GroupError::InvalidGroupId)
        } else if let Some(group) = self.live_consumer_group(&request.group) {
            self.heartbeat_consumer_group(now, &group, request, out)
        } else {
            match self.rebalance(now, &request.group, out) {
                Some(mut group) => group.heartbeat(request),
                None => Err(GroupError::UnknownMemberId),
            }
        };
        out.reply(token, GroupResponse::Heartbeat(result));
    }

    pub fn leave_group(&mut self, now: Now, request: LeaveRequest, token: T, out: &mut Outcome<Self>) {
        let response = if request.group.is_empty() {
            LeaveResponse(Err(GroupError::InvalidGroupId))
        } else if let Some(group) = self.live_consumer_group(&request.group) {
            self.leave_consumer_group(now, &group, request, out)
        } else {
            match self.rebalance(now, &request.group, out) {
                Some(mut group) => LeaveResponse(Ok(group.leave(request.members))),
                None => {
                    let unknown = request.members.into_iter().map(|m| LeftMember {
                        member_id: m.member_id,
                        instance_id: m.instance_id,
                        error: Some(GroupError::UnknownMemberId),
                    });
                    LeaveResponse(Ok(unknown.collect()))
                }
            }
        };
        out.reply(token, GroupResponse::Leave(response));
    }

    pub(crate) fn classic_completed(
        &mut self,
        completion: Completion<T>,
        result: Result<(), WriteError>,
        now: Now,
        out: &mut Outcome<Self>,
    ) {
        let result = result.map_err(GroupError::Write);
        match completion {
            Completion::Synced { group, generation, assignment } => {
                if let Some(mut group) = self.rebalance(now, &group, out) {
                    group.assignment_stored(generation, assignment, result);
                }
            }
            Completion::Replaced(replacement) => {
                let Some(mut group) = self.rebalance(now, &replacement.group.clone(), out) else {
                    let response =
                        JoinResponse::error(crate::MemberId::default(), GroupError::UnknownMemberId);
                    return out.reply_now(replacement.token, GroupResponse::Join(response));
                };
                match result {
                    Ok(()) => group.replaced(*replacement),
                    Err(error) => group.not_replaced(*replacement, error),
                }
            }
        }
    }
}
