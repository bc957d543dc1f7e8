//! What a seed makes of a world's groups. Their chance is their own: a world without groups is as it would be if there were none.

use ottla_storage::Seeded;

use crate::message::Address;
use crate::plan::{Fault, FaultKind, index, replicas};

/// Of so many worlds of brokers one has groups.
const IN: u64 = 4;

/// How brokers coordinate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GroupSettings {
    /// From an image that the replicas follow to the coordinators that follow it.
    pub(crate) apply_ms: u64,
    /// A bit for each broker, by its id: whether that takes it longer than the others.
    pub(crate) slow: u64,
    /// Reads of a loading coordinator in one tick of its broker.
    pub(crate) load_reads: u64,
    /// `consumer.assignment.interval.ms`.
    pub(crate) assignment_ms: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct GroupsPlan {
    pub(crate) settings: GroupSettings,
    /// Replicas of the partitions of `__consumer_offsets`.
    pub(crate) partitions: Vec<Vec<Address>>,
    /// Groups without members, each of one client.
    pub(crate) committers: u64,
    /// Members of the classic group; none: there is no such group.
    pub(crate) classic: u64,
    /// Of the consumer group (KIP-848).
    pub(crate) consumer: u64,
    /// A bit for each member: whether it is a static one.
    pub(crate) statics: u64,
    /// What the clients' chance comes from.
    pub(crate) seed: u64,
}

impl GroupsPlan {
    pub(crate) fn of(seed: u64, brokers: i32) -> Option<Self> {
        let chance = &mut Seeded::new(seed ^ 0x0067_5270);
        if chance.below(IN) != 0 {
            return None;
        }
        let settings = GroupSettings {
            apply_ms: [0, 3, 30, 200][index(chance.below(4))],
            slow: 0,
            load_reads: [1, 3, 1_000][index(chance.below(3))],
            assignment_ms: [0, 100][index(chance.below(2))],
        };
        let slow = slow(seed);
        // Where some are slow the others are quick: they serve before those have heard that they do.
        let settings = match slow {
            0 => settings,
            slow => GroupSettings { apply_ms: 3, load_reads: 1_000, slow, ..settings },
        };
        let count = 2 + chance.below(2);
        let partitions = (0..1 + chance.below(2)).map(|_| replicas(brokers, count, chance)).collect();
        let kinds = 1 + chance.below(7);
        let mut some = |bit: u64, most: u64| if kinds & bit == 0 { 0 } else { 1 + chance.below(most) };
        let (committers, classic, consumer) = (some(1, 3), some(2, 4), some(4, 4));
        // Later than the rest, from a stream of its own.
        let chance_of_statics = &mut Seeded::new(seed ^ 0x5747_1c00);
        let statics = chance_of_statics.bits() & chance_of_statics.bits();
        Some(Self { settings, partitions, committers, classic, consumer, statics, seed: chance.bits() })
    }

    /// The same without one kind of clients.
    pub(crate) fn smaller(&self) -> Vec<Self> {
        let all = [
            Self { committers: 0, ..self.clone() },
            Self { classic: 0, ..self.clone() },
            Self { consumer: 0, ..self.clone() },
            Self { statics: 0, ..self.clone() },
            Self { settings: GroupSettings { slow: 0, ..self.settings }, ..self.clone() },
        ];
        let clients = |plan: &Self| plan.committers + plan.classic + plan.consumer;
        let size =
            |plan: &Self| clients(plan) + u64::from(plan.statics != 0) + u64::from(plan.settings.slow != 0);
        all.into_iter().filter(|plan| clients(plan) > 0 && size(plan) < size(self)).collect()
    }

    /// Where some coordinators are slow.
    fn lost_writes(&self, trouble_ms: u64) -> Vec<Fault> {
        let chance = &mut Seeded::new(self.seed ^ 0x0010_57e0);
        let count = if self.settings.slow == 0 { 0 } else { chance.below(4) };
        let fault = |_| {
            let at = 900 + chance.below(trouble_ms - 900);
            let partition = i32::try_from(chance.below(self.partitions.len() as u64)).unwrap_or(0);
            Fault { at, kind: FaultKind::LostWrite { partition } }
        };
        (0..count).map(fault).collect()
    }

    /// What goes wrong with `__consumer_offsets` in particular.
    pub(crate) fn faults(&self, brokers: i32, trouble_ms: u64) -> Vec<Fault> {
        let chance = &mut Seeded::new(self.seed ^ 0x00fa_0175);
        let partitions = self.partitions.len() as u64;
        let count = chance.below(4);
        let fault = |_| {
            let at = 900 + chance.below(trouble_ms - 900);
            let partition = i32::try_from(chance.below(partitions)).unwrap_or(0);
            let kind = if chance.below(3) == 0 {
                let count = 2 + chance.below(2);
                FaultKind::Reassign { topic: OFFSETS, partition, replicas: replicas(brokers, count, chance) }
            } else {
                let (times, every_ms) = (1 + chance.below(4), 1 + chance.below(300));
                FaultKind::Turns { topic: OFFSETS, partition, times, every_ms }
            };
            Fault { at, kind }
        };
        let faults = (0..count).map(fault).collect::<Vec<_>>();
        faults.into_iter().chain(self.lost_writes(trouble_ms)).collect()
    }
}

/// In half of the worlds nobody. From a stream of its own, later than the rest.
fn slow(seed: u64) -> u64 {
    let chance = &mut Seeded::new(seed ^ 0x0000_5114);
    if chance.below(2) == 0 { 0 } else { chance.bits() }
}

/// The number of `__consumer_offsets` among a plan's topics.
pub(crate) const OFFSETS: usize = usize::MAX;
