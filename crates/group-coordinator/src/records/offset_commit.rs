//! `OffsetCommitKey` (type 1; type 0 is its legacy form, read alike) and `OffsetCommitValue` (versions 0 to 4).

use std::sync::Arc;

use ottla_model::wire::{Reader, WireError, Writer};
use ottla_model::{LeaderEpoch, Offset, TimestampMs, TopicId, TopicPartition};

use super::{RecordError, Value, unknown_version};
use crate::ids::GroupId;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OffsetCommitKey {
    pub group: GroupId,
    pub topic_partition: TopicPartition,
}

/// A committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetCommitValue {
    pub offset: Offset,
    pub leader_epoch: LeaderEpoch,
    pub metadata: Arc<str>,
    pub commit_timestamp: TimestampMs,
    /// Only from clients that sent a retention time (OffsetCommit v2 to v4); written as version 1.
    pub expire_timestamp: Option<TimestampMs>,
    /// [`TopicId::ZERO`] where the topic was not known when the offset was committed.
    pub topic_id: TopicId,
}

/// Tag of `topicId` in version 4.
const TOPIC_ID: u32 = 0;

impl OffsetCommitKey {
    pub(super) fn write(&self, record_type: i16, out: &mut Writer) {
        super::group_key(record_type, &self.group, out);
        out.string(&self.topic_partition.topic);
        out.i32(self.topic_partition.partition);
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        let group = GroupId::from(from.string()?);
        let topic = from.string()?;
        Ok(Self { group, topic_partition: TopicPartition::new(topic, from.i32()?) })
    }
}

impl Value for OffsetCommitValue {
    fn write(&self, out: &mut Writer) {
        match self.expire_timestamp {
            Some(expire_timestamp) => self.write_v1(expire_timestamp, out),
            None => self.write_v4(out),
        }
    }

    fn read(version: i16, from: &mut Reader<'_>) -> Result<Self, RecordError> {
        if !(0..=4).contains(&version) {
            return Err(unknown_version(version));
        }
        let offset = Offset(from.i64()?);
        let leader_epoch = if version >= 3 { LeaderEpoch(from.i32()?) } else { LeaderEpoch::NONE };
        let metadata = if version >= 4 { from.compact_string()? } else { from.string()? };
        let metadata = Arc::from(metadata);
        let commit_timestamp = TimestampMs(from.i64()?);
        let expire_timestamp = if version == 1 { Some(TimestampMs(from.i64()?)) } else { None };
        let expire_timestamp = expire_timestamp.filter(|time| *time != TimestampMs::NONE);
        let topic_id = if version >= 4 { tagged_topic_id(from)? } else { TopicId::ZERO };
        Ok(Self { offset, leader_epoch, metadata, commit_timestamp, expire_timestamp, topic_id })
    }
}

impl OffsetCommitValue {
    fn write_v1(&self, expire_timestamp: TimestampMs, out: &mut Writer) {
        out.i16(1);
        out.i64(self.offset.get());
        out.string(&self.metadata);
        out.i64(self.commit_timestamp.get());
        out.i64(expire_timestamp.get());
    }

    fn write_v4(&self, out: &mut Writer) {
        out.i16(4);
        out.i64(self.offset.get());
        out.i32(self.leader_epoch.get());
        out.compact_string(&self.metadata);
        out.i64(self.commit_timestamp.get());
        if self.topic_id == TopicId::ZERO {
            out.no_tagged_fields();
        } else {
            out.tagged_fields(&[(TOPIC_ID, self.topic_id.0.as_bytes().to_vec())]);
        }
    }
}

fn tagged_topic_id(from: &mut Reader<'_>) -> Result<TopicId, WireError> {
    let mut id = TopicId::ZERO;
    from.tagged_fields(|tag, bytes| {
        if tag == TOPIC_ID {
            id = Reader::new(bytes).topic_id()?;
        }
        Ok(())
    })?;
    Ok(id)
}
