//! Records about brokers: registration (KIP-631), fencing, controlled shutdown, log directories (KIP-858).

use ottla_model::BrokerId;
use ottla_model::wire::{Reader, WireError, Writer};
use uuid::Uuid;

use super::RecordError;
use super::codec::{
    DirectoryId, Tags, read_array, read_directory, read_nullable_array, read_uuid, write_array,
    write_directories, write_uuid,
};

/// How a listener is secured; the numbers are Kafka's `SecurityProtocol` ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecurityProtocol {
    Plaintext,
    Ssl,
    SaslPlaintext,
    SaslSsl,
}

impl SecurityProtocol {
    #[must_use]
    pub const fn id(self) -> i16 {
        match self {
            Self::Plaintext => 0,
            Self::Ssl => 1,
            Self::SaslPlaintext => 2,
            Self::SaslSsl => 3,
        }
    }

    /// The protocol of a number, if there is one.
    #[must_use]
    pub const fn from_id(id: i16) -> Option<Self> {
        match id {
            0 => Some(Self::Plaintext),
            1 => Some(Self::Ssl),
            2 => Some(Self::SaslPlaintext),
            3 => Some(Self::SaslSsl),
            _ => None,
        }
    }
}

/// Where a broker or a controller can be reached: the listener's name, and the advertised host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerEndpoint {
    pub name: String,
    pub host: String,
    pub port: u16,
    pub security_protocol: SecurityProtocol,
}

/// The levels of a feature that a broker or a controller supports, both ends inclusive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerFeature {
    pub name: String,
    pub min_supported_version: i16,
    pub max_supported_version: i16,
}

/// A broker process has registered; replaces an earlier registration of the id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterBrokerRecord {
    pub broker_id: BrokerId,
    /// Of the process: new with each start.
    pub incarnation_id: Uuid,
    /// Grows with each registration; fences an older process of the same id.
    pub broker_epoch: i64,
    pub endpoints: Vec<BrokerEndpoint>,
    pub features: Vec<BrokerFeature>,
    pub rack: Option<String>,
    pub fenced: bool,
    pub in_controlled_shutdown: bool,
    pub log_dirs: Vec<DirectoryId>,
    /// KIP-1066; `None` until the broker has said.
    pub cordoned_log_dirs: Option<Vec<DirectoryId>>,
}

impl RegisterBrokerRecord {
    pub(super) fn write(&self, out: &mut Writer) {
        out.i32(self.broker_id.get());
        out.bool(false); // IsMigratingZkBroker: there is no ZooKeeper to come from.
        write_uuid(out, self.incarnation_id);
        out.i64(self.broker_epoch);
        write_array(out, &self.endpoints, write_endpoint);
        write_array(out, &self.features, write_feature);
        out.compact_nullable_string(self.rack.as_deref());
        out.bool(self.fenced);
        out.bool(self.in_controlled_shutdown);
        let mut tags = Tags::default();
        if !self.log_dirs.is_empty() {
            tags.add(0, |out| write_directories(out, &self.log_dirs));
        }
        tags.add_directories(1, self.cordoned_log_dirs.as_deref());
        tags.finish(out);
    }

    pub(super) fn read(from: &mut Reader<'_>, version: u32) -> Result<Self, RecordError> {
        let broker_id = BrokerId(from.i32()?);
        if version >= 2 {
            from.bool()?;
        }
        let incarnation_id = read_uuid(from)?;
        let broker_epoch = from.i64()?;
        let endpoints = read_endpoints(from)?;
        let features = read_array(from, read_feature)?;
        let rack = from.compact_nullable_string()?.map(str::to_owned);
        let fenced = from.bool()?;
        let in_controlled_shutdown = version >= 1 && from.bool()?;
        let mut log_dirs = Vec::new();
        let mut cordoned_log_dirs = None;
        from.tagged_fields(|tag, field| {
            let mut field = Reader::new(field);
            match tag {
                0 => log_dirs = read_array(&mut field, read_directory)?,
                1 => cordoned_log_dirs = read_nullable_array(&mut field, read_directory)?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(Self {
            broker_id,
            incarnation_id,
            broker_epoch,
            endpoints,
            features,
            rack,
            fenced,
            in_controlled_shutdown,
            log_dirs,
            cordoned_log_dirs,
        })
    }
}

pub(super) fn write_endpoint(out: &mut Writer, endpoint: &BrokerEndpoint) {
    out.compact_string(&endpoint.name);
    out.compact_string(&endpoint.host);
    out.u16(endpoint.port);
    out.i16(endpoint.security_protocol.id());
    out.no_tagged_fields();
}

pub(super) fn read_endpoints(from: &mut Reader<'_>) -> Result<Vec<BrokerEndpoint>, RecordError> {
    let plain = read_array(from, |from| {
        let name = from.compact_string()?.to_owned();
        let host = from.compact_string()?.to_owned();
        let port = from.u16()?;
        let protocol = from.i16()?;
        from.skip_tagged_fields()?;
        Ok((name, host, port, protocol))
    })?;
    plain
        .into_iter()
        .map(|(name, host, port, protocol)| {
            let bad = RecordError::BadValue { field: "SecurityProtocol", value: i64::from(protocol) };
            let security_protocol = SecurityProtocol::from_id(protocol).ok_or(bad)?;
            Ok(BrokerEndpoint { name, host, port, security_protocol })
        })
        .collect()
}

pub(super) fn write_feature(out: &mut Writer, feature: &BrokerFeature) {
    out.compact_string(&feature.name);
    out.i16(feature.min_supported_version);
    out.i16(feature.max_supported_version);
    out.no_tagged_fields();
}

pub(super) fn read_feature(from: &mut Reader<'_>) -> Result<BrokerFeature, WireError> {
    let name = from.compact_string()?.to_owned();
    let min_supported_version = from.i16()?;
    let max_supported_version = from.i16()?;
    from.skip_tagged_fields()?;
    Ok(BrokerFeature { name, min_supported_version, max_supported_version })
}

macro_rules! broker_and_epoch {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name {
            pub broker_id: BrokerId,
            pub broker_epoch: i64,
        }

        impl $name {
            pub(super) fn write(&self, out: &mut Writer) {
                out.i32(self.broker_id.get());
                out.i64(self.broker_epoch);
                out.no_tagged_fields();
            }

            pub(super) fn read(from: &mut Reader<'_>, _version: u32) -> Result<Self, RecordError> {
                let record = Self { broker_id: BrokerId(from.i32()?), broker_epoch: from.i64()? };
                from.skip_tagged_fields()?;
                Ok(record)
            }
        }
    };
}

broker_and_epoch!(
    /// A broker has been removed from the cluster.
    UnregisterBrokerRecord
);
broker_and_epoch!(
    /// A broker may not lead (the older form; new code writes [`BrokerRegistrationChangeRecord`]).
    FenceBrokerRecord
);
broker_and_epoch!(
    /// A broker may lead again (the older form; new code writes [`BrokerRegistrationChangeRecord`]).
    UnfenceBrokerRecord
);

/// Part of a broker's registration has changed; `None` leaves a part as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerRegistrationChangeRecord {
    pub broker_id: BrokerId,
    pub broker_epoch: i64,
    /// `Some(true)` fences, `Some(false)` unfences.
    pub fenced: Option<bool>,
    /// Whether controlled shutdown has begun; it never ends but by a new registration.
    pub in_controlled_shutdown: bool,
    /// Empty: no change.
    pub log_dirs: Vec<DirectoryId>,
    pub cordoned_log_dirs: Option<Vec<DirectoryId>>,
}

impl BrokerRegistrationChangeRecord {
    /// A record that changes nothing yet.
    #[must_use]
    pub const fn new(broker_id: BrokerId, broker_epoch: i64) -> Self {
        Self {
            broker_id,
            broker_epoch,
            fenced: None,
            in_controlled_shutdown: false,
            log_dirs: Vec::new(),
            cordoned_log_dirs: None,
        }
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.i32(self.broker_id.get());
        out.i64(self.broker_epoch);
        let mut tags = Tags::default();
        if let Some(fenced) = self.fenced {
            tags.add(0, |out| out.i8(if fenced { 1 } else { -1 }));
        }
        if self.in_controlled_shutdown {
            tags.add(1, |out| out.i8(1));
        }
        if !self.log_dirs.is_empty() {
            tags.add(2, |out| write_directories(out, &self.log_dirs));
        }
        tags.add_directories(3, self.cordoned_log_dirs.as_deref());
        tags.finish(out);
    }

    pub(super) fn read(from: &mut Reader<'_>, _version: u32) -> Result<Self, RecordError> {
        let mut record = Self::new(BrokerId(from.i32()?), from.i64()?);
        let mut fenced = 0;
        let mut shutdown = 0;
        from.tagged_fields(|tag, field| {
            let mut field = Reader::new(field);
            match tag {
                0 => fenced = field.i8()?,
                1 => shutdown = field.i8()?,
                2 => record.log_dirs = read_array(&mut field, read_directory)?,
                3 => record.cordoned_log_dirs = read_nullable_array(&mut field, read_directory)?,
                _ => {}
            }
            Ok(())
        })?;
        record.fenced = match fenced {
            0 => None,
            1 => Some(true),
            -1 => Some(false),
            value => return Err(RecordError::BadValue { field: "Fenced", value: i64::from(value) }),
        };
        record.in_controlled_shutdown = match shutdown {
            0 => false,
            1 => true,
            value => {
                return Err(RecordError::BadValue { field: "InControlledShutdown", value: i64::from(value) });
            }
        };
        Ok(record)
    }
}
