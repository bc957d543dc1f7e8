//! What a seed makes of a world: its shape, and what goes wrong in it, when. A failing plan is shrunk by leaving faults out.

use ottla_storage::Seeded;

use crate::groups::{GroupsPlan, OFFSETS, OFFSETS_TOPIC};
use crate::message::{Address, CONTROLLERS};
use crate::topic_config::Settings;

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) brokers: i32,
    pub(crate) settings: Settings,
    /// Records count once they are on the disk.
    pub(crate) flushed: bool,
    pub(crate) topics: Vec<PlannedTopic>,
    /// By time.
    pub(crate) faults: Vec<Fault>,
    /// When everything is mended.
    pub(crate) trouble_ms: u64,
    /// Between two records of a producer, on average.
    pub(crate) produce_ms: u64,
    pub(crate) groups: Option<GroupsPlan>,
}

#[derive(Clone, Debug)]
pub(crate) struct PlannedTopic {
    pub(crate) name: String,
    pub(crate) partitions: Vec<Vec<Address>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) at: u64,
    pub(crate) kind: FaultKind,
}

#[derive(Clone, Debug)]
pub(crate) enum FaultKind {
    /// kill -9: the page cache survives.
    Kill {
        node: Address,
        down_ms: u64,
    },
    /// What was not synced may be lost.
    PowerCut {
        node: Address,
        down_ms: u64,
        seed: u64,
    },
    /// Controlled shutdown, and a start.
    Restart {
        node: Address,
        down_ms: u64,
    },
    Reassign {
        topic: usize,
        partition: i32,
        replicas: Vec<Address>,
    },
    Delete {
        topic: usize,
    },
    Elect,
    /// The leadership goes from one in-sync replica to the next, so many times.
    Turns {
        topic: usize,
        partition: i32,
        times: u64,
        every_ms: u64,
    },
    /// The next broker that is to join an in-sync set loses its power while the request is under way, and is kept from its leader
    /// until that has come.
    CutJoiner {
        down_ms: u64,
        late_ms: u64,
        seed: u64,
    },
    /// A follower's fetch is under way while the leader goes to another replica and back, and its log is cut.
    Detour {
        topic: usize,
        partition: i32,
    },
    /// The next write of a slow coordinator that whoever leads next is told of is lost, and that leads.
    LostWrite {
        partition: i32,
    },
    /// Requests of the brokers to each other may be late by seconds, as in the buffers of a connection that is given up.
    Stragglers {
        for_ms: u64,
    },
    /// Its wall clock jumps to so much ahead.
    Clock {
        node: Address,
        ahead_ms: i64,
    },
    /// A new, empty disk in the old one's place.
    EmptyDisk {
        node: Address,
        down_ms: u64,
    },
    /// There is no room for anything more.
    FullDisk {
        node: Address,
        for_ms: u64,
    },
    /// One change of the disk fails, and the process ends of it.
    FailingDisk {
        node: Address,
        nth: u64,
        down_ms: u64,
    },
    /// One fsync fails and has lost what it was for; the process ends of it, and the machine is started anew.
    LosingDisk {
        node: Address,
        nth: u64,
        seed: u64,
    },
    KillAll {
        down_ms: u64,
    },
    Pause {
        node: Address,
        for_ms: u64,
    },
    Cut {
        from: Address,
        to: Address,
        both: bool,
        for_ms: u64,
    },
    Isolate {
        node: Address,
        for_ms: u64,
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
}

impl FaultKind {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Reassign { .. } => "reassign",
            Self::Delete { .. } => "delete topic",
            Self::Elect => "elect leaders",
            Self::Turns { .. } => "leader elected over and over",
            Self::CutJoiner { .. } => "fault: power cut of who joins",
            Self::Detour { .. } => "fault: detour of a leader",
            Self::LostWrite { .. } => "fault: write lost in a turn",
            Self::Stragglers { .. } => "fault: stragglers",
            Self::LosingDisk { .. } => "fault: fsync that loses",
            Self::Clock { .. } => "fault: clock jump",
            Self::EmptyDisk { .. } => "fault: empty disk",
            Self::FullDisk { .. } => "fault: full disk",
            Self::FailingDisk { .. } => "fault: failing disk",
            Self::Kill { .. } => "fault: kill",
            Self::PowerCut { .. } => "fault: power cut",
            Self::Restart { .. } => "fault: clean restart",
            Self::KillAll { .. } => "fault: kill of all",
            Self::Pause { .. } => "fault: pause",
            Self::Cut { both: true, .. } => "fault: cut",
            Self::Cut { both: false, .. } => "fault: one-way cut",
            Self::Isolate { .. } => "fault: isolated node",
            Self::Loss { .. } => "fault: loss",
            Self::Delay { .. } => "fault: delay",
            Self::Repeat { .. } => "fault: repetition",
        }
    }
}

impl Plan {
    pub(crate) fn of(seed: u64) -> Self {
        let chance = &mut Seeded::new(seed ^ 0x0077_1a00);
        let brokers = i32::try_from(3 + chance.below(5)).unwrap_or(3);
        let flushed = chance.below(2) == 0;
        let settings = Settings {
            lag_ms: [200, 500, 1_500][index(chance.below(3))],
            flush_ms: 50 + chance.below(400),
            segment_bytes: [1_000, 3_000, 100_000][index(chance.below(3))],
            groups: None,
        };
        let topics: Vec<PlannedTopic> = (0..1 + chance.below(2))
            .map(|topic| PlannedTopic {
                name: format!("t{topic}"),
                partitions: {
                    let count = 2 + chance.below(2);
                    (0..1 + chance.below(2)).map(|_| replicas(brokers, count, chance)).collect()
                },
            })
            .collect();
        let trouble_ms = 1_500 + chance.below(5_000);
        let count = 1 + chance.below(9);
        // Half of the worlds know a few kinds of fault only, and so have more of each, one upon the other.
        let few: Vec<u64> = (0..1 + chance.below(4)).map(|_| chance.below(KINDS)).collect();
        let knows_few = chance.below(2) == 0;
        let mut faults: Vec<Fault> = (0..count)
            .map(|_| {
                let at = 900 + chance.below(trouble_ms - 900);
                let any = chance.below(KINDS);
                let which = few[index(chance.below(few.len() as u64))];
                Fault { at, kind: fault(if knows_few { which } else { any }, brokers, chance) }
            })
            .collect();
        let produce_ms = 10 + chance.below(60);
        let groups = GroupsPlan::of(seed, brokers);
        let settings = Settings { groups: groups.as_ref().map(|groups| groups.settings), ..settings };
        faults.extend(groups.iter().flat_map(|groups| groups.faults(brokers, trouble_ms)));
        faults.extend(detour(seed, &topics, trouble_ms));
        faults.sort_by_key(|fault| fault.at);
        Self { seed, brokers, settings, flushed, topics, faults, trouble_ms, produce_ms, groups }
    }
}

impl Plan {
    /// The name of a topic that a fault names by its number.
    pub(crate) fn topic_name(&self, number: usize) -> Option<&str> {
        match number {
            OFFSETS => self.groups.as_ref().map(|_| OFFSETS_TOPIC),
            _ => self.topics.get(number).map(|topic| topic.name.as_str()),
        }
    }

    /// The same with one thing less, each in turn.
    pub(crate) fn smaller(&self) -> Vec<Self> {
        let without = |index: usize| {
            let mut plan = self.clone();
            plan.faults.remove(index);
            plan
        };
        let mut all: Vec<Self> = (0..self.faults.len()).rev().map(without).collect();
        let last = self.faults.last().map_or(1_000, |fault| fault.at + 100);
        if last + 200 < self.trouble_ms {
            all.push(Self { trouble_ms: last, ..self.clone() });
        }
        if self.topics.len() > 1 {
            let mut plan = self.clone();
            plan.topics.pop();
            all.push(plan);
        }
        if let Some(groups) = &self.groups {
            all.push(Self { groups: None, ..self.clone() });
            let fewer = groups.smaller().into_iter();
            all.extend(fewer.map(|groups| Self { groups: Some(groups), ..self.clone() }));
        }
        all
    }
}

/// Of those that came later; chosen apart, so that the seeds that are kept mean what they meant.
fn detour(seed: u64, topics: &[PlannedTopic], trouble_ms: u64) -> Option<Fault> {
    let chance = &mut Seeded::new(seed ^ DETOURS);
    if chance.below(DETOUR_IN) != 0 {
        return None;
    }
    let at = 900 + chance.below(trouble_ms - 900);
    let partitions = topics.iter().enumerate().flat_map(|(topic, planned)| {
        (0..)
            .zip(&planned.partitions)
            .filter(|(_, replicas)| replicas.len() > 2)
            .map(move |(n, _)| (topic, n))
    });
    let partitions: Vec<(usize, i32)> = partitions.collect();
    let (topic, partition) = *partitions.get(index(chance.below(partitions.len().max(1) as u64)))?;
    Some(Fault { at, kind: FaultKind::Detour { topic, partition } })
}

pub(crate) fn replicas(brokers: i32, count: u64, chance: &mut Seeded) -> Vec<Address> {
    let mut all: Vec<Address> = (1..=brokers).collect();
    (0..count).map(|_| all.remove(index(chance.below(all.len() as u64)))).collect()
}

/// Of so many worlds one has a leader that makes a detour.
const DETOUR_IN: u64 = 12;
/// What the seed is mixed with for it.
const DETOURS: u64 = 0x00de_7003;
/// So many numbers [`fault`] tells apart.
const KINDS: u64 = 28;

fn fault(kind: u64, brokers: i32, chance: &mut Seeded) -> FaultKind {
    let node = 1 + i32::try_from(chance.below(u64::from(brokers.unsigned_abs()))).unwrap_or(0);
    let other = match 1 + i32::try_from(chance.below(u64::from(brokers.unsigned_abs()) + 1)).unwrap_or(0) {
        other if other == node || other > brokers => CONTROLLERS,
        other => other,
    };
    let down_ms = 50 + chance.below(1_500);
    let for_ms = 50 + chance.below(1_800);
    match kind {
        23 | 24 => FaultKind::Turns {
            topic: index(chance.below(2)),
            partition: i32::from(chance.below(2) == 1),
            times: 2 + chance.below(8),
            every_ms: 1 + chance.below(60),
        },
        25 => FaultKind::CutJoiner {
            down_ms: 50 + chance.below(100),
            late_ms: 100 + chance.below(500),
            seed: chance.bits(),
        },
        26 => FaultKind::Stragglers { for_ms: 2 * for_ms },
        27 => FaultKind::LosingDisk { node, nth: chance.below(6), seed: chance.bits() },
        18 => {
            let ahead_ms = i64::try_from(chance.below(3_000_000)).unwrap_or(0) - 1_500_000;
            FaultKind::Clock { node, ahead_ms }
        }
        19 => FaultKind::EmptyDisk { node, down_ms },
        20 | 21 => FaultKind::FullDisk { node, for_ms },
        22 => FaultKind::FailingDisk { node, nth: chance.below(6), down_ms },
        14 | 15 => FaultKind::Reassign {
            topic: index(chance.below(2)),
            partition: i32::from(chance.below(2) == 1),
            replicas: {
                let count = 2 + chance.below(2);
                replicas(brokers, count, chance)
            },
        },
        16 => FaultKind::Elect,
        17 if chance.below(2) == 0 => FaultKind::Delete { topic: index(chance.below(2)) },
        0 | 1 => FaultKind::Kill { node, down_ms },
        2 | 3 => FaultKind::PowerCut { node, down_ms, seed: chance.bits() },
        4 => FaultKind::Restart { node, down_ms },
        5 => FaultKind::KillAll { down_ms },
        6 => FaultKind::Pause { node, for_ms },
        7 | 8 => FaultKind::Cut { from: node, to: other, both: true, for_ms },
        9 => FaultKind::Cut { from: node, to: other, both: false, for_ms },
        10 => FaultKind::Isolate { node, for_ms },
        11 => FaultKind::Loss { percent: 2 + chance.below(30), for_ms },
        12 => FaultKind::Delay { up_to_ms: 20 + chance.below(200), for_ms },
        _ => FaultKind::Repeat { percent: 5 + chance.below(40), for_ms },
    }
}

pub(crate) fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KEPT;
    use crate::run::QUORUM_IN;

    #[test]
    fn kept_seeds_mean_what_they_meant() {
        for seed in KEPT.iter().filter(|seed| !seed.is_multiple_of(QUORUM_IN)) {
            let plan = Plan::of(*seed);
            assert!(detour(*seed, &plan.topics, plan.trouble_ms).is_none(), "{seed}");
            assert!(plan.groups.is_none_or(|groups| groups.settings.slow == 0), "{seed}");
        }
    }
}
