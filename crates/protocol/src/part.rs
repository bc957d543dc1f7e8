//! The parts of which our own messages are made: how each type travels, and by which versions a field goes.
//!
//! Source: `MessageDataGenerator` semantics as seen in Kafka's schemas: a field travels in its `versions`, in the
//! tagged section in its `taggedVersions`, may be null in its `nullableVersions`; where it does not travel it reads as
//! its default, and writing anything but the default is an error unless it is `ignorable`.

mod field;
mod message;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{BrokerId, GroupId, ProducerId, TopicName, TransactionalId};
use kafka_protocol::protocol::StrBytes;
use ottla_model::wire::{Reader, WireError};
use uuid::Uuid;

use crate::EncodeError;

pub(crate) use field::FieldRule;
pub(crate) use message::message;

/// Kafka's own bound on the elements of an array (4.4.0).
pub(crate) const ARRAY_COUNT_MAX: usize = 1_000_000;
/// Kafka's own bound on the bytes of a string, compact or not.
pub(crate) const STRING_LEN_MAX: usize = i16::MAX as usize;
/// Kafka's own bound on the fields of one tagged section (4.4.0).
pub(crate) const TAGGED_FIELD_COUNT_MAX: u32 = 10_000;
/// At most this many elements are reserved from a count alone, as in Kafka 4.4.0.
pub(crate) const ARRAY_RESERVE_MAX: usize = 1_000;

/// Elements that take no more are plain numbers and ids, of which no array's memory is more than its bytes.
const PLAIN_LEN: usize = 16;

/// The version in which a message is read or written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Version {
    pub(crate) number: i16,
    pub(crate) flexible: bool,
}

/// Reads a body, giving out slices of it without a copy.
#[derive(Debug)]
pub(crate) struct BodyReader<'a> {
    body: &'a Bytes,
    pub(crate) raw: Reader<'a>,
    /// Elements of arrays so far: all of them together are bounded, as each becomes far more than it takes here.
    elements: usize,
}

impl<'a> BodyReader<'a> {
    pub(crate) fn new(body: &'a Bytes) -> Self {
        Self { body, raw: Reader::new(body), elements: 0 }
    }

    fn share(&self, slice: &'a [u8]) -> Bytes {
        self.body.slice_ref(slice)
    }

    fn count(&mut self, v: Version) -> Result<Option<usize>, WireError> {
        let count = if v.flexible { self.raw.compact_array_len()? } else { self.raw.array_len()? };
        match count {
            Some(count) if count > ARRAY_COUNT_MAX => Err(WireError::BadLength(wire_len(count))),
            count => Ok(count),
        }
    }

    /// Counts the elements of an array of structs or strings.
    fn count_elements(&mut self, count: usize) -> Result<(), WireError> {
        self.elements += count;
        if self.elements > ARRAY_COUNT_MAX {
            Err(WireError::BadLength(wire_len(self.elements)))
        } else {
            Ok(())
        }
    }

    /// Reads a tagged section; `field` gets each tag with a reader of its bytes, which it may leave unread.
    pub(crate) fn tagged_fields(
        &mut self,
        mut field: impl FnMut(u32, &mut Self) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        let count = self.raw.unsigned_varint()?;
        if count > TAGGED_FIELD_COUNT_MAX {
            return Err(WireError::BadLength(i64::from(count)));
        }
        for _ in 0..count {
            let tag = self.raw.unsigned_varint()?;
            let len = self.raw.unsigned_varint()?;
            let len = usize::try_from(len).map_err(|_| WireError::BadLength(i64::from(len)))?;
            let bytes = self.raw.take(len)?;
            let mut inner = Self { body: self.body, raw: Reader::new(bytes), elements: self.elements };
            field(tag, &mut inner)?;
            self.elements = inner.elements;
        }
        Ok(())
    }
}

/// A value inside a message.
pub(crate) trait Part: Sized {
    fn read(reader: &mut BodyReader<'_>, v: Version) -> Result<Self, WireError>;
    fn write(&self, out: &mut BytesMut, v: Version) -> Result<(), EncodeError>;

    fn is_null(&self) -> bool {
        false
    }
}

/// A value that has a form for null.
pub(crate) trait NullablePart: Part {
    fn read_nullable(reader: &mut BodyReader<'_>, v: Version) -> Result<Option<Self>, WireError>;
    fn write_null(out: &mut BytesMut, v: Version);

    /// Appends a value that is there; where null takes a byte of its own, so does this.
    fn write_present(&self, out: &mut BytesMut, v: Version) -> Result<(), EncodeError> {
        self.write(out, v)
    }
}

impl<T: NullablePart> Part for Option<T> {
    fn read(reader: &mut BodyReader<'_>, v: Version) -> Result<Self, WireError> {
        T::read_nullable(reader, v)
    }

    fn write(&self, out: &mut BytesMut, v: Version) -> Result<(), EncodeError> {
        match self {
            Some(value) => value.write_present(out, v),
            None => {
                T::write_null(out, v);
                Ok(())
            }
        }
    }

    fn is_null(&self) -> bool {
        self.is_none()
    }
}

macro_rules! number_parts {
    ($($type:ident $put:ident;)*) => {$(
        impl Part for $type {
            fn read(reader: &mut BodyReader<'_>, _: Version) -> Result<Self, WireError> {
                reader.raw.$type()
            }

            fn write(&self, out: &mut BytesMut, _: Version) -> Result<(), EncodeError> {
                out.$put(*self);
                Ok(())
            }
        }
    )*};
}

number_parts! { i8 put_i8; i16 put_i16; u16 put_u16; i32 put_i32; i64 put_i64; }

impl Part for bool {
    fn read(reader: &mut BodyReader<'_>, _: Version) -> Result<Self, WireError> {
        reader.raw.bool()
    }

    fn write(&self, out: &mut BytesMut, _: Version) -> Result<(), EncodeError> {
        out.put_u8(u8::from(*self));
        Ok(())
    }
}

impl Part for Uuid {
    fn read(reader: &mut BodyReader<'_>, _: Version) -> Result<Self, WireError> {
        Ok(reader.raw.topic_id()?.0)
    }

    fn write(&self, out: &mut BytesMut, _: Version) -> Result<(), EncodeError> {
        out.put_slice(self.as_bytes());
        Ok(())
    }
}

impl NullablePart for StrBytes {
    fn read_nullable(reader: &mut BodyReader<'_>, v: Version) -> Result<Option<Self>, WireError> {
        let bytes = if v.flexible {
            reader.raw.compact_nullable_bytes()?
        } else {
            match reader.raw.i16()? {
                -1 => None,
                len => {
                    let len = usize::try_from(len).map_err(|_| WireError::BadLength(i64::from(len)))?;
                    Some(reader.raw.take(len)?)
                }
            }
        };
        bytes.map(|bytes| Self::from_utf8(reader.share(bytes)).map_err(|_| WireError::NotUtf8)).transpose()
    }

    fn write_null(out: &mut BytesMut, v: Version) {
        if v.flexible { put_unsigned_varint(out, 0) } else { out.put_i16(-1) }
    }
}

impl Part for StrBytes {
    fn read(reader: &mut BodyReader<'_>, v: Version) -> Result<Self, WireError> {
        Self::read_nullable(reader, v)?.ok_or(WireError::BadLength(-1))
    }

    fn write(&self, out: &mut BytesMut, v: Version) -> Result<(), EncodeError> {
        let len = i16::try_from(self.len()).map_err(|_| EncodeError::TooLong { len: self.len() })?;
        if v.flexible {
            put_compact_len(out, self.len())?
        } else {
            out.put_i16(len)
        }
        out.put_slice(self.as_bytes());
        Ok(())
    }
}

impl NullablePart for Bytes {
    fn read_nullable(reader: &mut BodyReader<'_>, v: Version) -> Result<Option<Self>, WireError> {
        let bytes =
            if v.flexible { reader.raw.compact_nullable_bytes()? } else { reader.raw.nullable_bytes()? };
        Ok(bytes.map(|bytes| reader.share(bytes)))
    }

    fn write_null(out: &mut BytesMut, v: Version) {
        put_null_count(out, v);
    }
}

impl Part for Bytes {
    fn read(reader: &mut BodyReader<'_>, v: Version) -> Result<Self, WireError> {
        Self::read_nullable(reader, v)?.ok_or(WireError::BadLength(-1))
    }

    fn write(&self, out: &mut BytesMut, v: Version) -> Result<(), EncodeError> {
        put_count(out, v, self.len())?;
        out.put_slice(self);
        Ok(())
    }
}

impl<T: Part> NullablePart for Vec<T> {
    fn read_nullable(reader: &mut BodyReader<'_>, v: Version) -> Result<Option<Self>, WireError> {
        let Some(count) = reader.count(v)? else {
            return Ok(None);
        };
        if size_of::<T>() > PLAIN_LEN {
            reader.count_elements(count)?;
        }
        let mut items = Self::with_capacity(count.min(ARRAY_RESERVE_MAX));
        for _ in 0..count {
            items.push(T::read(reader, v)?);
        }
        Ok(Some(items))
    }

    fn write_null(out: &mut BytesMut, v: Version) {
        put_null_count(out, v);
    }
}

impl<T: Part> Part for Vec<T> {
    fn read(reader: &mut BodyReader<'_>, v: Version) -> Result<Self, WireError> {
        Self::read_nullable(reader, v)?.ok_or(WireError::BadLength(-1))
    }

    fn write(&self, out: &mut BytesMut, v: Version) -> Result<(), EncodeError> {
        put_count(out, v, self.len())?;
        self.iter().try_for_each(|item| item.write(out, v))
    }
}

macro_rules! newtype_parts {
    ($($type:ident($inner:ty);)*) => {$(
        impl Part for $type {
            fn read(reader: &mut BodyReader<'_>, v: Version) -> Result<Self, WireError> {
                <$inner>::read(reader, v).map(Self)
            }

            fn write(&self, out: &mut BytesMut, v: Version) -> Result<(), EncodeError> {
                self.0.write(out, v)
            }
        }
    )*};
}

newtype_parts! {
    BrokerId(i32);
    ProducerId(i64);
    GroupId(StrBytes);
    TopicName(StrBytes);
    TransactionalId(StrBytes);
}

macro_rules! nullable_newtype_parts {
    ($($type:ident;)*) => {$(
        impl NullablePart for $type {
            fn read_nullable(reader: &mut BodyReader<'_>, v: Version) -> Result<Option<Self>, WireError> {
                Ok(StrBytes::read_nullable(reader, v)?.map(Self))
            }

            fn write_null(out: &mut BytesMut, v: Version) {
                StrBytes::write_null(out, v);
            }
        }
    )*};
}

nullable_newtype_parts! { GroupId; TopicName; TransactionalId; }

/// `UNSIGNED_VARINT`.
pub(crate) fn put_unsigned_varint(out: &mut BytesMut, mut value: u32) {
    while value >= 0x80 {
        out.put_u8(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.put_u8(value.to_le_bytes()[0]);
}

/// The length of a compact type: one more than it is, for zero is null.
pub(crate) fn put_compact_len(out: &mut BytesMut, len: usize) -> Result<(), EncodeError> {
    let plus_one = len.checked_add(1).and_then(|len| u32::try_from(len).ok());
    put_unsigned_varint(out, plus_one.ok_or(EncodeError::TooLong { len })?);
    Ok(())
}

/// The count of an array, or the length of bytes.
pub(crate) fn put_count(out: &mut BytesMut, v: Version, count: usize) -> Result<(), EncodeError> {
    if v.flexible {
        return put_compact_len(out, count);
    }
    out.put_i32(i32::try_from(count).map_err(|_| EncodeError::TooLong { len: count })?);
    Ok(())
}

/// A null array, or null bytes.
pub(crate) fn put_null_count(out: &mut BytesMut, v: Version) {
    if v.flexible { put_unsigned_varint(out, 0) } else { out.put_i32(-1) }
}

/// A tagged section; tags ascending.
pub(crate) fn put_tagged_fields(out: &mut BytesMut, fields: &[(u32, BytesMut)]) -> Result<(), EncodeError> {
    let len_of = |len: usize| u32::try_from(len).map_err(|_| EncodeError::TooLong { len });
    put_unsigned_varint(out, len_of(fields.len())?);
    for (tag, bytes) in fields {
        put_unsigned_varint(out, *tag);
        put_unsigned_varint(out, len_of(bytes.len())?);
        out.put_slice(bytes);
    }
    Ok(())
}

pub(crate) fn wire_len(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}
