//! SyncGroup.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use bytes::Bytes;

use super::Completion;
use super::group::ClassicState;
use super::rebalance::Rebalance;
use super::request::{SyncRequest, SyncResponse};
use crate::error::GroupError;
use crate::ids::MemberId;
use crate::response::GroupResponse;
use crate::shard::TimerKey;

impl<T: Debug> Rebalance<'_, T> {
    /// A member asks for its assignment; the leader brings all.
    pub(crate) fn sync(&mut self, request: SyncRequest, token: T) {
        if let Err(error) = self.validate_sync(&request) {
            return self.out.reply_now(token, GroupResponse::Sync(SyncResponse::error(error)));
        }
        let member = request.member_id.clone();
        match self.group.state {
            ClassicState::CompletingRebalance => {
                self.park_sync(&member, token);
                self.sync_received(&member);
                if self.group.is_leader(&member) {
                    self.store_assignment(request);
                }
            }
            ClassicState::Stable => {
                self.sync_received(&member);
                let response = self.synced(&member);
                self.out.reply_now(token, GroupResponse::Sync(response));
            }
            ClassicState::Empty | ClassicState::PreparingRebalance | ClassicState::Dead => {
                let response = SyncResponse::error(GroupError::RebalanceInProgress);
                self.out.reply_now(token, GroupResponse::Sync(response));
            }
        }
    }

    fn validate_sync(&self, request: &SyncRequest) -> Result<(), GroupError> {
        self.group.validate_member(&request.member_id, request.instance_id.as_ref())?;
        if request.generation != self.group.generation {
            return Err(GroupError::IllegalGeneration);
        }
        // A group without a protocol yet takes any.
        let differs = |said: Option<&Arc<str>>, known: Option<&Arc<str>>| {
            said.is_some_and(|said| known.is_some_and(|known| said != known))
        };
        if differs(request.protocol_type.as_ref(), self.group.protocol_type.as_ref())
            || differs(request.protocol.as_ref(), self.group.protocol.as_ref())
        {
            return Err(GroupError::InconsistentGroupProtocol);
        }
        Ok(())
    }

    fn park_sync(&mut self, member: &MemberId, token: T) {
        let Some(member) = self.group.members.get_mut(member) else { return };
        if let Some(older) = member.awaiting_sync.replace(token) {
            let response = SyncResponse::error(GroupError::RebalanceInProgress);
            self.out.reply_now(older, GroupResponse::Sync(response));
        }
    }

    fn sync_received(&mut self, member: &MemberId) {
        self.group.pending_sync.remove(member);
        if self.group.pending_sync.is_empty() {
            self.timers.cancel(&TimerKey::ClassicSync(self.group.id.clone()));
        }
    }

    fn store_assignment(&mut self, request: SyncRequest) {
        let mut assignment: BTreeMap<MemberId, Bytes> = request.assignments.into_iter().collect();
        assignment.retain(|member, _| self.group.members.contains_key(member));
        let record = self.group.to_record(&assignment);
        self.out.record(record);
        let group = self.group.id.clone();
        let completion = Completion::Synced { group, generation: request.generation, assignment };
        self.out.on_completion(crate::shard::Completion::Classic(completion));
    }

    /// The leader's assignment is stored, or could not be.
    pub(crate) fn assignment_stored(
        &mut self,
        generation: i32,
        mut assignment: BTreeMap<MemberId, Bytes>,
        result: Result<(), GroupError>,
    ) {
        // Meanwhile the group may have moved on.
        if self.group.state != ClassicState::CompletingRebalance || generation != self.group.generation {
            return;
        }
        match result {
            Ok(()) => {
                for (id, member) in &mut self.group.members {
                    member.assignment = assignment.remove(id).unwrap_or_default();
                }
                self.answer_syncs(None);
                self.group.transition(ClassicState::Stable, self.now.wall);
            }
            Err(error) => {
                self.reset_assignment(&error);
                self.rebalance_or_complete_join();
            }
        }
    }
}
