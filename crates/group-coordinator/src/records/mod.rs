//! The records of `__consumer_offsets`, byte for byte Kafka's: keys are an `i16` record type and the key's fields,
//! values an `i16` version and the value's fields; no value is a tombstone.
//!
//! Sources: Kafka 4.4's schemas of type `coordinator-key` and `coordinator-value`; the versions written are those of its
//! `GroupCoordinatorRecordHelpers`. Records of share and streams groups are kept as [`GroupRecord::Unknown`], so that a
//! log written by Kafka can be replayed.

mod consumer;
mod group_metadata;
mod offset_commit;
#[cfg(test)]
mod tests;

pub use consumer::{
    ClassicMemberMetadata, ClassicProtocol, ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupMemberMetadataValue, ConsumerGroupMetadataValue, ConsumerGroupPartitionMetadataValue,
    ConsumerGroupRegularExpressionValue, ConsumerGroupTargetAssignmentMemberValue,
    ConsumerGroupTargetAssignmentMetadataValue, OwnedTopicPartitions, PartitionRacks, TopicMetadata,
    TopicPartitions,
};
pub use group_metadata::{GroupMetadataValue, MemberMetadata};
pub use offset_commit::{OffsetCommitKey, OffsetCommitValue};

use std::sync::Arc;

use ottla_model::wire::{Reader, WireError, Writer};

use crate::ids::{GroupId, MemberId};

/// Why bytes are not a record of this topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error("version {version} of record type {record_type} is unknown")]
    Version { record_type: i16, version: i16 },
    #[error("malformed record: {0}")]
    Wire(#[from] WireError),
}

/// Key of a record about one member of a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberKey {
    pub group: GroupId,
    pub member: MemberId,
}

/// Key of a resolved regular expression of a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegexKey {
    pub group: GroupId,
    pub regex: Arc<str>,
}

/// One record: the key and its new value, or a tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupRecord {
    OffsetCommit(OffsetCommitKey, Option<OffsetCommitValue>),
    GroupMetadata(GroupId, Option<GroupMetadataValue>),
    ConsumerGroupMetadata(GroupId, Option<ConsumerGroupMetadataValue>),
    /// Written before 4.1 (KIP-1101 replaced it); only its tombstone is still written.
    ConsumerGroupPartitionMetadata(GroupId, Option<ConsumerGroupPartitionMetadataValue>),
    ConsumerGroupMemberMetadata(MemberKey, Option<ConsumerGroupMemberMetadataValue>),
    ConsumerGroupTargetAssignmentMetadata(GroupId, Option<ConsumerGroupTargetAssignmentMetadataValue>),
    ConsumerGroupTargetAssignmentMember(MemberKey, Option<ConsumerGroupTargetAssignmentMemberValue>),
    ConsumerGroupCurrentMemberAssignment(MemberKey, Option<ConsumerGroupCurrentMemberAssignmentValue>),
    ConsumerGroupRegularExpression(RegexKey, Option<ConsumerGroupRegularExpressionValue>),
    /// A record type that is not built here (share and streams groups); replayed as nothing.
    Unknown {
        key: Vec<u8>,
        value: Option<Vec<u8>>,
    },
}

const LEGACY_OFFSET_COMMIT: i16 = 0;
const OFFSET_COMMIT: i16 = 1;
const GROUP_METADATA: i16 = 2;
const CONSUMER_GROUP_METADATA: i16 = 3;
const CONSUMER_GROUP_PARTITION_METADATA: i16 = 4;
const CONSUMER_GROUP_MEMBER_METADATA: i16 = 5;
const CONSUMER_GROUP_TARGET_ASSIGNMENT_METADATA: i16 = 6;
const CONSUMER_GROUP_TARGET_ASSIGNMENT_MEMBER: i16 = 7;
const CONSUMER_GROUP_CURRENT_MEMBER_ASSIGNMENT: i16 = 8;
const CONSUMER_GROUP_REGULAR_EXPRESSION: i16 = 16;

/// A value's fields behind its version.
trait Value: Sized {
    fn write(&self, out: &mut Writer);
    /// `version` has been read.
    fn read(version: i16, from: &mut Reader<'_>) -> Result<Self, RecordError>;
}

impl GroupRecord {
    /// The key's bytes.
    #[must_use]
    pub fn encode_key(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(32);
        match self {
            Self::OffsetCommit(key, _) => key.write(OFFSET_COMMIT, &mut out),
            Self::GroupMetadata(group, _) => group_key(GROUP_METADATA, group, &mut out),
            Self::ConsumerGroupMetadata(group, _) => group_key(CONSUMER_GROUP_METADATA, group, &mut out),
            Self::ConsumerGroupPartitionMetadata(group, _) => {
                group_key(CONSUMER_GROUP_PARTITION_METADATA, group, &mut out);
            }
            Self::ConsumerGroupMemberMetadata(key, _) => {
                member_key(CONSUMER_GROUP_MEMBER_METADATA, key, &mut out);
            }
            Self::ConsumerGroupTargetAssignmentMetadata(group, _) => {
                group_key(CONSUMER_GROUP_TARGET_ASSIGNMENT_METADATA, group, &mut out);
            }
            Self::ConsumerGroupTargetAssignmentMember(key, _) => {
                member_key(CONSUMER_GROUP_TARGET_ASSIGNMENT_MEMBER, key, &mut out);
            }
            Self::ConsumerGroupCurrentMemberAssignment(key, _) => {
                member_key(CONSUMER_GROUP_CURRENT_MEMBER_ASSIGNMENT, key, &mut out);
            }
            Self::ConsumerGroupRegularExpression(key, _) => {
                group_key(CONSUMER_GROUP_REGULAR_EXPRESSION, &key.group, &mut out);
                out.string(&key.regex);
            }
            Self::Unknown { key, .. } => out.raw(key),
        }
        out.into_vec()
    }

    /// The value's bytes; `None` is a tombstone.
    #[must_use]
    pub fn encode_value(&self) -> Option<Vec<u8>> {
        match self {
            Self::OffsetCommit(_, value) => encoded(value.as_ref()),
            Self::GroupMetadata(_, value) => encoded(value.as_ref()),
            Self::ConsumerGroupMetadata(_, value) => encoded(value.as_ref()),
            Self::ConsumerGroupPartitionMetadata(_, value) => encoded(value.as_ref()),
            Self::ConsumerGroupMemberMetadata(_, value) => encoded(value.as_ref()),
            Self::ConsumerGroupTargetAssignmentMetadata(_, value) => encoded(value.as_ref()),
            Self::ConsumerGroupTargetAssignmentMember(_, value) => encoded(value.as_ref()),
            Self::ConsumerGroupCurrentMemberAssignment(_, value) => encoded(value.as_ref()),
            Self::ConsumerGroupRegularExpression(_, value) => encoded(value.as_ref()),
            Self::Unknown { value, .. } => value.clone(),
        }
    }

    /// The group that the record is about; `None` for an unknown record type.
    #[must_use]
    pub const fn group(&self) -> Option<&GroupId> {
        match self {
            Self::OffsetCommit(key, _) => Some(&key.group),
            Self::GroupMetadata(group, _)
            | Self::ConsumerGroupMetadata(group, _)
            | Self::ConsumerGroupPartitionMetadata(group, _)
            | Self::ConsumerGroupTargetAssignmentMetadata(group, _) => Some(group),
            Self::ConsumerGroupMemberMetadata(key, _)
            | Self::ConsumerGroupTargetAssignmentMember(key, _)
            | Self::ConsumerGroupCurrentMemberAssignment(key, _) => Some(&key.group),
            Self::ConsumerGroupRegularExpression(key, _) => Some(&key.group),
            Self::Unknown { .. } => None,
        }
    }

    #[must_use]
    pub const fn is_tombstone(&self) -> bool {
        match self {
            Self::OffsetCommit(_, value) => value.is_none(),
            Self::GroupMetadata(_, value) => value.is_none(),
            Self::ConsumerGroupMetadata(_, value) => value.is_none(),
            Self::ConsumerGroupPartitionMetadata(_, value) => value.is_none(),
            Self::ConsumerGroupMemberMetadata(_, value) => value.is_none(),
            Self::ConsumerGroupTargetAssignmentMetadata(_, value) => value.is_none(),
            Self::ConsumerGroupTargetAssignmentMember(_, value) => value.is_none(),
            Self::ConsumerGroupCurrentMemberAssignment(_, value) => value.is_none(),
            Self::ConsumerGroupRegularExpression(_, value) => value.is_none(),
            Self::Unknown { value, .. } => value.is_none(),
        }
    }

    /// Reads a record. An unknown record type is no error (see [`GroupRecord::Unknown`]); an unknown version of a known
    /// value is.
    pub fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Self, RecordError> {
        let mut from = Reader::new(key);
        Ok(match from.i16()? {
            LEGACY_OFFSET_COMMIT | OFFSET_COMMIT => {
                Self::OffsetCommit(OffsetCommitKey::read(&mut from)?, decoded(OFFSET_COMMIT, value)?)
            }
            GROUP_METADATA => Self::GroupMetadata(group(&mut from)?, decoded(GROUP_METADATA, value)?),
            CONSUMER_GROUP_METADATA => {
                Self::ConsumerGroupMetadata(group(&mut from)?, decoded(CONSUMER_GROUP_METADATA, value)?)
            }
            t @ CONSUMER_GROUP_PARTITION_METADATA => {
                Self::ConsumerGroupPartitionMetadata(group(&mut from)?, decoded(t, value)?)
            }
            t @ CONSUMER_GROUP_MEMBER_METADATA => {
                Self::ConsumerGroupMemberMetadata(member(&mut from)?, decoded(t, value)?)
            }
            t @ CONSUMER_GROUP_TARGET_ASSIGNMENT_METADATA => {
                Self::ConsumerGroupTargetAssignmentMetadata(group(&mut from)?, decoded(t, value)?)
            }
            t @ CONSUMER_GROUP_TARGET_ASSIGNMENT_MEMBER => {
                Self::ConsumerGroupTargetAssignmentMember(member(&mut from)?, decoded(t, value)?)
            }
            t @ CONSUMER_GROUP_CURRENT_MEMBER_ASSIGNMENT => {
                Self::ConsumerGroupCurrentMemberAssignment(member(&mut from)?, decoded(t, value)?)
            }
            t @ CONSUMER_GROUP_REGULAR_EXPRESSION => {
                let key = RegexKey { group: group(&mut from)?, regex: Arc::from(from.string()?) };
                Self::ConsumerGroupRegularExpression(key, decoded(t, value)?)
            }
            _ => Self::Unknown { key: key.to_vec(), value: value.map(<[u8]>::to_vec) },
        })
    }
}

fn encoded(value: Option<&impl Value>) -> Option<Vec<u8>> {
    value.map(|value| {
        let mut out = Writer::with_capacity(64);
        value.write(&mut out);
        out.into_vec()
    })
}

fn decoded<V: Value>(record_type: i16, value: Option<&[u8]>) -> Result<Option<V>, RecordError> {
    let Some(bytes) = value else { return Ok(None) };
    let mut from = Reader::new(bytes);
    let version = from.i16()?;
    match V::read(version, &mut from) {
        Err(RecordError::Version { version, .. }) => Err(RecordError::Version { record_type, version }),
        other => other.map(Some),
    }
}

/// The error of a value whose version is not known; the caller fills in the record type.
fn unknown_version(version: i16) -> RecordError {
    RecordError::Version { record_type: -1, version }
}

fn group_key(record_type: i16, group: &GroupId, out: &mut Writer) {
    out.i16(record_type);
    out.string(group);
}

fn member_key(record_type: i16, key: &MemberKey, out: &mut Writer) {
    group_key(record_type, &key.group, out);
    out.string(&key.member);
}

fn group(from: &mut Reader<'_>) -> Result<GroupId, RecordError> {
    Ok(GroupId::from(from.string()?))
}

fn member(from: &mut Reader<'_>) -> Result<MemberKey, RecordError> {
    Ok(MemberKey { group: group(from)?, member: MemberId::from(from.string()?) })
}
