//! The values of KIP-848 consumer groups (all flexible, all version 0).

use std::sync::Arc;

use bytes::Bytes;
use ottla_model::wire::{Reader, WireError, Writer};
use ottla_model::{TimestampMs, TopicId};

use super::{RecordError, Value, unknown_version};
use crate::ids::InstanceId;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerGroupMetadataValue {
    pub epoch: i32,
    /// Hash of all subscribed topics (KIP-1101); 0 where none was computed.
    pub metadata_hash: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerGroupPartitionMetadataValue {
    pub topics: Vec<TopicMetadata>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicMetadata {
    pub topic_id: TopicId,
    pub topic_name: Arc<str>,
    pub num_partitions: i32,
    pub partition_metadata: Vec<PartitionRacks>,
}

/// A partition's racks; not used since 4.0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionRacks {
    pub partition: i32,
    pub racks: Vec<Arc<str>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerGroupMemberMetadataValue {
    pub instance_id: Option<InstanceId>,
    pub rack_id: Option<Arc<str>>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    pub subscribed_topic_names: Vec<Arc<str>>,
    pub subscribed_topic_regex: Option<Arc<str>>,
    /// -1 where not set.
    pub rebalance_timeout_ms: i32,
    pub server_assignor: Option<Arc<str>>,
    /// Set for a member that speaks the classic protocol in a consumer group.
    pub classic_member_metadata: Option<ClassicMemberMetadata>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassicMemberMetadata {
    pub session_timeout_ms: i32,
    pub supported_protocols: Vec<ClassicProtocol>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassicProtocol {
    pub name: Arc<str>,
    pub metadata: Bytes,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerGroupTargetAssignmentMetadataValue {
    pub assignment_epoch: i32,
    /// When the assignment was computed (KIP-1263, 4.3); 0 where unknown.
    pub assignment_timestamp: TimestampMs,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerGroupTargetAssignmentMemberValue {
    pub topic_partitions: Vec<TopicPartitions>,
}

/// A topic's partitions, in the order given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicPartitions {
    pub topic_id: TopicId,
    pub partitions: Vec<i32>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerGroupCurrentMemberAssignmentValue {
    pub member_epoch: i32,
    pub previous_member_epoch: i32,
    /// Kafka's `MemberState` number.
    pub state: i8,
    pub assigned_partitions: Vec<OwnedTopicPartitions>,
    pub partitions_pending_revocation: Vec<OwnedTopicPartitions>,
}

/// A topic's partitions and, where known, the epoch at which each was assigned (same length).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnedTopicPartitions {
    pub topic_id: TopicId,
    pub partitions: Vec<i32>,
    pub assignment_epochs: Option<Vec<i32>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerGroupRegularExpressionValue {
    pub topics: Vec<Arc<str>>,
    /// Version of the metadata image that the expression was resolved on.
    pub version: i64,
    pub timestamp: TimestampMs,
}

impl Value for ConsumerGroupMetadataValue {
    fn write(&self, out: &mut Writer) {
        out.i16(0);
        out.i32(self.epoch);
        match self.metadata_hash {
            0 => out.no_tagged_fields(),
            hash => out.tagged_fields(&[(0, hash.to_be_bytes().to_vec())]),
        }
    }

    fn read(version: i16, from: &mut Reader<'_>) -> Result<Self, RecordError> {
        only_zero(version)?;
        let epoch = from.i32()?;
        Ok(Self { epoch, metadata_hash: tagged(from, 0, |field| field.i64())?.unwrap_or(0) })
    }
}

impl Value for ConsumerGroupPartitionMetadataValue {
    fn write(&self, out: &mut Writer) {
        out.i16(0);
        write_array(&self.topics, out, |topic, out| {
            out.topic_id(topic.topic_id);
            out.compact_string(&topic.topic_name);
            out.i32(topic.num_partitions);
            write_array(&topic.partition_metadata, out, |partition, out| {
                out.i32(partition.partition);
                write_array(&partition.racks, out, |rack, out| out.compact_string(rack));
                out.no_tagged_fields();
            });
            out.no_tagged_fields();
        });
        out.no_tagged_fields();
    }

    fn read(version: i16, from: &mut Reader<'_>) -> Result<Self, RecordError> {
        only_zero(version)?;
        let topics = read_array(from, |from| {
            let topic = TopicMetadata {
                topic_id: from.topic_id()?,
                topic_name: Arc::from(from.compact_string()?),
                num_partitions: from.i32()?,
                partition_metadata: read_array(from, |from| {
                    let racks = PartitionRacks { partition: from.i32()?, racks: read_strings(from)? };
                    from.skip_tagged_fields()?;
                    Ok(racks)
                })?,
            };
            from.skip_tagged_fields()?;
            Ok(topic)
        })?;
        from.skip_tagged_fields()?;
        Ok(Self { topics })
    }
}

impl Value for ConsumerGroupMemberMetadataValue {
    fn write(&self, out: &mut Writer) {
        out.i16(0);
        out.compact_nullable_string(self.instance_id.as_deref());
        out.compact_nullable_string(self.rack_id.as_deref());
        out.compact_string(&self.client_id);
        out.compact_string(&self.client_host);
        write_array(&self.subscribed_topic_names, out, |name, out| out.compact_string(name));
        out.compact_nullable_string(self.subscribed_topic_regex.as_deref());
        out.i32(self.rebalance_timeout_ms);
        out.compact_nullable_string(self.server_assignor.as_deref());
        // Kafka's generated code takes an empty struct, not null, for this field's default: null is written out.
        match &self.classic_member_metadata {
            None => out.tagged_fields(&[(0, vec![0])]),
            Some(classic) if *classic == ClassicMemberMetadata::default() => out.no_tagged_fields(),
            Some(classic) => out.tagged_fields(&[(0, classic.encode())]),
        }
    }

    fn read(version: i16, from: &mut Reader<'_>) -> Result<Self, RecordError> {
        only_zero(version)?;
        Ok(Self {
            instance_id: from.compact_nullable_string()?.map(InstanceId::from),
            rack_id: from.compact_nullable_string()?.map(Arc::from),
            client_id: Arc::from(from.compact_string()?),
            client_host: Arc::from(from.compact_string()?),
            subscribed_topic_names: read_strings(from)?,
            subscribed_topic_regex: from.compact_nullable_string()?.map(Arc::from),
            rebalance_timeout_ms: from.i32()?,
            server_assignor: from.compact_nullable_string()?.map(Arc::from),
            classic_member_metadata: match tagged(from, 0, ClassicMemberMetadata::decode)? {
                Some(said) => said,
                None => Some(ClassicMemberMetadata::default()),
            },
        })
    }
}

/// A nullable struct as a tagged field: 1, or 0 for null, before the fields.
impl ClassicMemberMetadata {
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.i8(1);
        out.i32(self.session_timeout_ms);
        write_array(&self.supported_protocols, &mut out, |protocol, out| {
            out.compact_string(&protocol.name);
            out.compact_bytes(&protocol.metadata);
            out.no_tagged_fields();
        });
        out.no_tagged_fields();
        out.into_vec()
    }

    fn decode(from: &mut Reader<'_>) -> Result<Option<Self>, WireError> {
        if from.unsigned_varint()? == 0 {
            return Ok(None);
        }
        let session_timeout_ms = from.i32()?;
        let supported_protocols = read_array(from, |from| {
            let name = Arc::from(from.compact_string()?);
            let metadata = Bytes::copy_from_slice(from.compact_bytes()?);
            from.skip_tagged_fields()?;
            Ok(ClassicProtocol { name, metadata })
        })?;
        from.skip_tagged_fields()?;
        Ok(Some(Self { session_timeout_ms, supported_protocols }))
    }
}

impl Value for ConsumerGroupTargetAssignmentMetadataValue {
    fn write(&self, out: &mut Writer) {
        out.i16(0);
        out.i32(self.assignment_epoch);
        match self.assignment_timestamp.get() {
            0 => out.no_tagged_fields(),
            time => out.tagged_fields(&[(0, time.to_be_bytes().to_vec())]),
        }
    }

    fn read(version: i16, from: &mut Reader<'_>) -> Result<Self, RecordError> {
        only_zero(version)?;
        let assignment_epoch = from.i32()?;
        let time = tagged(from, 0, |field| field.i64())?.unwrap_or(0);
        Ok(Self { assignment_epoch, assignment_timestamp: TimestampMs(time) })
    }
}

impl Value for ConsumerGroupTargetAssignmentMemberValue {
    fn write(&self, out: &mut Writer) {
        out.i16(0);
        write_array(&self.topic_partitions, out, |topic, out| {
            out.topic_id(topic.topic_id);
            write_ints(&topic.partitions, out);
            out.no_tagged_fields();
        });
        out.no_tagged_fields();
    }

    fn read(version: i16, from: &mut Reader<'_>) -> Result<Self, RecordError> {
        only_zero(version)?;
        let topic_partitions = read_array(from, |from| {
            let topic = TopicPartitions { topic_id: from.topic_id()?, partitions: read_ints(from)? };
            from.skip_tagged_fields()?;
            Ok(topic)
        })?;
        from.skip_tagged_fields()?;
        Ok(Self { topic_partitions })
    }
}

impl Value for ConsumerGroupCurrentMemberAssignmentValue {
    fn write(&self, out: &mut Writer) {
        out.i16(0);
        out.i32(self.member_epoch);
        out.i32(self.previous_member_epoch);
        out.i8(self.state);
        write_array(&self.assigned_partitions, out, OwnedTopicPartitions::write);
        write_array(&self.partitions_pending_revocation, out, OwnedTopicPartitions::write);
        out.no_tagged_fields();
    }

    fn read(version: i16, from: &mut Reader<'_>) -> Result<Self, RecordError> {
        only_zero(version)?;
        let value = Self {
            member_epoch: from.i32()?,
            previous_member_epoch: from.i32()?,
            state: from.i8()?,
            assigned_partitions: read_array(from, OwnedTopicPartitions::read)?,
            partitions_pending_revocation: read_array(from, OwnedTopicPartitions::read)?,
        };
        from.skip_tagged_fields()?;
        Ok(value)
    }
}

impl OwnedTopicPartitions {
    fn write(&self, out: &mut Writer) {
        out.topic_id(self.topic_id);
        write_ints(&self.partitions, out);
        match &self.assignment_epochs {
            None => out.no_tagged_fields(),
            Some(epochs) => {
                let mut field = Writer::new();
                write_ints(epochs, &mut field);
                out.tagged_fields(&[(0, field.into_vec())]);
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        let topic_id = from.topic_id()?;
        let partitions = read_ints(from)?;
        let epochs = |field: &mut Reader<'_>| match field.compact_array_len()? {
            None => Ok(None),
            Some(count) => (0..count).map(|_| field.i32()).collect::<Result<_, _>>().map(Some),
        };
        Ok(Self { topic_id, partitions, assignment_epochs: tagged(from, 0, epochs)?.flatten() })
    }
}

impl Value for ConsumerGroupRegularExpressionValue {
    fn write(&self, out: &mut Writer) {
        out.i16(0);
        write_array(&self.topics, out, |topic, out| out.compact_string(topic));
        out.i64(self.version);
        out.i64(self.timestamp.get());
        out.no_tagged_fields();
    }

    fn read(version: i16, from: &mut Reader<'_>) -> Result<Self, RecordError> {
        only_zero(version)?;
        let value =
            Self { topics: read_strings(from)?, version: from.i64()?, timestamp: TimestampMs(from.i64()?) };
        from.skip_tagged_fields()?;
        Ok(value)
    }
}

fn only_zero(version: i16) -> Result<(), RecordError> {
    if version == 0 { Ok(()) } else { Err(unknown_version(version)) }
}

fn write_array<T>(items: &[T], out: &mut Writer, mut write: impl FnMut(&T, &mut Writer)) {
    out.compact_len(Some(items.len()));
    for item in items {
        write(item, out);
    }
}

fn write_ints(items: &[i32], out: &mut Writer) {
    write_array(items, out, |item, out| out.i32(*item));
}

fn read_array<T>(
    from: &mut Reader<'_>,
    mut read: impl FnMut(&mut Reader<'_>) -> Result<T, WireError>,
) -> Result<Vec<T>, WireError> {
    let count = from.compact_array_len()?.ok_or(WireError::BadLength(-1))?;
    (0..count).map(|_| read(from)).collect()
}

fn read_ints(from: &mut Reader<'_>) -> Result<Vec<i32>, WireError> {
    read_array(from, |from| from.i32())
}

fn read_strings(from: &mut Reader<'_>) -> Result<Vec<Arc<str>>, WireError> {
    read_array(from, |from| from.compact_string().map(Arc::from))
}

/// Reads a tagged-field section of which `tag` is known.
fn tagged<T>(
    from: &mut Reader<'_>,
    tag: u32,
    read: impl Fn(&mut Reader<'_>) -> Result<T, WireError>,
) -> Result<Option<T>, WireError> {
    let mut value = None;
    from.tagged_fields(|found, bytes| {
        if found == tag {
            value = Some(read(&mut Reader::new(bytes))?);
        }
        Ok(())
    })?;
    Ok(value)
}
