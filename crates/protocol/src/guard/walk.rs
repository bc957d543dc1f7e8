//! The walk over a body along its shape. Recursion is as deep as the schema nests, whatever the body says.

use ottla_model::wire::{Reader, WireError};

use super::GuardError;
use super::shape::{Field, Kind};
use crate::part::{ARRAY_COUNT_MAX, STRING_LEN_MAX, TAGGED_FIELD_COUNT_MAX};

pub(super) fn walk(shape: &[Field], version: i16, flexible: bool, body: &[u8]) -> Result<usize, GuardError> {
    let mut walker = Walker { reader: Reader::new(body), end: body.len(), elements: 0, version, flexible };
    walker.fields(shape)?;
    Ok(walker.at())
}

struct Walker<'a> {
    reader: Reader<'a>,
    /// Where `reader` ends, in the body.
    end: usize,
    /// Elements of arrays so far, but for those of plain numbers: each becomes a struct of up to 200 bytes or so, be it a
    /// single byte here.
    elements: usize,
    version: i16,
    flexible: bool,
}

impl<'a> Walker<'a> {
    fn at(&self) -> usize {
        self.end - self.reader.remaining().len()
    }

    fn fields(&mut self, fields: &[Field]) -> Result<(), GuardError> {
        for field in fields {
            if field.tag.is_none() && field.is_in(self.version) {
                self.value(&field.kind, field.may_be_null(self.version))?;
            }
        }
        if self.flexible { self.tagged_fields(fields) } else { Ok(()) }
    }

    fn value(&mut self, kind: &Kind, may_be_null: bool) -> Result<(), GuardError> {
        let at = self.at();
        let is_null = match kind {
            Kind::Fixed(len) => self.skip(*len).map(|()| false),
            Kind::String => self.string(),
            Kind::Bytes => self.bytes(),
            Kind::Array(element) => self.array(element),
            Kind::Struct(fields) => self.fields(fields).map(|()| false),
            Kind::NullableStruct(fields) => match self.read(Reader::i8)? {
                1 => self.fields(fields).map(|()| false),
                -1 => Ok(true),
                // Kafka goes by the sign, the message crate by 1: only where both agree does either stay in step.
                marker => Err(GuardError::NullMarker { at: self.at(), marker }),
            },
        };
        if is_null? && !may_be_null { Err(GuardError::Null { at }) } else { Ok(()) }
    }

    /// True for null; the same below.
    fn bytes(&mut self) -> Result<bool, GuardError> {
        let len = self.count()?;
        self.skip(len.unwrap_or(0))?;
        Ok(len.is_none())
    }

    fn array(&mut self, element: &Kind) -> Result<bool, GuardError> {
        let Some(count) = self.count()? else {
            return Ok(true);
        };
        if count > ARRAY_COUNT_MAX {
            return Err(GuardError::LongArray { at: self.at(), count });
        }
        if let Kind::Fixed(len) = element {
            return self.skip(count * len).map(|()| false);
        }
        self.elements += count;
        if self.elements > ARRAY_COUNT_MAX {
            return Err(GuardError::LongArray { at: self.at(), count: self.elements });
        }
        for _ in 0..count {
            self.value(element, true)?;
        }
        Ok(false)
    }

    fn string(&mut self) -> Result<bool, GuardError> {
        let len = if self.flexible {
            self.count()?
        } else {
            match self.read(Reader::i16)? {
                -1 => None,
                len => Some(self.length(i64::from(len))?),
            }
        };
        match len {
            Some(len) if len > STRING_LEN_MAX => Err(GuardError::LongString { at: self.at(), len }),
            len => self.skip(len.unwrap_or(0)).map(|()| len.is_none()),
        }
    }

    /// The count of an array or the length of bytes; `None` is null.
    fn count(&mut self) -> Result<Option<usize>, GuardError> {
        let count = if self.flexible {
            i64::from(self.read(Reader::unsigned_varint)?) - 1
        } else {
            i64::from(self.read(Reader::i32)?)
        };
        if count == -1 { Ok(None) } else { self.length(count).map(Some) }
    }

    fn tagged_fields(&mut self, fields: &[Field]) -> Result<(), GuardError> {
        let count = self.read(Reader::unsigned_varint)?;
        if count > TAGGED_FIELD_COUNT_MAX {
            return Err(GuardError::ManyTaggedFields { at: self.at(), count });
        }
        for _ in 0..count {
            let tag = self.read(Reader::unsigned_varint)?;
            let len = self.read(Reader::unsigned_varint)?;
            let len = self.length(i64::from(len))?;
            let known = fields.iter().find(|field| field.tag == Some(tag) && field.is_in(self.version));
            match known {
                Some(field) => self.tagged_field(tag, len, field)?,
                None => self.skip(len)?,
            }
        }
        Ok(())
    }

    /// A known tag must take exactly the bytes announced: decoders read it without looking at the length.
    fn tagged_field(&mut self, tag: u32, len: usize, field: &Field) -> Result<(), GuardError> {
        let start = self.at();
        let bytes = self.read(|reader| reader.take(len))?;
        let mut inner = Self { reader: Reader::new(bytes), end: start + len, ..*self };
        inner.value(&field.kind, field.may_be_null(self.version))?;
        self.elements = inner.elements;
        if inner.reader.is_empty() { Ok(()) } else { Err(GuardError::TaggedLen { at: inner.at(), tag, len }) }
    }

    fn skip(&mut self, len: usize) -> Result<(), GuardError> {
        self.read(|reader| reader.take(len).map(|_| ()))
    }

    fn length(&self, len: i64) -> Result<usize, GuardError> {
        usize::try_from(len)
            .map_err(|_| GuardError::Wire { at: self.at(), source: WireError::BadLength(len) })
    }

    fn read<T>(
        &mut self,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, WireError>,
    ) -> Result<T, GuardError> {
        let at = self.at();
        read(&mut self.reader).map_err(|source| GuardError::Wire { at, source })
    }
}
