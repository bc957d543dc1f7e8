//! Static voters become dynamic ones: an administrator raises `kraft.version`, and trouble comes in the midst of it.

use ottla_controller::{FeatureUpdate, FeatureUpgrade, UpdateFeatures};
use ottla_metadata::KRAFT_VERSION;
use ottla_storage::Seeded;
use tokio::time::timeout;

use super::faults::PATIENCE;
use super::plan::{Fault, Whom, address, index};
use super::world::{Event, World};
use crate::message::Address;

/// Under which no kept seed has any.
const RAISES: u64 = 0x07;
/// The same of those that are struck.
const STRIKES: u64 = 0x58;
/// How often it is looked whether the leader has begun to write, a millisecond apart.
const LOOKS: u64 = 200;

/// What happens once the leader has the entry that names the voters in its log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strike {
    blow: Blow,
    after_ms: u64,
    for_ms: u64,
    seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blow {
    Kill,
    PowerCut,
    PowerCutOfAll,
    /// Before that: nobody hears of the leader any more, once it has asked the voters for their directories.
    Mute,
}

/// An administrator who makes static voters dynamic ones, and tries it again, and in one of three such worlds goes on to change them.
pub(super) fn raises(
    seed: u64,
    first_id: Address,
    controllers: Address,
    trouble_ms: u64,
) -> Vec<(u64, Fault)> {
    let chance = &mut Seeded::new(seed ^ RAISES);
    let tries = [0, 0, 0, 1, 3, 6][index(chance.below(6))];
    let changes = if tries > 0 && chance.below(3) == 0 { 1 + chance.below(3) } else { 0 };
    let at = |from: u64, chance: &mut Seeded| from + chance.below(trouble_ms - from);
    let raises = (0..tries).map(|_| (at(300, chance), Fault::RaiseKraftVersion)).collect::<Vec<_>>();
    let first = raises.iter().map(|(at, _)| *at).min().unwrap_or(300);
    let change = |_| {
        let node = first_id + address(chance.below(u64::from(controllers.unsigned_abs())));
        let whom = if chance.below(2) == 0 { Whom::Leader } else { Whom::Node(node) };
        let adds = chance.below(2) == 0;
        (at(first, chance), if adds { Fault::AddVoter { node } } else { Fault::RemoveVoter { whom } })
    };
    let changes: Vec<_> = (0..changes).map(change).collect();
    raises.into_iter().chain(changes).collect()
}

/// Where there are no others.
pub(super) fn struck_raise(seed: u64, trouble_ms: u64) -> Vec<(u64, Fault)> {
    let chance = &mut Seeded::new(seed ^ STRIKES);
    if chance.below(2) == 0 || !raises(seed, 1, 1, trouble_ms).is_empty() {
        return Vec::new();
    }
    let at = 500 + chance.below(trouble_ms - 500);
    let blow = [Blow::Kill, Blow::PowerCut, Blow::PowerCutOfAll, Blow::Mute][index(chance.below(4))];
    let (after_ms, for_ms) = (chance.below(7), 100 + chance.below(1_500));
    let struck = Fault::StruckRaise(Strike { blow, after_ms, for_ms, seed: chance.bits() });
    let again =
        (chance.below(4) == 0).then(|| (at + chance.below(trouble_ms - at), Fault::RaiseKraftVersion));
    [(at, struck)].into_iter().chain(again).collect()
}

impl World {
    pub(super) fn raise_kraft_version(&self) {
        let Some((id, _, controller)) = self.common.lock().active() else { return };
        let common = self.common.clone();
        tokio::spawn(async move {
            let feature = KRAFT_VERSION.to_owned();
            let update = FeatureUpdate { feature, level: 1, upgrade: Some(FeatureUpgrade::Upgrade) };
            let request = UpdateFeatures { updates: vec![update], validate_only: false };
            let raised = timeout(PATIENCE, controller.update_features(request)).await;
            let mut shared = common.lock();
            shared.tell(|| format!("kraft.version is raised by node {id}: {raised:?}"));
            if matches!(raised, Ok(Ok(Ok(())))) {
                shared.counts.add("quorum: kraft.version raised");
                shared.ledger.raised = true;
            }
        });
    }

    pub(super) fn struck_raise(&mut self, strike: Strike) {
        let Some(leader) = self.whom(Whom::Leader) else { return };
        self.raise_kraft_version();
        let event = match strike.blow {
            Blow::Mute => Event::Blow { leader, strike },
            _ => Event::Strike { leader, strike, looks: LOOKS },
        };
        self.later(1, event);
    }

    /// Looks whether the moment has come.
    pub(super) fn strike(&mut self, leader: Address, strike: Strike, looks: u64) {
        let is_written = {
            let shared = self.common.lock();
            shared.there.get(&leader).is_some_and(|there| there.peers.is_dynamic())
        };
        if is_written {
            self.later(strike.after_ms, Event::Blow { leader, strike });
        } else if looks > 0 {
            self.later(1, Event::Strike { leader, strike, looks: looks - 1 });
        }
    }

    pub(super) fn blow(&mut self, leader: Address, strike: Strike) {
        let Strike { blow, for_ms, seed, .. } = strike;
        if self.healing {
            return;
        }
        {
            let mut shared = self.common.lock();
            shared.tell(|| format!("FAULT {blow:?} of {leader}"));
            shared.counts.add("quorum: blow in a raise");
        }
        match blow {
            Blow::Kill => {
                self.end(leader);
                self.later(for_ms, Event::Start(leader));
                self.tell_of_death(leader);
            }
            Blow::PowerCut => self.power_cut(leader, seed, for_ms),
            Blow::PowerCutOfAll => self.power_cut_of_all(seed, for_ms),
            Blow::Mute => {
                let others: Vec<Address> = self.nodes.keys().copied().collect();
                others.into_iter().for_each(|other| self.cut(leader, other, for_ms));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::{Plan, Shape};
    use super::*;
    use crate::world::Tells;

    #[test]
    fn a_blow_meets_its_moment() {
        let seeds = (3..).step_by(3).filter(|seed| Plan::of(*seed).shape == Shape::Static);
        for (seed, blow) in seeds.zip([Blow::Kill, Blow::PowerCut, Blow::PowerCutOfAll, Blow::Mute]) {
            let mut plan = Plan::of(seed);
            let strike = Strike { blow, after_ms: 2, for_ms: 300, seed };
            (plan.controllers, plan.observers, plan.trouble_ms) = (3, 0, 4_000);
            plan.starts = (1..=3).map(|id| (id, 0)).collect();
            plan.faults = [2_000, 2_600, 3_200].map(|at| (at, Fault::StruckRaise(strike))).into();
            let outcome = super::super::live(plan, Tells::Story);
            assert_eq!(outcome.result, Ok(()), "{blow:?}");
            let blows = outcome.counts.of("quorum: blow in a raise");
            assert!(blows > 0, "{blow:?}: {:#?}", outcome.story);
        }
    }
}
