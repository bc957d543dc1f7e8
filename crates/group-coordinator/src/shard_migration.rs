//! Groups that change between the protocols while they have members, and classic members of consumer groups.

use std::fmt::Debug;
use std::sync::Arc;

use ottla_coordinator::Outcome;
use ottla_model::Now;

use crate::classic::{
    ClassicGroup, HeartbeatRequest, JoinRequest, JoinResponse, LeaveRequest, LeaveResponse, SyncRequest,
    SyncResponse,
};
use crate::consumer::{self, ConsumerGroup, ConsumerGroupError, Downgrade, Upgrade};
use crate::error::GroupError;
use crate::ids::GroupId;
use crate::records::GroupRecord;
use crate::response::GroupResponse;
use crate::shard::{Group, GroupShard};

/// What a downgrade leaves: the classic group, and the records that make it one.
#[derive(Debug)]
pub(crate) struct Downgraded<T> {
    group: ClassicGroup<T>,
    records: Vec<GroupRecord>,
    rebalance: bool,
}

impl<T: Debug> GroupShard<T> {
    /// A consumer group that has members.
    pub(crate) fn live_consumer_group(&self, id: &GroupId) -> Option<Arc<ConsumerGroup>> {
        match self.groups.get(id)? {
            Group::Consumer(group) if !group.is_empty() => Some(Arc::clone(group)),
            _ => None,
        }
    }

    pub(crate) fn context(&mut self, now: Now, id: &GroupId) -> consumer::Context<'_> {
        consumer::Context {
            now,
            topics: &*self.topics,
            settings: self.consumer_settings.of(id),
            hashes: &mut self.hashes,
        }
    }

    /// A classic group with members as a consumer group, before the request that asks for it. Whoever waits in it is
    /// sent back, even if the request is then refused.
    pub(crate) fn upgrade(
        &mut self,
        now: Now,
        id: &GroupId,
        out: &mut Outcome<Self>,
    ) -> Result<Upgrade, ConsumerGroupError> {
        let gone = || ConsumerGroupError::GroupNotFound(id.clone());
        let mut group = self.classic.remove(id).ok_or_else(gone)?;
        let context = &mut self.context(now, id);
        let upgraded = consumer::check_upgrade(&group, context).and_then(|()| {
            group.answer_all(&GroupError::RebalanceInProgress, out);
            consumer::upgrade(&group, context)
        });
        // It is gone with its tombstone, not before.
        self.classic.insert(id.clone(), group);
        upgraded
    }

    /// The sessions of the members that an upgrade has brought along.
    pub(crate) fn schedule_classic_sessions(&mut self, now: Now, group: &ConsumerGroup) {
        for member in group.members().values() {
            self.command_timer(now, consumer::classic_session_timer(group, member));
        }
    }

    /// Works out a downgrade; nothing has changed yet.
    pub(crate) fn downgrade(
        &self,
        now: Now,
        id: &GroupId,
        downgrade: Option<&Downgrade>,
    ) -> Result<Option<Downgraded<T>>, ConsumerGroupError> {
        let (Some(downgrade), Some(group)) = (downgrade, self.live_consumer_group(id)) else {
            return Ok(None);
        };
        let mut records = match &downgrade.joining {
            None => consumer::tombstones(&group),
            Some(joining) => consumer::tombstones_after_replacing(&group, joining),
        };
        let classic = ClassicGroup::downgraded(&group, downgrade, &*self.topics, now.wall)
            .map_err(|reason| ConsumerGroupError::DowngradeMalformed { group_id: id.clone(), reason })?;
        records.push(classic.to_present_record());
        Ok(Some(Downgraded { group: classic, records, rebalance: downgrade.rebalance }))
    }

    /// Makes the group a classic one. The timers of its consumer members find no such group and do nothing; they are
    /// there still if the records cannot be stored.
    pub(crate) fn apply_downgrade(&mut self, now: Now, downgraded: Downgraded<T>, out: &mut Outcome<Self>) {
        let Downgraded { group, records, rebalance } = downgraded;
        let id = group.id().clone();
        out.records(records);
        self.classic.insert(id.clone(), group);
        if let Some(mut group) = self.rebalance(now, &id, out) {
            group.downgraded(rebalance);
        }
    }

    pub(crate) fn join_consumer_group(
        &mut self,
        now: Now,
        group: &ConsumerGroup,
        request: &JoinRequest,
        token: T,
        out: &mut Outcome<Self>,
    ) {
        let id = group.group_id();
        let joined = consumer::join(group, request, &mut self.context(now, id));
        let joined = joined.and_then(|outcome| {
            let response = outcome.response.clone();
            self.apply_consumer(now, id, outcome, out)
                .map_err(|_| GroupError::GroupIdNotFound(id.clone()))?;
            Ok(response)
        });
        match joined {
            Ok(response) => out.reply(token, GroupResponse::Join(response)),
            Err(refusal) => {
                let response = JoinResponse::error(refusal.member_id, refusal.error);
                out.reply_now(token, GroupResponse::Join(response));
            }
        }
    }

    pub(crate) fn sync_consumer_group(
        &mut self,
        now: Now,
        group: &ConsumerGroup,
        request: &SyncRequest,
        token: T,
        out: &mut Outcome<Self>,
    ) {
        let outcome = consumer::sync(group, request, &self.context(now, group.group_id()));
        let response = outcome.response.clone().unwrap_or_else(SyncResponse::error);
        self.apply_timers(now, group.group_id(), outcome, out);
        out.reply(token, GroupResponse::Sync(response));
    }

    pub(crate) fn heartbeat_consumer_group(
        &mut self,
        now: Now,
        group: &ConsumerGroup,
        request: &HeartbeatRequest,
        out: &mut Outcome<Self>,
    ) -> Result<(), GroupError> {
        let outcome = consumer::classic_heartbeat(group, request);
        let result = outcome.response.clone();
        self.apply_timers(now, group.group_id(), outcome, out);
        result
    }

    pub(crate) fn leave_consumer_group(
        &mut self,
        now: Now,
        group: &ConsumerGroup,
        request: LeaveRequest,
        out: &mut Outcome<Self>,
    ) -> LeaveResponse {
        let id = group.group_id();
        let outcome = consumer::leave(group, request.members, &mut self.context(now, id));
        let left = outcome.response.clone();
        let applied = self.apply_consumer(now, id, outcome, out);
        LeaveResponse(applied.map(|()| left).map_err(|_| GroupError::GroupIdNotFound(id.clone())))
    }
}
