//! The consumer protocol (KIP-848): one heartbeat for everything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_group_coordinator::consumer::{
    HeartbeatRequest, HeartbeatResponse, LEAVE_EPOCH, STATIC_LEAVE_EPOCH,
};
use ottla_group_coordinator::{ConsumerHeartbeatError, MemberId};

use super::checks::Checks;
use super::member::{Member, Said, named};
use super::past::Was;
use super::refusal::refusal;
use super::work;
use crate::counts::Counts;
use crate::ledger::Violation;

/// After so long without a heartbeat a member is out.
pub(crate) const SESSION_MS: u64 = 1_000;
/// After so long a member is out that was to release something and has not said so. Longer than a session: who is not heard of is out
/// before; but who is heard of may hear nothing itself, where nothing is committed.
pub(super) const REBALANCE_MS: i32 = 1_800;
/// A member takes up to so long to give a partition up.
const REVOKE_MS: u64 = 250;

#[derive(Clone, Debug)]
pub(super) struct Consumer {
    wanted: BTreeSet<i32>,
    /// What the coordinator was told last.
    told: Option<BTreeSet<i32>>,
    /// Something was lost: all is said again.
    full: bool,
    revoke_at: u64,
    incarnation: u32,
}

impl Default for Consumer {
    fn default() -> Self {
        Self { wanted: BTreeSet::new(), told: None, full: true, revoke_at: 0, incarnation: 0 }
    }
}

impl Consumer {
    pub(super) fn says_everything(&mut self) {
        self.full = true;
    }

    pub(super) fn owns_what_it_should(&self, owned: &BTreeSet<i32>) -> bool {
        self.wanted == *owned
    }
}

impl Member {
    pub(super) fn beat(&mut self, leaves: bool) -> HeartbeatRequest {
        let mut request = HeartbeatRequest {
            group_id: self.group.clone(),
            member_id: self.member_id.clone(),
            member_epoch: self.epoch,
            instance_id: self.instance.clone(),
            client_id: Arc::from("c"),
            client_host: Arc::from("/sim"),
            requires_member_id: true,
            ..HeartbeatRequest::default()
        };
        if leaves {
            request.member_epoch = if self.instance.is_some() { STATIC_LEAVE_EPOCH } else { LEAVE_EPOCH };
            self.abandon();
            self.consumer.incarnation += 1;
            let name = format!("member-{}-{}", self.caller.address, self.consumer.incarnation);
            self.member_id = MemberId::from(name);
            return request;
        }
        if self.consumer.full || self.consumer.told.as_ref() != Some(&self.owned) {
            let owned = self.owned.clone();
            let partitions = if owned.is_empty() { None } else { Some((work::TOPIC_ID, owned)) };
            request.owned = Some(partitions.into_iter().collect::<BTreeMap<_, _>>());
        }
        if self.consumer.full {
            request.rebalance_timeout_ms = Some(REBALANCE_MS);
            request.subscribed_topic_names = Some(vec![Arc::from(work::TOPIC)]);
        }
        self.consumer.told = Some(self.owned.clone());
        request
    }

    /// Gives up what is no longer wanted, and says so.
    pub(super) fn reconcile(&mut self, now: u64) {
        let unwanted = self.owned.iter().any(|partition| !self.consumer.wanted.contains(partition));
        if unwanted && now >= self.consumer.revoke_at {
            let wanted = &self.consumer.wanted;
            if let Some(partition) = self.owned.difference(wanted).next().copied() {
                self.past.leave_behind(Was { member: self.member_id.clone(), epoch: self.epoch, partition });
            }
            self.owned.retain(|partition| wanted.contains(partition));
            self.beat_at = 0;
        }
    }

    fn abandon(&mut self) {
        self.epoch = 0;
        self.owned.clear();
        self.consumer.wanted.clear();
        self.consumer.told = None;
        self.consumer.full = true;
    }

    pub(super) fn told_consumer(
        &mut self,
        result: &Result<HeartbeatResponse, ConsumerHeartbeatError>,
        said: Said,
        checks: &mut Checks,
        counts: &mut Counts,
    ) -> Result<(), Violation> {
        match result {
            Ok(response) => {
                counts.add("group: consumer heartbeat answered");
                checks.heard(&self.group, &self.member_id, response.member_epoch, said)?;
                self.epoch = response.member_epoch;
                self.past.is_now(&self.member_id, self.epoch, said.epoch);
                self.consumer.full = false;
                let wanted = response.assignment.as_ref();
                let wanted = wanted.map(|all| all.get(&work::TOPIC_ID).cloned().unwrap_or_default());
                let keeps = self.owned.is_subset(wanted.as_ref().unwrap_or(&self.consumer.wanted));
                checks.lives(&self.group, self.caller.address, said, keeps);
                let Some(wanted) = wanted else { return Ok(()) };
                counts.add("group: consumer member assigned");
                self.owned.extend(&wanted);
                self.consumer.wanted = wanted;
                self.consumer.revoke_at = said.now + self.caller.chance.below(REVOKE_MS);
                self.beat_at = 0;
                checks.holds(&self.group, self.caller.address, &self.owned);
                checks.is_alone(&self.group, self.caller.address, &named(self), &self.owned, said)
            }
            Err(ConsumerHeartbeatError::Coordinator(error)) => {
                counts.add(refusal(error));
                self.refused(&error.clone(), said.now);
                Ok(())
            }
            Err(ConsumerHeartbeatError::Group(_)) => {
                counts.add("group: consumer member fenced");
                self.abandon();
                checks.holds(&self.group, self.caller.address, &self.owned);
                Ok(())
            }
        }
    }
}
