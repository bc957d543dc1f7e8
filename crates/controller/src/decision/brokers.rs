//! Brokers come, go, and are fenced (KIP-631).

use ottla_metadata::{
    BrokerRegistrationChangeRecord, MetadataImage, MetadataRecord, PartitionChangeRecord,
    RegisterBrokerRecord,
};
use ottla_model::BrokerId;

use super::{Context, Decision};
use crate::command::BrokerRegistrationRequest;
use crate::error::BrokerError;

/// Registers a starting broker and answers its epoch. A broker that is ready at once (`fenced` is false) leads the
/// partitions that had no leader for want of it, and those that its last process still led: in a new leader epoch, for
/// that process may have lost records that consumers have read, and the epoch is what tells them (KIP-101, KIP-320).
pub fn register_broker(
    request: &BrokerRegistrationRequest,
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
        records.extend(leave(context.image, request.broker_id));
    } else {
        records.extend(lead_anew(context.image, request.broker_id));
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
    records.extend(lead_the_leaderless(context.image, id));
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
    records.extend(leave(context.image, id));
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

/// The partitions without a leader that have the broker in their ISR.
fn lead_the_leaderless(image: &MetadataImage, id: BrokerId) -> Vec<MetadataRecord> {
    changes(image, |registration, change| {
        let lead = !registration.has_leader() && registration.isr.contains(&id);
        change.leader = lead.then_some(id);
    })
}

/// The partitions that a new process of the broker leads: the leaderless ones, and those its last process still led.
fn lead_anew(image: &MetadataImage, id: BrokerId) -> Vec<MetadataRecord> {
    changes(image, |registration, change| {
        let leaderless = !registration.has_leader() && registration.isr.contains(&id);
        change.leader = (leaderless || registration.leader == id).then_some(id);
    })
}

/// Takes the broker out of leadership, and out of every ISR that has another member.
fn leave(image: &MetadataImage, id: BrokerId) -> Vec<MetadataRecord> {
    changes(image, |registration, change| {
        let rest: Vec<BrokerId> = registration.isr.iter().copied().filter(|member| *member != id).collect();
        let shrinks = rest.len() < registration.isr.len() && !rest.is_empty();
        if registration.leader == id {
            let is_active = |candidate: &&BrokerId| {
                image
                    .brokers()
                    .get(**candidate)
                    .is_some_and(|broker| !broker.fenced && !broker.in_controlled_shutdown)
            };
            let next = registration.replicas.iter().filter(|replica| rest.contains(replica)).find(is_active);
            change.leader = Some(next.copied().unwrap_or(BrokerId::NONE));
        }
        change.isr = shrinks.then_some(rest);
    })
}

/// One record for each partition in which `decide` changes leader or ISR.
fn changes(
    image: &MetadataImage,
    mut decide: impl FnMut(&ottla_metadata::PartitionRegistration, &mut PartitionChangeRecord),
) -> Vec<MetadataRecord> {
    let mut records = Vec::new();
    for topic in image.topics().iter() {
        for (partition, registration) in topic.partitions() {
            let mut change = PartitionChangeRecord::new(topic.id, partition);
            decide(registration, &mut change);
            if change.leader.is_some() || change.isr.is_some() {
                records.push(MetadataRecord::PartitionChange(change));
            }
        }
    }
    records
}
