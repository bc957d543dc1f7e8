//! Arrays, uuids and tagged fields as the metadata schemas use them.

use std::fmt;

use ottla_model::wire::{Reader, WireError, Writer};
use ottla_model::{BrokerId, TopicId};

/// The id of a log directory (KIP-858).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DirectoryId(pub uuid::Uuid);

impl DirectoryId {
    /// No directory has been chosen yet.
    pub const UNASSIGNED: Self = Self(uuid::Uuid::nil());
    /// The replica's directory is offline or lost.
    pub const LOST: Self = Self(uuid::Uuid::from_u128(1));
    /// The broker has one directory only and does not say which.
    pub const MIGRATING: Self = Self(uuid::Uuid::from_u128(2));

    /// Whether this names no directory: the first hundred ids are kept for meanings such as the above.
    #[must_use]
    pub const fn is_reserved(&self) -> bool {
        self.0.as_u128() < 100
    }
}

impl fmt::Display for DirectoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        TopicId(self.0).fmt(f)
    }
}

pub(super) fn read_uuid(from: &mut Reader<'_>) -> Result<uuid::Uuid, WireError> {
    from.topic_id().map(|id| id.0)
}

pub(super) fn write_uuid(out: &mut Writer, uuid: uuid::Uuid) {
    out.topic_id(TopicId(uuid));
}

/// An array, or `None` for null. `item` must consume at least one byte.
pub(super) fn read_nullable_array<'a, T>(
    from: &mut Reader<'a>,
    mut item: impl FnMut(&mut Reader<'a>) -> Result<T, WireError>,
) -> Result<Option<Vec<T>>, WireError> {
    let Some(count) = from.compact_array_len()? else { return Ok(None) };
    let mut items = Vec::with_capacity(count.min(1_024));
    for _ in 0..count {
        items.push(item(from)?);
    }
    Ok(Some(items))
}

pub(super) fn read_array<'a, T>(
    from: &mut Reader<'a>,
    item: impl FnMut(&mut Reader<'a>) -> Result<T, WireError>,
) -> Result<Vec<T>, WireError> {
    read_nullable_array(from, item)?.ok_or(WireError::BadLength(-1))
}

pub(super) fn write_array<T>(out: &mut Writer, items: &[T], mut item: impl FnMut(&mut Writer, &T)) {
    out.compact_len(Some(items.len()));
    for each in items {
        item(out, each);
    }
}

pub(super) fn read_broker(from: &mut Reader<'_>) -> Result<BrokerId, WireError> {
    from.i32().map(BrokerId)
}

pub(super) fn read_brokers(from: &mut Reader<'_>) -> Result<Vec<BrokerId>, WireError> {
    read_array(from, read_broker)
}

pub(super) fn write_brokers(out: &mut Writer, brokers: &[BrokerId]) {
    write_array(out, brokers, |out, broker| out.i32(broker.get()));
}

pub(super) fn read_directory(from: &mut Reader<'_>) -> Result<DirectoryId, WireError> {
    read_uuid(from).map(DirectoryId)
}

pub(super) fn write_directories(out: &mut Writer, directories: &[DirectoryId]) {
    write_array(out, directories, |out, directory| write_uuid(out, directory.0));
}

/// A tagged-field section in the making; fields must be added in ascending order of tag.
#[derive(Debug, Default)]
pub(super) struct Tags {
    fields: Vec<(u32, Vec<u8>)>,
}

impl Tags {
    pub(super) fn add(&mut self, tag: u32, write: impl FnOnce(&mut Writer)) {
        let mut field = Writer::new();
        write(&mut field);
        self.fields.push((tag, field.into_vec()));
    }

    pub(super) fn add_brokers(&mut self, tag: u32, brokers: Option<&[BrokerId]>) {
        if let Some(brokers) = brokers {
            self.add(tag, |out| write_brokers(out, brokers));
        }
    }

    pub(super) fn add_directories(&mut self, tag: u32, directories: Option<&[DirectoryId]>) {
        if let Some(directories) = directories {
            self.add(tag, |out| write_directories(out, directories));
        }
    }

    pub(super) fn finish(self, out: &mut Writer) {
        out.tagged_fields(&self.fields);
    }
}
