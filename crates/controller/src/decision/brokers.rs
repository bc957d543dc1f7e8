//! Brokers come, go, and are fenced (KIP-631).

use ottla_metadata::{
    BrokerRegistrationChangeRecord, DirectoryId, MetadataImage, MetadataRecord, PartitionRegistration,
    RegisterBrokerRecord, UnregisterBrokerRecord,
};
use ottla_model::BrokerId;
use ottla_planted::planted;

use super::partition_change::{Election, PartitionChange};
use super::{Context, Decision};
use crate::command::BrokerRegistrationRequest;
use crate::error::BrokerError;

/// Registers a starting broker and answers its epoch. A broker that is ready at once (`fenced` is false) leads the
/// partitions that had no leader for want of it, and those that its last process still led: in a new leader epoch, for
/// that process may have lost records that consumers have read, and the epoch is what tells them (KIP-101, KIP-320).
/// A Kafka 4.4 raises it by two at each restart, clean or not: it also writes down that nobody led meanwhile, which nobody
/// could have asked.
///
/// While the process that is registered is known to be there (`has_session`, of its broker epoch), another one is refused unless
/// the first is about to go, as in Kafka: it may be one that has died, whose request comes late. Who is not the dead one asks again.
pub fn register_broker(
    request: &BrokerRegistrationRequest,
    has_session: impl FnOnce(i64) -> bool,
    context: &Context<'_>,
) -> Decision<Result<i64, BrokerError>> {
    if let Err(error) = check_features(request, context.image) {
        return Decision::answer_only(Err(error));
    }
    let previous = context.image.brokers().get(request.broker_id);
    if let Some(previous) = previous
        && previous.incarnation_id == request.incarnation_id
    {
        // The same process asks again: its first request was answered, or is about to be.
        return Decision::answer_only(Ok(previous.epoch));
    }
    if let Some(previous) = previous
        && !previous.in_controlled_shutdown
        && has_session(previous.epoch)
    {
        return Decision::answer_only(Err(BrokerError::Duplicate(request.broker_id)));
    }
    let next_offset = context.image.provenance().offset.get().saturating_add(1);
    let broker_epoch =
        previous.map_or(next_offset, |previous| next_offset.max(previous.epoch.saturating_add(1)));
    let mut records = vec![MetadataRecord::RegisterBroker(RegisterBrokerRecord {
        broker_id: request.broker_id,
        incarnation_id: request.incarnation_id,
        broker_epoch,
        endpoints: request.endpoints.clone(),
        features: request.features.clone(),
        rack: request.rack.clone(),
        fenced: request.fenced,
        in_controlled_shutdown: false,
        log_dirs: request.log_dirs.clone(),
        cordoned_log_dirs: None,
    })];
    if request.fenced {
        // What a process that was not stopped in order has acknowledged may have gone with its page cache, and all of it with its
        // disk (KIP-966): it is no longer in sync, nor eligible.
        let is_clean = previous.is_some_and(|previous| previous.epoch == request.previous_broker_epoch);
        let id = request.broker_id;
        records.extend(if is_clean { leave(context, id) } else { lose(context, id) });
    } else {
        records.extend(lead_anew(context, request.broker_id, &request.log_dirs));
    }
    Decision { records, answer: Ok(broker_epoch) }
}

/// Lets a broker lead again.
pub fn unfence_broker(id: BrokerId, epoch: i64, context: &Context<'_>) -> Decision<Result<(), BrokerError>> {
    let fenced = match check_epoch(id, epoch, context.image) {
        Ok(fenced) => fenced,
        Err(error) => return Decision::answer_only(Err(error)),
    };
    if !fenced {
        return Decision::answer_only(Ok(()));
    }
    let mut change = BrokerRegistrationChangeRecord::new(id, epoch);
    change.fenced = Some(false);
    let mut records = vec![MetadataRecord::BrokerRegistrationChange(change)];
    if !planted!("leaderless_stays") {
        records.extend(lead_the_leaderless(context, id));
    }
    Decision { records, answer: Ok(()) }
}

/// Takes leadership and ISR membership from a broker.
pub fn fence_broker(id: BrokerId, epoch: i64, context: &Context<'_>) -> Decision<Result<(), BrokerError>> {
    let fenced = match check_epoch(id, epoch, context.image) {
        Ok(fenced) => fenced,
        Err(error) => return Decision::answer_only(Err(error)),
    };
    if fenced {
        return Decision::answer_only(Ok(()));
    }
    let mut change = BrokerRegistrationChangeRecord::new(id, epoch);
    change.fenced = Some(true);
    let mut records = vec![MetadataRecord::BrokerRegistrationChange(change)];
    records.extend(leave(context, id));
    Decision { records, answer: Ok(()) }
}

/// Notes that a broker is about to stop. The only replica of a partition leads on until it is gone.
pub fn controlled_shutdown(
    id: BrokerId,
    epoch: i64,
    context: &Context<'_>,
) -> Decision<Result<(), BrokerError>> {
    if let Err(error) = check_epoch(id, epoch, context.image) {
        return Decision::answer_only(Err(error));
    }
    let mut change = BrokerRegistrationChangeRecord::new(id, epoch);
    change.in_controlled_shutdown = true;
    Decision { records: vec![MetadataRecord::BrokerRegistrationChange(change)], answer: Ok(()) }
}

/// UnregisterBroker: the cluster forgets a broker; its replicas stay where they are assigned, and are offline.
pub fn unregister_broker(id: BrokerId, context: &Context<'_>) -> Decision<Result<(), BrokerError>> {
    let Some(broker) = context.image.brokers().get(id) else {
        return Decision::answer_only(Err(BrokerError::NotRegistered(id)));
    };
    let mut records = leave(context, id);
    let broker_epoch = broker.epoch;
    records.push(MetadataRecord::UnregisterBroker(UnregisterBrokerRecord { broker_id: id, broker_epoch }));
    Decision { records, answer: Ok(()) }
}

/// Whether the broker is fenced, if it is registered with that epoch.
pub(super) fn check_epoch(id: BrokerId, epoch: i64, image: &MetadataImage) -> Result<bool, BrokerError> {
    let broker = image.brokers().get(id).ok_or(BrokerError::NotRegistered(id))?;
    if broker.epoch == epoch {
        return Ok(broker.fenced);
    }
    Err(BrokerError::StaleEpoch { current: broker.epoch, given: epoch })
}

/// A broker must support every level that is finalized.
fn check_features(request: &BrokerRegistrationRequest, image: &MetadataImage) -> Result<(), BrokerError> {
    for (name, level) in image.features().iter() {
        let range = request.features.iter().find(|feature| feature.name == name);
        let (min, max) =
            range.map_or((0, 0), |range| (range.min_supported_version, range.max_supported_version));
        if level < min || level > max {
            return Err(BrokerError::UnsupportedFeature { feature: name.to_owned(), level, min, max });
        }
    }
    Ok(())
}

/// The partitions without a leader that the broker may lead once it is there.
fn lead_the_leaderless(context: &Context<'_>, id: BrokerId) -> Vec<MetadataRecord> {
    changes(context, |before| !before.has_leader(), |change| change.arriving = Some(id))
}

/// Takes the broker out of leadership and out of every ISR, as far as another member is there or it stays eligible.
fn leave(context: &Context<'_>, id: BrokerId) -> Vec<MetadataRecord> {
    let concerned = |before: &PartitionRegistration| before.leader == id || before.isr.contains(&id);
    changes(context, concerned, |change| {
        change.leave(id);
    })
}

/// Takes a broker out of leadership, out of every ISR, and out of those that are eligible: it may lack what it had.
fn lose(context: &Context<'_>, id: BrokerId) -> Vec<MetadataRecord> {
    let concerned = |before: &PartitionRegistration| {
        before.leader == id || before.isr.contains(&id) || before.elr.contains(&id)
    };
    changes(context, concerned, |change| {
        change.leave(id);
        change.lost = Some(id);
    })
}

/// The partitions that a new process of the broker leads: the leaderless ones, and those its last process still led.
/// Not those whose replica is in a log dir that does not work.
fn lead_anew(context: &Context<'_>, id: BrokerId, log_dirs: &[DirectoryId]) -> Vec<MetadataRecord> {
    let concerned = |before: &PartitionRegistration| !before.has_leader() || before.leader == id;
    changes(context, concerned, |change| {
        change.arriving = Some(id);
        change.anew = true;
        change.log_dirs = Some((id, log_dirs.to_vec()));
    })
}

/// One record for each partition that is concerned and that `prepare` changes.
pub(super) fn changes(
    context: &Context<'_>,
    concerned: impl Fn(&PartitionRegistration) -> bool,
    prepare: impl Fn(&mut PartitionChange<'_>),
) -> Vec<MetadataRecord> {
    let mut records = Vec::new();
    let broker = context.effective_broker_config();
    for topic in context.image.topics().iter() {
        let mut partitions = topic.partitions().filter(|(_, before)| concerned(before)).peekable();
        if partitions.peek().is_none() {
            continue;
        }
        let rules = context.topic_rules(&topic.name, &broker);
        for (partition, before) in partitions {
            let mut change = PartitionChange::new(context.image, topic, partition, before, rules);
            if rules.unclean_leader_election {
                change.election = Election::Unclean;
            }
            prepare(&mut change);
            records.extend(change.build().map(MetadataRecord::PartitionChange));
        }
    }
    records
}
