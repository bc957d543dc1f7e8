//! The topic whose partitions members share, and how classic members write of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use ottla_group_coordinator::offsets::{
    OffsetCommitRequest, OffsetCommitTopic, OffsetFetchRequest, OffsetFetchTopic, OffsetToCommit,
};
use ottla_group_coordinator::{GroupError, GroupId, GroupResponse, InstanceId, MemberId};
use ottla_model::wire::{Reader, WireError, Writer};
use ottla_model::{LeaderEpoch, Offset, TopicId};
use uuid::Uuid;

/// Nobody produces to it: only the coordinators know it.
pub(crate) const TOPIC: &str = "work";
pub(crate) const TOPIC_ID: TopicId = TopicId(Uuid::from_u128(0x0077_6f72_6b00));
pub(crate) const PARTITIONS: i32 = 5;

pub(super) fn fetch(group: GroupId, partition: i32) -> OffsetFetchRequest {
    let topic = OffsetFetchTopic { name: Arc::from(TOPIC), topic_id: TOPIC_ID, partitions: vec![partition] };
    OffsetFetchRequest { group, member_id: None, member_epoch: -1, topics: Some(vec![topic]) }
}

pub(super) fn commit(
    group: GroupId,
    (member_id, instance_id): (MemberId, Option<InstanceId>),
    generation: i32,
    partition: i32,
    offset: i64,
) -> OffsetCommitRequest {
    let (offset, leader_epoch) = (Offset(offset), LeaderEpoch::NONE);
    let partitions = vec![OffsetToCommit { partition, offset, leader_epoch, metadata: None }];
    OffsetCommitRequest {
        group,
        member_id,
        instance_id,
        generation,
        knows_epochs: true,
        retention_ms: None,
        topics: vec![OffsetCommitTopic { name: Arc::from(TOPIC), topic_id: TOPIC_ID, partitions }],
    }
}

/// What is wrong with the one partition that a write named.
pub(super) fn written(response: &GroupResponse) -> Option<GroupError> {
    let (GroupResponse::OffsetCommit(result) | GroupResponse::OffsetDelete(result)) = response else {
        return Some(GroupError::UnknownServer);
    };
    match result {
        Ok(topics) => topics.first()?.partitions.first()?.error.clone(),
        Err(error) => Some(error.clone()),
    }
}

/// `ConsumerProtocolSubscription` v0.
pub(super) fn subscription() -> Bytes {
    let mut out = Writer::new();
    out.i16(0);
    out.array_len(Some(1));
    out.string(TOPIC);
    out.nullable_bytes(None);
    out.into_vec().into()
}

/// `ConsumerProtocolAssignment` v0.
pub(super) fn assignment(partitions: &BTreeSet<i32>) -> Bytes {
    let mut out = Writer::new();
    out.i16(0);
    out.array_len(Some(1));
    out.string(TOPIC);
    out.array_len(Some(partitions.len()));
    partitions.iter().for_each(|partition| out.i32(*partition));
    out.nullable_bytes(None);
    out.into_vec().into()
}

/// The partitions of an assignment; none of an empty one.
pub(super) fn assigned(bytes: &[u8]) -> Result<BTreeSet<i32>, WireError> {
    if bytes.is_empty() {
        return Ok(BTreeSet::new());
    }
    let mut from = Reader::new(bytes);
    from.i16()?;
    let mut all = BTreeSet::new();
    for _ in 0..from.array_len()?.unwrap_or(0) {
        from.string()?;
        for _ in 0..from.array_len()?.unwrap_or(0) {
            all.insert(from.i32()?);
        }
    }
    Ok(all)
}
