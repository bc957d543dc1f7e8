//! Which controllers have registered, and how they are reached.

use std::collections::BTreeMap;

use ottla_model::BrokerId;
use uuid::Uuid;

use super::ReplayError;
use crate::record::{BrokerEndpoint, BrokerFeature, MetadataRecord, RegisterControllerRecord};

/// A registered controller (KIP-919). Whether it votes, the quorum says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControllerRegistration {
    pub id: BrokerId,
    /// Of the process that has registered last.
    pub incarnation_id: Uuid,
    pub endpoints: Vec<BrokerEndpoint>,
    pub features: Vec<BrokerFeature>,
}

impl ControllerRegistration {
    /// The endpoint of that listener.
    #[must_use]
    pub fn endpoint(&self, listener: &str) -> Option<&BrokerEndpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.name == listener)
    }

    /// The record that registers it so.
    #[must_use]
    pub fn to_record(&self) -> RegisterControllerRecord {
        RegisterControllerRecord {
            controller_id: self.id,
            incarnation_id: self.incarnation_id,
            endpoints: self.endpoints.clone(),
            features: self.features.clone(),
        }
    }
}

impl From<&RegisterControllerRecord> for ControllerRegistration {
    fn from(record: &RegisterControllerRecord) -> Self {
        Self {
            id: record.controller_id,
            incarnation_id: record.incarnation_id,
            endpoints: record.endpoints.clone(),
            features: record.features.clone(),
        }
    }
}

/// All registered controllers, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ControllersImage {
    controllers: BTreeMap<BrokerId, ControllerRegistration>,
}

impl ControllersImage {
    #[must_use]
    pub fn get(&self, id: BrokerId) -> Option<&ControllerRegistration> {
        self.controllers.get(&id)
    }

    /// By ascending id.
    pub fn iter(&self) -> impl Iterator<Item = &ControllerRegistration> {
        self.controllers.values()
    }

    /// Nobody has registered, as in what was written before controllers did.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.controllers.is_empty()
    }

    pub(super) fn register(&mut self, registration: ControllerRegistration) {
        self.controllers.insert(registration.id, registration);
    }

    pub(super) fn unregister(&mut self, id: BrokerId) -> Result<(), ReplayError> {
        self.controllers.remove(&id).map(drop).ok_or(ReplayError::UnknownController(id))
    }

    pub(super) fn write_records(&self, out: &mut Vec<MetadataRecord>) {
        let records = self.controllers.values().map(ControllerRegistration::to_record);
        out.extend(records.map(MetadataRecord::RegisterController));
    }
}
