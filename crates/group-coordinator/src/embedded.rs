//! The consumer embedded protocol: what Java's consumers put into the opaque fields of the classic protocol. The
//! coordinator looks inside to know a group's topics, and to bring classic members into a consumer group and out of it.
//!
//! | message | since v0 | v1 | v2 | v3 |
//! |--|--|--|--|--|
//! | subscription | `topics ARRAY<STRING>`, `user_data BYTES?` | `owned ARRAY<STRING, ARRAY<i32>>` | `generation i32` | `rack STRING?` |
//! | assignment | `assigned ARRAY<STRING, ARRAY<i32>>`, `user_data BYTES?` | | | |
//!
//! Each follows its version, `i16`. Source: `ConsumerProtocolSubscription.json`, `ConsumerProtocolAssignment.json`; a
//! version above ours is read as ours, for later versions only add to the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use ottla_model::wire::{Reader, WireError, Writer};

use crate::assignor::Assignment;
use crate::consumer::TopicDirectory;

const HIGHEST_VERSION: i16 = 3;

/// Partitions by topic name.
pub(crate) type NamedPartitions = Vec<(Arc<str>, Vec<i32>)>;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Subscription {
    pub(crate) topics: Vec<Arc<str>>,
    pub(crate) owned: NamedPartitions,
    pub(crate) rack_id: Option<Arc<str>>,
}

/// What a member was assigned; whether the assignor said more than that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AssignedPartitions {
    pub(crate) partitions: NamedPartitions,
    pub(crate) has_user_data: bool,
}

/// The version in front of a subscription or assignment.
pub(crate) fn version_of(message: &[u8]) -> Result<i16, WireError> {
    version(&mut Reader::new(message))
}

fn version(from: &mut Reader<'_>) -> Result<i16, WireError> {
    let version = from.i16()?;
    if version < 0 {
        return Err(WireError::BadLength(version.into()));
    }
    Ok(version.min(HIGHEST_VERSION))
}

/// Topics of a subscription, read as one of version 0 whatever its version: what follows may be broken.
pub(crate) fn subscribed_topics(message: &[u8]) -> Result<BTreeSet<Arc<str>>, WireError> {
    let mut from = Reader::new(message);
    from.i16()?;
    let topics = topics(&mut from)?;
    from.nullable_bytes()?;
    Ok(topics.into_iter().collect())
}

pub(crate) fn read_subscription(message: &[u8]) -> Result<Subscription, WireError> {
    let mut from = Reader::new(message);
    let version = version(&mut from)?;
    let mut out = Subscription { topics: topics(&mut from)?, ..Subscription::default() };
    from.nullable_bytes()?;
    if version >= 1 {
        out.owned = partitions(&mut from)?;
    }
    if version >= 2 {
        from.i32()?;
    }
    if version >= 3 {
        out.rack_id = from.nullable_string()?.filter(|rack| !rack.is_empty()).map(Arc::from);
    }
    Ok(out)
}

pub(crate) fn read_assignment(message: &[u8]) -> Result<AssignedPartitions, WireError> {
    let mut from = Reader::new(message);
    version(&mut from)?;
    let partitions = partitions(&mut from)?;
    let has_user_data = from.nullable_bytes()?.is_some_and(|data| !data.is_empty());
    Ok(AssignedPartitions { partitions, has_user_data })
}

/// An assignment without user data; topics that no longer exist are left out.
pub(crate) fn write_assignment(
    assignment: &Assignment,
    version: i16,
    directory: &dyn TopicDirectory,
) -> Bytes {
    let known = assignment
        .iter()
        .filter_map(|(id, partitions)| directory.topic_by_id(*id).map(|topic| (topic.name, partitions)));
    let topics: Vec<(Arc<str>, &BTreeSet<i32>)> = known.collect();
    let mut out = Writer::with_capacity(64);
    out.i16(version.min(HIGHEST_VERSION));
    out.array_len(Some(topics.len()));
    for (name, partitions) in topics {
        out.string(&name);
        out.array_len(Some(partitions.len()));
        partitions.iter().for_each(|partition| out.i32(*partition));
    }
    out.nullable_bytes(None);
    out.into_vec().into()
}

/// By topic id; topics that do not exist are left out. A topic that is named twice counts as it was named last.
pub(crate) fn by_id(partitions: &NamedPartitions, directory: &dyn TopicDirectory) -> Assignment {
    let known = partitions.iter().filter_map(|(name, partitions)| {
        directory.topic(name).map(|topic| (topic.id, partitions.iter().copied().collect()))
    });
    known.collect::<BTreeMap<_, _>>()
}

fn topics(from: &mut Reader<'_>) -> Result<Vec<Arc<str>>, WireError> {
    let count = from.array_len()?.ok_or(WireError::BadLength(-1))?;
    (0..count).map(|_| from.string().map(Arc::from)).collect()
}

fn partitions(from: &mut Reader<'_>) -> Result<NamedPartitions, WireError> {
    let count = from.array_len()?.ok_or(WireError::BadLength(-1))?;
    (0..count)
        .map(|_| {
            let topic = Arc::from(from.string()?);
            let count = from.array_len()?.ok_or(WireError::BadLength(-1))?;
            let partitions = (0..count).map(|_| from.i32()).collect::<Result<_, _>>()?;
            Ok((topic, partitions))
        })
        .collect()
}
