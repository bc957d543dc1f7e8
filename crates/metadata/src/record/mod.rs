//! Metadata records in Kafka's schemas and framing.
//!
//! A framed record is: frame version (unsigned varint, always 1), api key (unsigned varint), version of the record's
//! schema (unsigned varint), then the fields (`common/metadata/*.json` of Kafka 4.4.0, all flexible).

mod broker;
mod codec;
mod config;
mod controller;
mod topic;

pub use broker::{
    BrokerEndpoint, BrokerFeature, BrokerRegistrationChangeRecord, FenceBrokerRecord, RegisterBrokerRecord,
    SecurityProtocol, UnfenceBrokerRecord, UnregisterBrokerRecord,
};
pub use codec::DirectoryId;
pub use config::{ConfigRecord, FeatureLevelRecord, ProducerIdsRecord};
pub use controller::{RegisterControllerRecord, UnregisterControllerRecord};
pub use topic::{PartitionChangeRecord, PartitionRecord, RemoveTopicRecord, TopicRecord};

use ottla_model::wire::{Reader, WireError, Writer};

/// The only frame version there is.
const FRAME_VERSION: u32 = 1;

/// Why bytes are not a metadata record that this build understands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error("frame version {0} is not known")]
    FrameVersion(u32),
    #[error("metadata record type {api_key} is not known")]
    UnknownRecord { api_key: u32 },
    #[error("version {version} of metadata record type {api_key} is not known")]
    UnknownVersion { api_key: u32, version: u32 },
    #[error("{field} cannot be {value}")]
    BadValue { field: &'static str, value: i64 },
    #[error("a metadata record is malformed: {0}")]
    Malformed(#[from] WireError),
    #[error("{0} bytes follow a metadata record")]
    TrailingBytes(usize),
}

/// One change of the cluster's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetadataRecord {
    RegisterBroker(RegisterBrokerRecord),
    UnregisterBroker(UnregisterBrokerRecord),
    BrokerRegistrationChange(BrokerRegistrationChangeRecord),
    FenceBroker(FenceBrokerRecord),
    UnfenceBroker(UnfenceBrokerRecord),
    RegisterController(RegisterControllerRecord),
    UnregisterController(UnregisterControllerRecord),
    Topic(TopicRecord),
    Partition(PartitionRecord),
    PartitionChange(PartitionChangeRecord),
    RemoveTopic(RemoveTopicRecord),
    Config(ConfigRecord),
    ProducerIds(ProducerIdsRecord),
    FeatureLevel(FeatureLevelRecord),
    NoOp,
}

macro_rules! records {
    ($($variant:ident($type:ty) = $key:literal, $max:literal;)*) => {
        impl MetadataRecord {
            /// Kafka's number for this type of record.
            #[must_use]
            pub const fn api_key(&self) -> u32 {
                match self { $(Self::$variant(_) => $key,)* Self::NoOp => NO_OP }
            }

            /// The newest version of the schema; what [`Self::encode`] writes.
            const fn version(&self) -> u32 {
                match self { $(Self::$variant(_) => $max,)* Self::NoOp => 0 }
            }

            fn write_fields(&self, out: &mut Writer) {
                match self {
                    $(Self::$variant(record) => record.write(out),)*
                    Self::NoOp => out.no_tagged_fields(),
                }
            }

            fn read_fields(api_key: u32, version: u32, from: &mut Reader<'_>) -> Result<Self, RecordError> {
                match api_key {
                    $($key if version <= $max => <$type>::read(from, version).map(Self::$variant),)*
                    NO_OP if version == 0 => {
                        from.skip_tagged_fields()?;
                        Ok(Self::NoOp)
                    }
                    $($key)|* | NO_OP => Err(RecordError::UnknownVersion { api_key, version }),
                    _ => Err(RecordError::UnknownRecord { api_key }),
                }
            }
        }
    };
}

const NO_OP: u32 = 20;

records! {
    RegisterBroker(RegisterBrokerRecord) = 0, 4;
    UnregisterBroker(UnregisterBrokerRecord) = 1, 0;
    Topic(TopicRecord) = 2, 0;
    Partition(PartitionRecord) = 3, 2;
    Config(ConfigRecord) = 4, 0;
    PartitionChange(PartitionChangeRecord) = 5, 2;
    FenceBroker(FenceBrokerRecord) = 7, 0;
    UnfenceBroker(UnfenceBrokerRecord) = 8, 0;
    RemoveTopic(RemoveTopicRecord) = 9, 0;
    FeatureLevel(FeatureLevelRecord) = 12, 0;
    ProducerIds(ProducerIdsRecord) = 15, 0;
    BrokerRegistrationChange(BrokerRegistrationChangeRecord) = 17, 3;
    RegisterController(RegisterControllerRecord) = 27, 0;
    UnregisterController(UnregisterControllerRecord) = 29, 0;
}

impl MetadataRecord {
    /// The framed bytes, as they stand as a record's value in the metadata log and in snapshots.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(64);
        out.unsigned_varint(FRAME_VERSION);
        out.unsigned_varint(self.api_key());
        out.unsigned_varint(self.version());
        self.write_fields(&mut out);
        out.into_vec()
    }

    /// Reads one framed record, which must fill `bytes`.
    ///
    /// # Errors
    /// A frame, type or version that is not known here, or bytes that are not that record.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut from = Reader::new(bytes);
        let frame = from.unsigned_varint()?;
        if frame != FRAME_VERSION {
            return Err(RecordError::FrameVersion(frame));
        }
        let api_key = from.unsigned_varint()?;
        let version = from.unsigned_varint()?;
        let record = Self::read_fields(api_key, version, &mut from)?;
        match from.remaining().len() {
            0 => Ok(record),
            left => Err(RecordError::TrailingBytes(left)),
        }
    }
}

#[cfg(test)]
mod tests;
