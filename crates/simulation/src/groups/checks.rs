//! What coordinators may not say, whatever happens: kept over all groups and epochs.

use std::collections::{BTreeMap, BTreeSet};

use ottla_group_coordinator::classic::JoinResponse;
use ottla_group_coordinator::{GroupId, MemberId};
use ottla_model::LeaderEpoch;

use super::consumer::SESSION_MS;
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
    /// When a coordinator of a partition in an epoch was last heard of: it may have been deposed, and not know it.
    spoke: BTreeMap<(i32, LeaderEpoch), u64>,
    /// KIP-848.
    members: BTreeMap<(GroupId, Address), Holder>,
    epochs: BTreeMap<(GroupId, MemberId), (LeaderEpoch, i32)>,
}

/// What a member of a consumer group has.
#[derive(Debug, Default)]
struct Holder {
    owned: BTreeSet<i32>,
    /// When the heartbeat was sent that a coordinator of that epoch has answered last.
    heard: BTreeMap<LeaderEpoch, u64>,
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
        self.members.entry((group.clone(), member)).or_default().owned.clone_from(owned);
    }

    /// A coordinator has answered somebody something.
    pub(super) fn spoke(&mut self, index: i32, epoch: LeaderEpoch, now: u64) {
        self.spoke.insert((index, epoch), now);
    }

    /// A coordinator has answered its heartbeat.
    pub(super) fn lives(&mut self, group: &GroupId, member: Address, said: Said) {
        let holder = self.members.entry((group.clone(), member)).or_default();
        holder.heard.insert(said.epoch, said.asked_at);
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

    /// Nobody else may own what this member owns, unless its session has run out: a coordinator knows each member that an
    /// earlier one has answered, and gives it a session from when it begins to serve. One that stood still, and was deposed, may let
    /// members go when it goes on; if it is to lead again before it has heard of that, its log says so.
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
            let lives_until = heard.max(said.since) + SESSION_MS;
            let last = holder.heard.values().max().copied().unwrap_or(0);
            let earlier = self.spoke.range((said.index, LeaderEpoch(0))..(said.index, said.epoch));
            let was_let_go = earlier.map(|(_, at)| *at).any(|at| at >= last + SESSION_MS);
            let was_known =
                !was_let_go && holder.heard.keys().next().is_some_and(|first| *first <= said.epoch);
            if of == group && *other != member && was_known && said.now < lives_until {
                let what = format!(
                    "{group}: {shared} is {name}'s and {other}'s, which lives until {lives_until} ms"
                );
                return Err(Violation::new("a partition is released before it has a new owner", what));
            }
        }
        Ok(())
    }
}
