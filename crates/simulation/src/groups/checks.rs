//! What coordinators may not say, whatever happens: kept over all groups and epochs.

use std::collections::{BTreeMap, BTreeSet};

use ottla_group_coordinator::classic::JoinResponse;
use ottla_group_coordinator::{GroupId, MemberId};
use ottla_model::LeaderEpoch;

use super::consumer::{REBALANCE_MS, SESSION_MS};
use super::member::Said;
use super::statics::person;
use super::track::Track;
use crate::ledger::Violation;
use crate::message::Address;

#[derive(Debug, Default)]
pub(crate) struct Checks {
    /// By group and partition of what members share.
    tracks: BTreeMap<(GroupId, i32), Track>,
    /// Classic: who was assigned a partition in a generation.
    assigned: BTreeMap<(GroupId, i32, i32), MemberId>,
    /// Classic: who leads a generation, by the epoch of the coordinator: what is not stored yet another one does not know.
    leaders: BTreeMap<(GroupId, LeaderEpoch, i32), MemberId>,
    /// Classic: the last generation that a member was assigned something in, and so is stored, and who said so.
    generations: BTreeMap<(GroupId, MemberId), (LeaderEpoch, i32)>,
    /// When a coordinator of a partition in an epoch was at work: it may have been deposed, and not know it.
    tenures: BTreeMap<(i32, LeaderEpoch), Tenure>,
    /// KIP-848.
    members: BTreeMap<(GroupId, Address), Holder>,
    epochs: BTreeMap<(GroupId, MemberId), (LeaderEpoch, i32)>,
}

/// What a member of a consumer group has.
#[derive(Debug, Default)]
struct Holder {
    owned: BTreeSet<i32>,
    /// When the heartbeat was sent that a coordinator of that epoch has answered last, since it last owned nothing.
    heard: BTreeMap<LeaderEpoch, u64>,
    /// When the last heartbeat was sent whose answer left it all that it owned.
    kept_at: u64,
}

/// From when to when a coordinator is known to have served, heard of or not.
#[derive(Clone, Copy, Debug)]
struct Tenure {
    since: u64,
    until: u64,
}

impl Checks {
    pub(super) fn track(&mut self, group: &GroupId, partition: i32) -> &mut Track {
        self.tracks.entry((group.clone(), partition)).or_default()
    }

    pub(super) fn tracks(&mut self) -> impl Iterator<Item = (&(GroupId, i32), &mut Track)> {
        self.tracks.iter_mut()
    }

    /// A classic member has joined: a generation has one leader, and what is stored is followed by later ones.
    pub(super) fn joined(
        &mut self,
        group: &GroupId,
        epoch: LeaderEpoch,
        joined: &JoinResponse,
    ) -> Result<(), Violation> {
        let key = (group.clone(), epoch, joined.generation);
        let leads = person(&joined.leader);
        let leader = self.leaders.entry(key).or_insert_with(|| leads.clone());
        if *leader != leads {
            let what = format!("{group}: {leader} and {} lead {}", joined.leader, joined.generation);
            return Err(Violation::new("one leader in a generation", what));
        }
        let stored = self.generations.get(&(group.clone(), joined.member_id.clone()));
        match stored.filter(|stored| epoch >= stored.0 && joined.generation < stored.1) {
            None => Ok(()),
            Some(stored) => {
                let what = format!(
                    "{group}: {} was in {stored:?}, then in {} in {epoch}",
                    joined.member_id, joined.generation
                );
                Err(Violation::new("a generation does not go back", what))
            }
        }
    }

    /// A classic member was told what it shall own: what is told is stored, and each partition has one owner in a generation.
    pub(super) fn assigned(
        &mut self,
        group: &GroupId,
        generation: i32,
        member: &MemberId,
        epoch: LeaderEpoch,
        partitions: &BTreeSet<i32>,
    ) -> Result<(), Violation> {
        self.generations.insert((group.clone(), member.clone()), (epoch, generation));
        for partition in partitions {
            let key = (group.clone(), generation, *partition);
            let owner = self.assigned.entry(key).or_insert_with(|| person(member));
            if *owner != person(member) {
                let what = format!("{group}: {partition} is {owner}'s and {member}'s in {generation}");
                return Err(Violation::new("a partition has one owner in a generation", what));
            }
        }
        Ok(())
    }

    /// What a member of a consumer group owns from now on.
    pub(super) fn holds(&mut self, group: &GroupId, member: Address, owned: &BTreeSet<i32>) {
        let holder = self.members.entry((group.clone(), member)).or_default();
        holder.owned.clone_from(owned);
        if owned.is_empty() {
            // It may have left, and be another member from now on.
            holder.heard.clear();
        }
    }

    /// A coordinator that began to serve then has just been at work.
    pub(super) fn works(&mut self, index: i32, epoch: LeaderEpoch, since: u64, now: u64) {
        self.tenures.insert((index, epoch), Tenure { since, until: now });
    }

    /// A coordinator has answered its heartbeat, and leaves it all that it has, or not.
    pub(super) fn lives(&mut self, group: &GroupId, member: Address, said: Said, keeps: bool) {
        let holder = self.members.entry((group.clone(), member)).or_default();
        holder.heard.insert(said.epoch, said.asked_at);
        if keeps {
            holder.kept_at = said.asked_at;
        }
    }

    /// Member epochs do not go back, unless somebody answers who is deposed.
    pub(super) fn heard(
        &mut self,
        group: &GroupId,
        member: &MemberId,
        member_epoch: i32,
        said: Said,
    ) -> Result<(), Violation> {
        let last = self.epochs.entry((group.clone(), member.clone())).or_insert((said.epoch, member_epoch));
        if said.epoch >= last.0 {
            if member_epoch < last.1 {
                let what =
                    format!("{group}: {member} was in {last:?}, then in {member_epoch} in {}", said.epoch);
                return Err(Violation::new("a member's epoch does not go back", what));
            }
            *last = (said.epoch, member_epoch);
        }
        Ok(())
    }

    /// Nobody else may own what this member owns, unless its session has run out, or its time to release it: a coordinator knows each
    /// member that it or an earlier one has answered, and gives it a session from when it begins to serve.
    pub(super) fn is_alone(
        &self,
        group: &GroupId,
        member: Address,
        name: &str,
        owned: &BTreeSet<i32>,
        said: Said,
    ) -> Result<(), Violation> {
        for ((of, other), holder) in &self.members {
            let Some(shared) = holder.owned.intersection(owned).next() else { continue };
            let heard = holder.heard.range(said.epoch..).map(|(_, at)| *at).max().unwrap_or(0);
            let releases_until = holder.kept_at + u64::from(REBALANCE_MS.unsigned_abs());
            let lives_until = (heard.max(said.since) + SESSION_MS).min(releases_until);
            if of == group && *other != member && said.now < lives_until && self.is_known(holder, said) {
                let what = format!(
                    "{group}: {shared} is {name}'s and {other}'s, which lives until {lives_until} ms"
                );
                return Err(Violation::new("a partition is released before it has a new owner", what));
            }
        }
        Ok(())
    }

    /// Whether a coordinator must know that member. What an earlier one has answered is in its log, and so is that one has let the
    /// member go: it may, once it has not heard of it for a session, and if it is deposed and deaf it hears of nobody. What it writes
    /// then counts if it leads again before it has heard of who led meanwhile.
    fn is_known(&self, holder: &Holder, said: Said) -> bool {
        let Some(first) = holder.heard.keys().next().filter(|first| **first <= said.epoch) else {
            return false;
        };
        if holder.heard.contains_key(&said.epoch) {
            return true;
        }
        let mut earlier = self.tenures.range((said.index, *first)..(said.index, said.epoch));
        !earlier.any(|((_, epoch), tenure)| {
            let heard = holder.heard.get(epoch).map_or(tenure.since, |heard| tenure.since.max(*heard));
            tenure.until.min(said.since) >= heard + SESSION_MS
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: &str = "consumer";
    const ONE: LeaderEpoch = LeaderEpoch(1);
    const THREE: LeaderEpoch = LeaderEpoch(3);

    /// A coordinator that has served since then answers a heartbeat that was just sent.
    fn said(epoch: LeaderEpoch, since: u64, now: u64) -> Said {
        Said { index: 0, epoch, since, asked_at: now, now }
    }

    /// Member 1 owns a partition, and a coordinator of epoch 1, there since the beginning, has last answered it then.
    fn owned(heard_at: u64) -> Checks {
        let mut checks = Checks::default();
        checks.lives(&GROUP.into(), 1, said(ONE, 0, heard_at), true);
        checks.holds(&GROUP.into(), 1, &[0].into());
        checks.works(0, ONE, 0, heard_at);
        checks
    }

    fn gives_to_another(checks: &Checks, said: Said) -> bool {
        checks.is_alone(&GROUP.into(), 2, "the other", &[0].into(), said).is_ok()
    }

    #[test]
    fn a_member_keeps_what_it_has_for_a_session_from_whoever_has_heard_of_it() {
        let checks = owned(500);
        assert!(!gives_to_another(&checks, said(ONE, 0, 500 + SESSION_MS - 1)));
        assert!(gives_to_another(&checks, said(ONE, 0, 500 + SESSION_MS)));
        assert!(!gives_to_another(&checks, said(THREE, 600, 600 + SESSION_MS - 1)), "it is in the log");
        assert!(gives_to_another(&checks, said(THREE, 600, 600 + SESSION_MS)));
    }

    #[test]
    fn a_member_that_does_not_release_what_it_should_is_out_at_last() {
        let mut checks = owned(500);
        let until = 500 + u64::from(REBALANCE_MS.unsigned_abs());
        checks.lives(&GROUP.into(), 1, said(ONE, 0, until - 100), false);
        assert!(!gives_to_another(&checks, said(ONE, 0, until - 1)));
        assert!(gives_to_another(&checks, said(ONE, 0, until)));
    }

    #[test]
    fn who_is_deposed_and_deaf_may_let_a_member_go_and_lead_again() {
        let mut checks = owned(500);
        checks.lives(&GROUP.into(), 1, said(LeaderEpoch(2), 600, 1_900), true);
        let again = said(THREE, 2_000, 2_001);
        assert!(!gives_to_another(&checks, again));
        checks.works(0, ONE, 0, 500 + SESSION_MS - 1);
        assert!(!gives_to_another(&checks, again), "nor did it wait for a session");
        checks.works(0, ONE, 0, 500 + SESSION_MS);
        assert!(gives_to_another(&checks, again));
        assert!(!gives_to_another(&checks, said(THREE, 1_400, 1_401)), "it led again before");
        checks.lives(&GROUP.into(), 1, again, true);
        assert!(!gives_to_another(&checks, again), "whoever answers a member knows it");
    }

    #[test]
    fn who_has_left_and_comes_again_is_known_to_whoever_has_heard_of_it_since() {
        let mut checks = owned(500);
        checks.holds(&GROUP.into(), 1, &BTreeSet::new());
        checks.lives(&GROUP.into(), 1, said(THREE, 600, 700), true);
        checks.holds(&GROUP.into(), 1, &[0].into());
        assert!(gives_to_another(&checks, said(LeaderEpoch(2), 550, 701)));
        assert!(!gives_to_another(&checks, said(THREE, 600, 701)));
    }
}
