//! Records about controllers: registration (KIP-919), and its end.

use ottla_model::BrokerId;
use ottla_model::wire::{Reader, Writer};
use uuid::Uuid;

use super::RecordError;
use super::broker::{
    BrokerEndpoint, BrokerFeature, read_endpoints, read_feature, write_endpoint, write_feature,
};
use super::codec::{read_array, read_uuid, write_array, write_uuid};

/// A controller's process has registered; replaces an earlier registration of the id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterControllerRecord {
    pub controller_id: BrokerId,
    /// Of the process: new with each start.
    pub incarnation_id: Uuid,
    /// Where other nodes reach it, and the tools that ask controllers.
    pub endpoints: Vec<BrokerEndpoint>,
    /// The levels of each feature that it supports.
    pub features: Vec<BrokerFeature>,
}

impl RegisterControllerRecord {
    pub(super) fn write(&self, out: &mut Writer) {
        out.i32(self.controller_id.get());
        write_uuid(out, self.incarnation_id);
        out.bool(false); // ZkMigrationReady: there is no ZooKeeper to come from.
        write_array(out, &self.endpoints, write_endpoint);
        write_array(out, &self.features, write_feature);
        out.no_tagged_fields();
    }

    pub(super) fn read(from: &mut Reader<'_>, _version: u32) -> Result<Self, RecordError> {
        let controller_id = BrokerId(from.i32()?);
        let incarnation_id = read_uuid(from)?;
        from.bool()?;
        let endpoints = read_endpoints(from)?;
        let features = read_array(from, read_feature)?;
        from.skip_tagged_fields()?;
        Ok(Self { controller_id, incarnation_id, endpoints, features })
    }
}

/// A controller has been removed from the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnregisterControllerRecord {
    pub controller_id: BrokerId,
}

impl UnregisterControllerRecord {
    pub(super) fn write(self, out: &mut Writer) {
        out.i32(self.controller_id.get());
        out.no_tagged_fields();
    }

    pub(super) fn read(from: &mut Reader<'_>, _version: u32) -> Result<Self, RecordError> {
        let record = Self { controller_id: BrokerId(from.i32()?) };
        from.skip_tagged_fields()?;
        Ok(record)
    }
}
