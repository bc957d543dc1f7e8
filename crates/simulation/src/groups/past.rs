//! What a member was: an earlier process of a static one, an earlier generation, an earlier epoch. It may still be on its way, and
//! commits nothing any more.

use ottla_group_coordinator::{GroupResponse, MemberId};
use ottla_model::LeaderEpoch;
use ottla_storage::Seeded;

use super::ask::GroupAsk;
use super::caller::TIMEOUT_MS;
use super::checks::Checks;
use super::member::{Member, Said, What};
use super::work;
use crate::counts::Counts;
use crate::ledger::Violation;

/// Of so many chances to commit as it was a member takes one.
const IN: u64 = 4;

#[derive(Debug)]
pub(super) struct Past {
    /// Its own, so that the member does what it would do without.
    chance: Seeded,
    was: Option<Was>,
    /// Coordinators of that epoch and later ones know that it is over.
    over_in: Option<LeaderEpoch>,
}

#[derive(Clone, Debug)]
pub(super) struct Was {
    pub(super) member: MemberId,
    /// Generation or member epoch.
    pub(super) epoch: i32,
    pub(super) partition: i32,
}

impl Past {
    pub(super) fn new(chance: Seeded) -> Self {
        Self { chance, was: None, over_in: None }
    }

    /// Not any more; whoever coordinates need not know it yet.
    pub(super) fn leave_behind(&mut self, was: Was) {
        (self.was, self.over_in) = (Some(was), None);
    }

    pub(super) fn forget(&mut self) {
        (self.was, self.over_in) = (None, None);
    }

    /// A coordinator of `by` has stored that it is `member`, in `epoch`; a generation that was not stored may come to nothing.
    pub(super) fn is_now(&mut self, member: &MemberId, epoch: i32, by: LeaderEpoch) {
        let is_over = self.was.as_ref().is_some_and(|was| was.member != *member || was.epoch < epoch);
        if is_over && self.over_in.is_none() {
            self.over_in = Some(by);
        }
    }
}

impl Member {
    /// A commit as what it was, sometimes.
    pub(super) fn haunts(&mut self, checks: &mut Checks) -> Option<(What, u64, GroupAsk)> {
        let over_in = self.past.over_in?;
        if self.past.chance.below(IN) > 0 {
            return None;
        }
        self.past.over_in = None;
        let Was { member, epoch, partition } = self.past.was.take()?;
        let number = checks.track(&self.group, partition).issue(false);
        let member = (member, self.instance.clone());
        let request = work::commit(self.group.clone(), member, epoch, partition, number);
        Some((What::Haunt { over_in }, TIMEOUT_MS, GroupAsk::Commit(request)))
    }

    pub(super) fn told_haunt(
        &self,
        over_in: LeaderEpoch,
        response: &GroupResponse,
        said: Said,
        counts: &mut Counts,
    ) -> Result<(), Violation> {
        if work::written(response).is_some() {
            counts.add("group: commit of what is over refused");
        } else if said.epoch >= over_in {
            let what = format!("{}: {} by a coordinator in {}", self.group, self.member_id, said.epoch);
            return Err(Violation::new("what a member was commits nothing", what));
        }
        Ok(())
    }
}
