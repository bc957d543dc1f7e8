//! Node ids for nodes that join and have none (`--join`). An id is given by a record, so that no other controller gives it
//! again: a registration without endpoints, which the node's own takes the place of.

use std::collections::BTreeSet;

use ottla_metadata::{BrokerFeature, BrokerRegistration, FEATURES, MetadataRecord, RegisterBrokerRecord};
use ottla_model::BrokerId;
use uuid::Uuid;

use super::{Context, Decision};

/// Gives the id above all that are registered and all of `others` (controllers that are no brokers). Whoever asks again with
/// the same `wish` is given the same.
pub fn give_broker_id(wish: Uuid, others: &BTreeSet<BrokerId>, context: &Context<'_>) -> Decision<BrokerId> {
    let brokers = context.image.brokers();
    let is_its = |broker: &&BrokerRegistration| broker.is_reserved() && broker.incarnation_id == wish;
    if let Some(given) = brokers.iter().find(is_its) {
        return Decision::answer_only(given.id);
    }
    let taken = brokers.iter().map(|broker| broker.id).chain(others.iter().copied());
    let id = BrokerId(taken.max().map_or(1, |last| last.get().saturating_add(1).max(1)));
    let features = FEATURES.iter().map(|feature| BrokerFeature {
        // What every node of this version says: nobody's absence keeps a feature from being upgraded.
        name: feature.name.to_owned(),
        min_supported_version: feature.min_supported,
        max_supported_version: feature.max_supported,
    });
    let record = MetadataRecord::RegisterBroker(RegisterBrokerRecord {
        broker_id: id,
        incarnation_id: wish,
        broker_epoch: context.image.provenance().offset.get().saturating_add(1),
        endpoints: Vec::new(),
        features: features.collect(),
        rack: None,
        fenced: true,
        in_controlled_shutdown: false,
        log_dirs: Vec::new(),
        cordoned_log_dirs: None,
    });
    Decision { records: vec![record], answer: id }
}
