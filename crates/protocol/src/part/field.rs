//! In which versions a field travels, and how.

use std::ops::{Bound, RangeBounds};

use bytes::BytesMut;
use ottla_model::wire::WireError;

use super::{BodyReader, Part, Version, wire_len};
use crate::EncodeError;

/// A field's line in its schema. Ranges are inclusive; an empty one never matches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FieldRule {
    name: &'static str,
    versions: (i16, i16),
    nullable: (i16, i16),
    tag: Option<u32>,
    ignorable: bool,
}

impl FieldRule {
    pub(crate) fn new(name: &'static str, versions: impl RangeBounds<i16>) -> Self {
        Self { name, versions: bounds(&versions), nullable: (0, -1), tag: None, ignorable: false }
    }

    /// `"nullableVersions"`.
    pub(crate) fn nullable(self, versions: impl RangeBounds<i16>) -> Self {
        Self { nullable: bounds(&versions), ..self }
    }

    /// `"tag"`, with `"taggedVersions"` the same as `"versions"`.
    pub(crate) fn tag(self, tag: u32) -> Self {
        Self { tag: Some(tag), ..self }
    }

    /// `"ignorable": true`.
    pub(crate) fn ignorable(self) -> Self {
        Self { ignorable: true, ..self }
    }

    fn travels(&self, v: Version) -> bool {
        within(self.versions, v)
    }

    pub(crate) fn read_plain<T: Part>(
        &self,
        value: &mut T,
        reader: &mut BodyReader<'_>,
        v: Version,
    ) -> Result<(), WireError> {
        if self.tag.is_none() && self.travels(v) {
            *value = self.read(reader, v)?;
        }
        Ok(())
    }

    /// Reads the field if `tag` is its own, and then all of its bytes; others are skipped by the caller.
    pub(crate) fn read_tagged<T: Part>(
        &self,
        value: &mut T,
        tag: u32,
        reader: &mut BodyReader<'_>,
        v: Version,
    ) -> Result<(), WireError> {
        if self.tag != Some(tag) || !self.travels(v) {
            return Ok(());
        }
        *value = self.read(reader, v)?;
        match reader.raw.remaining().len() {
            0 => Ok(()),
            left => Err(WireError::BadLength(wire_len(left))),
        }
    }

    fn read<T: Part>(&self, reader: &mut BodyReader<'_>, v: Version) -> Result<T, WireError> {
        let value = T::read(reader, v)?;
        if value.is_null() && !within(self.nullable, v) {
            return Err(WireError::BadLength(-1));
        }
        Ok(value)
    }

    pub(crate) fn write_plain<T: Part + PartialEq>(
        &self,
        value: &T,
        default: &T,
        out: &mut BytesMut,
        v: Version,
    ) -> Result<(), EncodeError> {
        if !self.travels(v) {
            let droppable = self.ignorable || value == default;
            return if droppable { Ok(()) } else { Err(EncodeError::NotInVersion { field: self.name }) };
        }
        if self.tag.is_some() { Ok(()) } else { self.write(value, out, v) }
    }

    /// Adds the field to the tagged section, unless it is what its absence means.
    pub(crate) fn write_tagged<T: Part + PartialEq>(
        &self,
        value: &T,
        default: &T,
        section: &mut Vec<(u32, BytesMut)>,
        v: Version,
    ) -> Result<(), EncodeError> {
        let Some(tag) = self.tag.filter(|_| self.travels(v) && value != default) else {
            return Ok(());
        };
        let mut bytes = BytesMut::new();
        self.write(value, &mut bytes, v)?;
        section.push((tag, bytes));
        Ok(())
    }

    fn write<T: Part>(&self, value: &T, out: &mut BytesMut, v: Version) -> Result<(), EncodeError> {
        if value.is_null() && !within(self.nullable, v) {
            return Err(EncodeError::Null { field: self.name });
        }
        value.write(out, v)
    }
}

fn within((from, to): (i16, i16), v: Version) -> bool {
    from <= v.number && v.number <= to
}

fn bounds(range: &impl RangeBounds<i16>) -> (i16, i16) {
    let from = match range.start_bound() {
        Bound::Included(from) => *from,
        Bound::Excluded(before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let to = match range.end_bound() {
        Bound::Included(to) => *to,
        Bound::Excluded(after) => after.saturating_sub(1),
        Bound::Unbounded => i16::MAX,
    };
    (from, to)
}
