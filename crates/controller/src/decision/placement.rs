//! Which brokers get a new partition's replicas: striped over brokers and racks, as Kafka's `StripedReplicaPlacer`.
//!
//! Leaders rotate over racks and, within a rack, over its unfenced brokers; followers go to the other racks in turn.
//! Fenced brokers take replicas only where there are too few others. After as many partitions as there are unfenced
//! brokers everything is shuffled, so that the same sets of brokers do not come again.

use std::collections::BTreeMap;

use ottla_metadata::{BrokersImage, DirectoryId, PartitionRecord, PartitionRegistration};
use ottla_model::{BrokerId, LeaderEpoch, PartitionEpoch, TopicId};

use super::{Context, Randomness};
use crate::error::TopicError;

/// Replicas of each of `partition_count` new partitions, the preferred leader first.
///
/// # Errors
/// [`TopicError::InvalidReplicationFactor`] with the placer's own words.
///
/// A broker whose log dirs are all cordoned takes no replicas (KIP-1066).
pub(super) fn place(
    context: &mut Context<'_>,
    partition_count: usize,
    replication_factor: i16,
) -> Result<Vec<Vec<BrokerId>>, TopicError> {
    let cordoned = context.is_cordoned().then_some(context.settings.node_id);
    let (brokers, random) = (context.image.brokers(), &mut *context.random);
    let invalid = |why: String| Err(TopicError::InvalidReplicationFactor(why));
    let Some(replica_count) = usize::try_from(replication_factor).ok().filter(|count| *count > 0) else {
        return invalid(format!(
            "Invalid replication factor {replication_factor}: the replication factor must be positive."
        ));
    };
    let mut racks = RackList::new(brokers, cordoned, random);
    if racks.unfenced_count == 0 {
        return invalid(
            "All brokers are currently fenced, or have all their log directories cordoned.".to_owned(),
        );
    }
    if replica_count > racks.broker_count {
        return invalid(format!(
            "The target replication factor of {replication_factor} cannot be reached because only {} broker(s) are \
             registered or some brokers have all their log directories cordoned.",
            racks.broker_count
        ));
    }
    Ok((0..partition_count).map(|_| racks.place(replica_count, random)).collect())
}

/// The registration of a new partition; `None` if no replica's broker is active.
pub(super) fn new_partition(
    context: &Context<'_>,
    topic_id: TopicId,
    partition_id: i32,
    replicas: Vec<BrokerId>,
) -> Option<PartitionRecord> {
    let brokers = context.image.brokers();
    let isr: Vec<BrokerId> = replicas.iter().copied().filter(|id| brokers.is_active(*id)).collect();
    let leader = *isr.first()?;
    let directories = replicas.iter().map(|id| default_directory(brokers, *id)).collect();
    let registration = PartitionRegistration {
        replicas,
        directories,
        isr,
        removing_replicas: Vec::new(),
        adding_replicas: Vec::new(),
        elr: Vec::new(),
        last_known_elr: Vec::new(),
        leader,
        leader_recovery_state: ottla_metadata::LeaderRecoveryState::Recovered,
        leader_epoch: LeaderEpoch(0),
        partition_epoch: PartitionEpoch(0),
    };
    Some(registration.to_record(topic_id, partition_id))
}

/// A broker's only directory, or unassigned: then the broker chooses (KIP-858).
pub(super) fn default_directory(brokers: &BrokersImage, id: BrokerId) -> DirectoryId {
    match brokers.get(id).map(|broker| broker.log_dirs.as_slice()) {
        Some([only]) => *only,
        Some([]) => DirectoryId::MIGRATING,
        _ => DirectoryId::UNASSIGNED,
    }
}

/// Brokers that are handed out in turn, from an offset that moves with each partition.
#[derive(Debug, Default)]
struct BrokerRing {
    brokers: Vec<BrokerId>,
    index: usize,
    offset: usize,
    epoch: usize,
}

impl BrokerRing {
    fn next(&mut self, epoch: usize) -> Option<BrokerId> {
        if self.brokers.is_empty() {
            return None;
        }
        if self.epoch != epoch {
            self.epoch = epoch;
            self.index = 0;
            self.offset = (self.offset + 1) % self.brokers.len();
        }
        if self.index >= self.brokers.len() {
            return None;
        }
        let broker = self.brokers.get((self.index + self.offset) % self.brokers.len()).copied();
        self.index += 1;
        broker
    }
}

#[derive(Debug, Default)]
struct Rack {
    unfenced: BrokerRing,
    fenced: BrokerRing,
}

impl Rack {
    fn next(&mut self, epoch: usize) -> Option<BrokerId> {
        self.unfenced.next(epoch).or_else(|| self.fenced.next(epoch))
    }
}

/// The racks in their turn. Brokers without a rack share one.
#[derive(Debug)]
struct RackList {
    racks: Vec<Rack>,
    broker_count: usize,
    unfenced_count: usize,
    epoch: usize,
    offset: usize,
}

impl RackList {
    fn new(brokers: &BrokersImage, cordoned: Option<BrokerId>, random: &mut dyn Randomness) -> Self {
        let mut by_name: BTreeMap<Option<&str>, Rack> = BTreeMap::new();
        let (mut broker_count, mut unfenced_count) = (0, 0);
        for broker in brokers.iter().filter(|broker| Some(broker.id) != cordoned && !broker.is_reserved()) {
            broker_count += 1;
            let rack = by_name.entry(broker.rack.as_deref()).or_default();
            if broker.fenced {
                rack.fenced.brokers.push(broker.id);
            } else {
                rack.unfenced.brokers.push(broker.id);
                unfenced_count += 1;
            }
        }
        let mut racks: Vec<Rack> = by_name.into_values().collect();
        for ring in racks.iter_mut().flat_map(|rack| [&mut rack.fenced, &mut rack.unfenced]) {
            if !ring.brokers.is_empty() {
                ring.offset = random.below(ring.brokers.len());
            }
        }
        let offset = if racks.is_empty() { 0 } else { random.below(racks.len()) };
        Self { racks, broker_count, unfenced_count, epoch: 0, offset }
    }

    /// `replica_count` distinct brokers. The caller has seen that there are so many, one of them unfenced.
    fn place(&mut self, replica_count: usize, random: &mut dyn Randomness) -> Vec<BrokerId> {
        if self.epoch == self.unfenced_count && self.unfenced_count > 1 {
            self.shuffle(random);
        }
        if self.offset == self.racks.len() {
            self.offset = 0;
        }
        let mut replicas = Vec::with_capacity(replica_count);
        let leader_rack = self.take_leader(&mut replicas);
        self.take_followers(&mut replicas, replica_count, leader_rack);
        self.epoch += 1;
        self.offset += 1;
        replicas
    }

    /// The leader comes from the first rack, beginning at the offset, that has an unfenced broker.
    fn take_leader(&mut self, replicas: &mut Vec<BrokerId>) -> Option<usize> {
        for step in 0..self.racks.len() {
            let at = (self.offset + step) % self.racks.len();
            if let Some(broker) = self.racks.get_mut(at).and_then(|rack| rack.unfenced.next(self.epoch)) {
                replicas.push(broker);
                return Some(at);
            }
        }
        None
    }

    /// The followers come from the racks in turn; the leader's rack is passed over the first time.
    fn take_followers(
        &mut self,
        replicas: &mut Vec<BrokerId>,
        replica_count: usize,
        leader_rack: Option<usize>,
    ) {
        let mut pass_over = leader_rack;
        let mut at = self.offset;
        let mut fruitless = 0;
        while replicas.len() < replica_count && fruitless <= self.racks.len() {
            let broker = if pass_over == Some(at) {
                pass_over = None;
                None
            } else {
                self.racks.get_mut(at).and_then(|rack| rack.next(self.epoch))
            };
            fruitless = if broker.is_some() { 0 } else { fruitless + 1 };
            replicas.extend(broker);
            at = (at + 1) % self.racks.len();
        }
    }

    fn shuffle(&mut self, random: &mut dyn Randomness) {
        self.epoch = 0;
        shuffle(&mut self.racks, random);
        for ring in self.racks.iter_mut().flat_map(|rack| [&mut rack.fenced, &mut rack.unfenced]) {
            shuffle(&mut ring.brokers, random);
        }
    }
}

/// Fisher and Yates.
fn shuffle<T>(items: &mut [T], random: &mut dyn Randomness) {
    for last in (1..items.len()).rev() {
        items.swap(last, random.below(last + 1));
    }
}
