//! Records about configs, producer ids and features.

use ottla_model::wire::{Reader, Writer};
use ottla_model::{BrokerId, ProducerId};

use super::RecordError;
use crate::image::ConfigResourceType;

/// A config of a resource has been set or (`value` is `None`) deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigRecord {
    pub resource_type: ConfigResourceType,
    pub resource_name: String,
    pub name: String,
    pub value: Option<String>,
}

impl ConfigRecord {
    pub(super) fn write(&self, out: &mut Writer) {
        out.i8(self.resource_type.id());
        out.compact_string(&self.resource_name);
        out.compact_string(&self.name);
        out.compact_nullable_string(self.value.as_deref());
        out.no_tagged_fields();
    }

    pub(super) fn read(from: &mut Reader<'_>, _version: u32) -> Result<Self, RecordError> {
        let id = from.i8()?;
        let resource_type = ConfigResourceType::from_id(id)
            .ok_or(RecordError::BadValue { field: "ResourceType", value: i64::from(id) })?;
        let record = Self {
            resource_type,
            resource_name: from.compact_string()?.to_owned(),
            name: from.compact_string()?.to_owned(),
            value: from.compact_nullable_string()?.map(str::to_owned),
        };
        from.skip_tagged_fields()?;
        Ok(record)
    }
}

/// A block of producer ids has been given to a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerIdsRecord {
    pub broker_id: BrokerId,
    pub broker_epoch: i64,
    /// The first id that nobody has been given yet.
    pub next_producer_id: ProducerId,
}

impl ProducerIdsRecord {
    pub(super) fn write(&self, out: &mut Writer) {
        out.i32(self.broker_id.get());
        out.i64(self.broker_epoch);
        out.i64(self.next_producer_id.get());
        out.no_tagged_fields();
    }

    pub(super) fn read(from: &mut Reader<'_>, _version: u32) -> Result<Self, RecordError> {
        let record = Self {
            broker_id: BrokerId(from.i32()?),
            broker_epoch: from.i64()?,
            next_producer_id: ProducerId(from.i64()?),
        };
        from.skip_tagged_fields()?;
        Ok(record)
    }
}

/// A feature's finalized level; 0 takes the feature out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureLevelRecord {
    pub name: String,
    pub feature_level: i16,
}

impl FeatureLevelRecord {
    pub(super) fn write(&self, out: &mut Writer) {
        out.compact_string(&self.name);
        out.i16(self.feature_level);
        out.no_tagged_fields();
    }

    pub(super) fn read(from: &mut Reader<'_>, _version: u32) -> Result<Self, RecordError> {
        let record = Self { name: from.compact_string()?.to_owned(), feature_level: from.i16()? };
        from.skip_tagged_fields()?;
        Ok(record)
    }
}
