//! What a seed makes of a world of controllers.

use ottla_controller::VoteWish;
use ottla_storage::Seeded;

use super::raise::{Strike, raises, struck_raise};
use crate::message::Address;

/// How the controllers find each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `controller.quorum.voters`.
    Static,
    /// `controller.quorum.bootstrap.servers`, with the addresses of all.
    Bootstrap(VoteWish),
    /// The first begins alone, and the others join it.
    Joined(VoteWish),
}

impl Shape {
    pub(crate) fn wish(self) -> Option<VoteWish> {
        match self {
            Self::Static => None,
            Self::Bootstrap(wish) | Self::Joined(wish) => Some(wish),
        }
    }
}

/// Under which no kept seed has any.
const LATER: u64 = 0x46;
/// What the seed is mixed with where there are brokers beside.
const BESIDE: u64 = 0x00be_51de;
/// And for the shape that those have.
const SHAPES: u64 = 0x0005_a9e0;
/// Before that they find a leader, and the brokers register.
const BEGIN_BESIDE_MS: u64 = 800;

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) shape: Shape,
    /// Controllers have the ids from there on, observers those after them.
    pub(crate) first: Address,
    pub(crate) controllers: Address,
    pub(crate) observers: Address,
    /// So many brokers of another world follow, with the ids from 1 on; 0: this one has brokers and clients of its own.
    pub(crate) followers: Address,
    pub(crate) election_ms: u64,
    pub(crate) segment_bytes: u64,
    pub(crate) snapshot_every_entries: u64,
    /// When each node starts.
    pub(crate) starts: Vec<(Address, u64)>,
    pub(crate) clients: u64,
    /// Between two requests of a client, on average.
    pub(crate) pause_ms: u64,
    /// By time.
    pub(crate) faults: Vec<(u64, Fault)>,
    pub(crate) trouble_ms: u64,
}

/// Whom a fault is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Whom {
    Node(Address),
    /// Whoever leads then.
    Leader,
}

#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// kill -9: the page cache survives.
    Kill {
        whom: Whom,
        down_ms: u64,
    },
    /// What was not synced may be lost.
    PowerCut {
        whom: Whom,
        down_ms: u64,
        seed: u64,
    },
    PowerCutOfAll {
        down_ms: u64,
        seed: u64,
    },
    /// After so many changes of its disk the next ones fail, and with the process goes the power.
    CutLater {
        whom: Whom,
        changes: u64,
        down_ms: u64,
        seed: u64,
    },
    /// In order: a leader hands over.
    Restart {
        whom: Whom,
        down_ms: u64,
    },
    /// A new, empty disk in the old one's place.
    EmptyDisk {
        node: Address,
        down_ms: u64,
    },
    Cut {
        from: Address,
        to: Address,
        both: bool,
        for_ms: u64,
    },
    Isolate {
        whom: Whom,
        for_ms: u64,
    },
    /// Others take the leader for dead, so many times.
    FalseAlarms {
        times: u64,
        every_ms: u64,
    },
    Loss {
        percent: u64,
        for_ms: u64,
    },
    Delay {
        up_to_ms: u64,
        for_ms: u64,
    },
    Repeat {
        percent: u64,
        for_ms: u64,
    },
    /// SIGSTOP, then SIGCONT: what it is sent meanwhile it serves when it goes on.
    Pause {
        whom: Whom,
        for_ms: u64,
    },
    /// Nothing on it grows.
    FullDisk {
        whom: Whom,
        for_ms: u64,
    },
    AddVoter {
        node: Address,
    },
    RemoveVoter {
        whom: Whom,
    },
    /// Of static voters: from then on the log says who votes.
    RaiseKraftVersion,
    /// The same, and a blow in the midst of it.
    StruckRaise(Strike),
}

impl Fault {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Kill { .. } => "quorum: kill",
            Self::PowerCut { .. } => "quorum: power cut",
            Self::PowerCutOfAll { .. } => "quorum: power cut of all",
            Self::CutLater { .. } => "quorum: power cut in the middle",
            Self::Restart { .. } => "quorum: clean restart",
            Self::EmptyDisk { .. } => "quorum: empty disk",
            Self::Cut { both: true, .. } => "quorum: cut",
            Self::Cut { both: false, .. } => "quorum: one-way cut",
            Self::Isolate { .. } => "quorum: isolated node",
            Self::FalseAlarms { .. } => "quorum: leader taken for dead",
            Self::Loss { .. } => "quorum: loss",
            Self::Delay { .. } => "quorum: delay",
            Self::Repeat { .. } => "quorum: repetition",
            Self::Pause { .. } => "quorum: pause",
            Self::FullDisk { .. } => "quorum: full disk",
            Self::AddVoter { .. } => "quorum: voter added",
            Self::RemoveVoter { .. } => "quorum: voter removed",
            Self::RaiseKraftVersion => "quorum: kraft.version to be raised",
            Self::StruckRaise(_) => "quorum: kraft.version to be raised under a blow",
        }
    }
}

impl Plan {
    pub(crate) fn of(seed: u64) -> Self {
        let chance = &mut Seeded::new(seed ^ 0x00c0_4700);
        let pick = |chance: &mut Seeded, from: &[u64]| from[index(chance.below(from.len() as u64))];
        let wish = wish(chance);
        let shape = match chance.below(8) {
            0..=4 => Shape::Static,
            5 | 6 => Shape::Bootstrap(wish),
            _ => Shape::Joined(wish),
        };
        let counts: &[u64] =
            if shape == Shape::Static { &[1, 3, 3, 3, 3, 4, 5, 7] } else { &[2, 3, 3, 4, 5] };
        let controllers = address(pick(chance, counts));
        let observers = address(chance.below(3));
        let starts = (1..=controllers + observers).map(|id| {
            let late = chance.below(6) == 0;
            (id, chance.below(if late { 2_500 } else { 120 }))
        });
        let starts = starts.collect();
        let trouble_ms = 1_500 + chance.below(6_000);
        let mut at = 300 + chance.below(1_500);
        let mut faults = Vec::new();
        while at < trouble_ms {
            faults.push((at, fault(shape, 1, (controllers, controllers + observers), chance)));
            // Often one trouble follows the other while the first is not over.
            at += match chance.below(3) {
                0 => chance.below(80),
                1 => chance.below(700),
                _ => 300 + chance.below(2_500),
            };
        }
        faults.extend(later_faults(seed, 1, controllers + observers, trouble_ms));
        if shape == Shape::Static {
            faults.extend(raises(seed, 1, controllers, trouble_ms));
            faults.extend(struck_raise(seed, trouble_ms));
        }
        faults.sort_by_key(|(at, _)| *at);
        Self {
            seed,
            shape,
            first: 1,
            controllers,
            observers,
            followers: 0,
            election_ms: pick(chance, &[120, 300, 300, 480]),
            segment_bytes: pick(chance, &[600, 2_000, 100_000]),
            snapshot_every_entries: pick(chance, &[5, 20, 1_000]),
            starts,
            clients: 1 + chance.below(4),
            pause_ms: 5 + chance.below(60),
            faults,
            trouble_ms,
        }
    }

    /// Whether the log may come to say who votes, in the place of the nodes' files.
    pub(crate) fn raises_kraft_version(&self) -> bool {
        let raises = |fault: &Fault| matches!(fault, Fault::RaiseKraftVersion | Fault::StruckRaise(_));
        self.faults.iter().any(|(_, fault)| raises(fault))
    }

    /// Controllers with ids from `first` on beside so many brokers: the trouble that they have meanwhile.
    pub(crate) fn beside(seed: u64, brokers: Address, first: Address, trouble_ms: u64) -> Self {
        let chance = &mut Seeded::new(seed ^ BESIDE);
        let shape = shape_beside(seed, first > brokers);
        let controllers = [3, 3, 3, 3, 1, 5][index(chance.below(6))].min(brokers);
        let mut at = BEGIN_BESIDE_MS + chance.below(1_500);
        let mut faults = Vec::new();
        while at < trouble_ms {
            let fault = match fault(shape, first, (controllers, controllers), chance) {
                Fault::Cut { from, both, for_ms, .. } if chance.below(2) == 0 => {
                    let broker = 1 + address(chance.below(u64::from(brokers.unsigned_abs())));
                    let (from, to) = if chance.below(2) == 0 { (from, broker) } else { (broker, from) };
                    Fault::Cut { from, to, both, for_ms }
                }
                fault => fault,
            };
            faults.push((at, fault));
            at += if chance.below(3) == 0 { chance.below(80) } else { 200 + chance.below(2_500) };
        }
        faults.extend(later_faults(seed, first, controllers, trouble_ms));
        if shape == Shape::Static {
            faults.extend(raises(seed, first, controllers, trouble_ms));
        }
        faults.sort_by_key(|(at, _)| *at);
        Self {
            seed,
            shape,
            first,
            controllers,
            observers: 0,
            followers: brokers,
            election_ms: [120, 300, 480][index(chance.below(3))],
            segment_bytes: [2_000, 100_000][index(chance.below(2))],
            snapshot_every_entries: [10, 40, 1_000][index(chance.below(3))],
            starts: (first..first + controllers).map(|id| (id, chance.below(60))).collect(),
            clients: 0,
            pause_ms: 0,
            faults,
            trouble_ms,
        }
    }

    /// The controllers' ids.
    pub(crate) fn ids(&self) -> std::ops::RangeInclusive<Address> {
        self.first..=self.first + self.controllers - 1
    }

    /// The same with one thing less, each in turn.
    pub(crate) fn smaller(&self) -> Vec<Self> {
        let without = |index: usize| {
            let mut plan = self.clone();
            plan.faults.remove(index);
            plan
        };
        let mut all: Vec<Self> = (0..self.faults.len()).rev().map(without).collect();
        let last = self.faults.last().map_or(1_000, |(at, _)| at + 100);
        if last + 200 < self.trouble_ms {
            all.push(Self { trouble_ms: last, ..self.clone() });
        }
        if self.observers > 0 {
            let mut plan = self.clone();
            plan.observers -= 1;
            plan.starts.retain(|(id, _)| *id <= plan.controllers + plan.observers);
            all.push(plan);
        }
        if self.clients > 1 {
            all.push(Self { clients: self.clients - 1, ..self.clone() });
        }
        all
    }
}

fn wish(chance: &mut Seeded) -> VoteWish {
    match chance.below(3) {
        0 => VoteWish::Watch,
        1 => VoteWish::Vote,
        _ => VoteWish::VoteIfOdd { max: 5 },
    }
}

/// Of controllers beside brokers: those that are apart from them are sometimes voters that the log names from the beginning.
fn shape_beside(seed: u64, are_apart: bool) -> Shape {
    let chance = &mut Seeded::new(seed ^ SHAPES);
    if chance.below(4) == 0 && are_apart { Shape::Bootstrap(wish(chance)) } else { Shape::Static }
}

/// Of those that came later; chosen apart, so that the seeds that are kept mean what they meant.
fn later_faults(seed: u64, first: Address, all: Address, trouble_ms: u64) -> Vec<(u64, Fault)> {
    let chance = &mut Seeded::new(seed ^ LATER);
    let count = [0, 0, 0, 1, 2][index(chance.below(5))];
    let fault = |_| {
        let at = 300 + chance.below(trouble_ms - 300);
        let node = first + address(chance.below(u64::from(all.unsigned_abs())));
        let whom = if chance.below(2) == 0 { Whom::Leader } else { Whom::Node(node) };
        let for_ms = 50 + chance.below(1_800);
        let pauses = chance.below(3) > 0;
        (at, if pauses { Fault::Pause { whom, for_ms } } else { Fault::FullDisk { whom, for_ms } })
    };
    (0..count).map(fault).collect()
}

/// Of nodes with ids from `first` on, so many of which are controllers.
fn fault(shape: Shape, first: Address, (controllers, all): (Address, Address), chance: &mut Seeded) -> Fault {
    let any = |chance: &mut Seeded, of: Address| first + address(chance.below(u64::from(of.unsigned_abs())));
    let node = any(chance, controllers);
    let whom = if chance.below(5) < 2 { Whom::Leader } else { Whom::Node(any(chance, all)) };
    let down_ms = 20 + chance.below(1_500);
    let for_ms = 50 + chance.below(1_800);
    match chance.below(if shape == Shape::Static { 24 } else { 30 }) {
        0 | 1 => Fault::Kill { whom, down_ms },
        2..=6 => Fault::PowerCut { whom, down_ms, seed: chance.bits() },
        7 | 8 => Fault::PowerCutOfAll { down_ms, seed: chance.bits() },
        9..=11 => Fault::CutLater { whom, changes: chance.below(12), down_ms, seed: chance.bits() },
        12 => Fault::Restart { whom, down_ms },
        13 | 14 => Fault::EmptyDisk { node, down_ms },
        15 | 16 => Fault::Cut { from: node, to: any(chance, all), both: chance.below(2) == 0, for_ms },
        17 | 18 => Fault::Isolate { whom, for_ms },
        19 | 20 => Fault::FalseAlarms { times: 1 + chance.below(4), every_ms: 20 + chance.below(200) },
        21 => Fault::Loss { percent: 2 + chance.below(30), for_ms },
        22 => Fault::Delay { up_to_ms: 20 + chance.below(200), for_ms },
        23 => Fault::Repeat { percent: 5 + chance.below(40), for_ms },
        24..=26 => Fault::AddVoter { node },
        _ => Fault::RemoveVoter { whom },
    }
}

pub(super) fn address(number: u64) -> Address {
    i32::try_from(number).unwrap_or(0)
}

pub(super) fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KEPT;
    use crate::run::QUORUM_IN;

    #[test]
    fn kept_seeds_mean_what_they_meant() {
        for seed in KEPT.iter().filter(|seed| seed.is_multiple_of(QUORUM_IN)) {
            assert!(later_faults(*seed, 1, 3, 5_000).is_empty(), "{seed}");
            let is_static = Plan::of(*seed).shape == Shape::Static;
            assert!(!is_static || raises(*seed, 1, 3, 5_000).is_empty(), "{seed}");
            assert!(!is_static || struck_raise(*seed, 5_000).is_empty(), "{seed}");
        }
    }
}
