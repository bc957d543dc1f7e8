//! Which brokers are registered, and how they are reached.

use std::collections::BTreeMap;

use ottla_model::BrokerId;
use uuid::Uuid;

use super::ReplayError;
use crate::record::{
    BrokerEndpoint, BrokerFeature, BrokerRegistrationChangeRecord, DirectoryId, MetadataRecord,
    RegisterBrokerRecord, UnregisterBrokerRecord,
};

/// A registered broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerRegistration {
    pub id: BrokerId,
    pub incarnation_id: Uuid,
    pub epoch: i64,
    pub endpoints: Vec<BrokerEndpoint>,
    pub features: Vec<BrokerFeature>,
    pub rack: Option<String>,
    /// A fenced broker leads nothing and is in no ISR.
    pub fenced: bool,
    pub in_controlled_shutdown: bool,
    pub log_dirs: Vec<DirectoryId>,
    pub cordoned_log_dirs: Option<Vec<DirectoryId>>,
}

impl BrokerRegistration {
    /// The endpoint of that listener.
    #[must_use]
    pub fn endpoint(&self, listener: &str) -> Option<&BrokerEndpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.name == listener)
    }

    /// Whether it only keeps the id for a node that is about to join: nobody is reached there, nor keeps anything.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.fenced && self.endpoints.is_empty()
    }

    fn to_record(&self) -> RegisterBrokerRecord {
        RegisterBrokerRecord {
            broker_id: self.id,
            incarnation_id: self.incarnation_id,
            broker_epoch: self.epoch,
            endpoints: self.endpoints.clone(),
            features: self.features.clone(),
            rack: self.rack.clone(),
            fenced: self.fenced,
            in_controlled_shutdown: self.in_controlled_shutdown,
            log_dirs: self.log_dirs.clone(),
            cordoned_log_dirs: self.cordoned_log_dirs.clone(),
        }
    }
}

impl From<&RegisterBrokerRecord> for BrokerRegistration {
    fn from(record: &RegisterBrokerRecord) -> Self {
        Self {
            id: record.broker_id,
            incarnation_id: record.incarnation_id,
            epoch: record.broker_epoch,
            endpoints: record.endpoints.clone(),
            features: record.features.clone(),
            rack: record.rack.clone(),
            fenced: record.fenced,
            in_controlled_shutdown: record.in_controlled_shutdown,
            log_dirs: record.log_dirs.clone(),
            cordoned_log_dirs: record.cordoned_log_dirs.clone(),
        }
    }
}

/// All registered brokers, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrokersImage {
    brokers: BTreeMap<BrokerId, BrokerRegistration>,
}

impl BrokersImage {
    #[must_use]
    pub fn get(&self, id: BrokerId) -> Option<&BrokerRegistration> {
        self.brokers.get(&id)
    }

    /// Whether a broker may lead: it is registered, not fenced, and not about to stop.
    #[must_use]
    pub fn is_active(&self, id: BrokerId) -> bool {
        self.get(id).is_some_and(|broker| !broker.fenced && !broker.in_controlled_shutdown)
    }

    /// Every registered broker, fenced or not, by ascending id.
    pub fn iter(&self) -> impl Iterator<Item = &BrokerRegistration> {
        self.brokers.values()
    }

    /// The brokers that clients may be told of, by ascending id.
    pub fn unfenced(&self) -> impl Iterator<Item = &BrokerRegistration> {
        self.brokers.values().filter(|broker| !broker.fenced)
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.brokers.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.brokers.is_empty()
    }

    pub(super) fn register(&mut self, registration: BrokerRegistration) {
        self.brokers.insert(registration.id, registration);
    }

    pub(super) fn unregister(&mut self, record: &UnregisterBrokerRecord) -> Result<(), ReplayError> {
        self.at_epoch(record.broker_id, record.broker_epoch)?;
        self.brokers.remove(&record.broker_id);
        Ok(())
    }

    pub(super) fn change(&mut self, record: &BrokerRegistrationChangeRecord) -> Result<(), ReplayError> {
        let broker = self.at_epoch(record.broker_id, record.broker_epoch)?;
        if let Some(fenced) = record.fenced {
            broker.fenced = fenced;
        }
        broker.in_controlled_shutdown |= record.in_controlled_shutdown;
        if !record.log_dirs.is_empty() {
            broker.log_dirs.clone_from(&record.log_dirs);
        }
        if let Some(cordoned) = &record.cordoned_log_dirs {
            broker.cordoned_log_dirs = Some(cordoned.clone());
        }
        Ok(())
    }

    pub(super) fn set_fenced(&mut self, id: BrokerId, epoch: i64, fenced: bool) -> Result<(), ReplayError> {
        self.at_epoch(id, epoch)?.fenced = fenced;
        Ok(())
    }

    pub(super) fn write_records(&self, out: &mut Vec<MetadataRecord>) {
        out.extend(self.brokers.values().map(|broker| MetadataRecord::RegisterBroker(broker.to_record())));
    }

    fn at_epoch(&mut self, id: BrokerId, given: i64) -> Result<&mut BrokerRegistration, ReplayError> {
        let broker = self.brokers.get_mut(&id).ok_or(ReplayError::UnknownBroker(id))?;
        if broker.epoch == given {
            return Ok(broker);
        }
        Err(ReplayError::StaleBrokerEpoch { broker: id, current: broker.epoch, given })
    }
}
