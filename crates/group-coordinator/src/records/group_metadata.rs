//! `GroupMetadataValue` (versions 0 to 4, written as 3): a classic group as of its last complete rebalance.

use std::sync::Arc;

use bytes::Bytes;
use ottla_model::TimestampMs;
use ottla_model::wire::{Reader, WireError, Writer};

use super::{RecordError, Value, unknown_version};
use crate::ids::{InstanceId, MemberId};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupMetadataValue {
    /// "consumer", "connect", ...; empty for a group that never had members.
    pub protocol_type: Arc<str>,
    pub generation: i32,
    /// `None` while the group is empty.
    pub protocol: Option<Arc<str>>,
    pub leader: Option<MemberId>,
    /// -1 in version 1 and older, which lack it.
    pub current_state_timestamp: TimestampMs,
    pub members: Vec<MemberMetadata>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberMetadata {
    pub member_id: MemberId,
    pub instance_id: Option<InstanceId>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    /// -1 in version 0, which lacks it (it was then the session timeout).
    pub rebalance_timeout_ms: i32,
    pub session_timeout_ms: i32,
    /// Opaque here: what the member said for the selected protocol.
    pub subscription: Bytes,
    /// Opaque here: what the leader assigned.
    pub assignment: Bytes,
}

const WRITTEN: i16 = 3;

impl Value for GroupMetadataValue {
    fn write(&self, out: &mut Writer) {
        out.i16(WRITTEN);
        out.string(&self.protocol_type);
        out.i32(self.generation);
        out.nullable_string(self.protocol.as_deref());
        out.nullable_string(self.leader.as_deref());
        out.i64(self.current_state_timestamp.get());
        out.array_len(Some(self.members.len()));
        for member in &self.members {
            member.write(out);
        }
    }

    fn read(version: i16, from: &mut Reader<'_>) -> Result<Self, RecordError> {
        if !(0..=4).contains(&version) {
            return Err(unknown_version(version));
        }
        let mut from = Versioned { version, from };
        let value = Self {
            protocol_type: Arc::from(from.string()?),
            generation: from.from.i32()?,
            protocol: from.nullable_string()?.map(Arc::from),
            leader: from.nullable_string()?.map(MemberId::from),
            current_state_timestamp: TimestampMs(if version >= 2 { from.from.i64()? } else { -1 }),
            members: read_members(&mut from)?,
        };
        from.end_of_struct()?;
        Ok(value)
    }
}

impl MemberMetadata {
    fn write(&self, out: &mut Writer) {
        out.string(&self.member_id);
        out.nullable_string(self.instance_id.as_deref());
        out.string(&self.client_id);
        out.string(&self.client_host);
        out.i32(self.rebalance_timeout_ms);
        out.i32(self.session_timeout_ms);
        out.bytes(&self.subscription);
        out.bytes(&self.assignment);
    }

    fn read(from: &mut Versioned<'_, '_>) -> Result<Self, WireError> {
        let version = from.version;
        let member = Self {
            member_id: MemberId::from(from.string()?),
            instance_id: if version >= 3 { from.nullable_string()?.map(InstanceId::from) } else { None },
            client_id: Arc::from(from.string()?),
            client_host: Arc::from(from.string()?),
            rebalance_timeout_ms: if version >= 1 { from.from.i32()? } else { -1 },
            session_timeout_ms: from.from.i32()?,
            subscription: Bytes::copy_from_slice(from.bytes()?),
            assignment: Bytes::copy_from_slice(from.bytes()?),
        };
        from.end_of_struct()?;
        Ok(member)
    }
}

fn read_members(from: &mut Versioned<'_, '_>) -> Result<Vec<MemberMetadata>, WireError> {
    let count = if from.flexible() { from.from.compact_array_len()? } else { from.from.array_len()? };
    let count = count.ok_or(WireError::BadLength(-1))?;
    (0..count).map(|_| MemberMetadata::read(from)).collect()
}

/// Reads strings and bytes in the form the version calls for: compact from version 4.
struct Versioned<'r, 'b> {
    version: i16,
    from: &'r mut Reader<'b>,
}

impl<'b> Versioned<'_, 'b> {
    fn flexible(&self) -> bool {
        self.version >= 4
    }

    fn string(&mut self) -> Result<&'b str, WireError> {
        if self.flexible() { self.from.compact_string() } else { self.from.string() }
    }

    fn nullable_string(&mut self) -> Result<Option<&'b str>, WireError> {
        if self.flexible() { self.from.compact_nullable_string() } else { self.from.nullable_string() }
    }

    fn bytes(&mut self) -> Result<&'b [u8], WireError> {
        if self.flexible() { self.from.compact_bytes() } else { self.from.bytes() }
    }

    fn end_of_struct(&mut self) -> Result<(), WireError> {
        if self.flexible() { self.from.skip_tagged_fields() } else { Ok(()) }
    }
}
