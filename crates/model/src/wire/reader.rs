//! A bounds-checked reader over borrowed bytes: no input panics, none allocates more than it carries.

use crate::TopicId;

/// Why bytes are not the value that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    #[error("{wanted} bytes wanted, {left} left")]
    Short { wanted: usize, left: usize },
    #[error("a length of {0} is not allowed here")]
    BadLength(i64),
    #[error("a varint is longer than its type")]
    LongVarint,
    #[error("a string is not UTF-8")]
    NotUtf8,
}

/// Reads primitives from the front of a slice.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    left: &'a [u8],
}

macro_rules! fixed {
    ($(#[$doc:meta])* $name:ident, $type:ty) => {
        $(#[$doc])*
        pub fn $name(&mut self) -> Result<$type, WireError> {
            let bytes = self.take(size_of::<$type>())?;
            Ok(<$type>::from_be_bytes(bytes.try_into().unwrap_or_default()))
        }
    };
}

impl<'a> Reader<'a> {
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }

    /// Bytes not yet read.
    #[must_use]
    pub const fn remaining(&self) -> &'a [u8] {
        self.left
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// The next `len` bytes.
    #[inline]
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], WireError> {
        if len > self.left.len() {
            return Err(WireError::Short { wanted: len, left: self.left.len() });
        }
        let (head, tail) = self.left.split_at(len);
        self.left = tail;
        Ok(head)
    }

    fixed!(i8, i8);
    fixed!(i16, i16);
    fixed!(i32, i32);
    fixed!(i64, i64);
    fixed!(u16, u16);
    fixed!(u32, u32);
    fixed!(f64, f64);

    pub fn bool(&mut self) -> Result<bool, WireError> {
        Ok(self.i8()? != 0)
    }

    pub fn topic_id(&mut self) -> Result<TopicId, WireError> {
        let bytes = self.take(16)?;
        Ok(TopicId(uuid::Uuid::from_bytes(bytes.try_into().unwrap_or_default())))
    }

    /// `UNSIGNED_VARINT`: at most 5 bytes.
    #[inline]
    pub fn unsigned_varint(&mut self) -> Result<u32, WireError> {
        // Lengths and deltas are mostly of one byte or two, and a record has seven of them.
        match *self.left {
            [byte, ref left @ ..] if byte < 0x80 => {
                self.left = left;
                Ok(u32::from(byte))
            }
            [low, high, ref left @ ..] if high < 0x80 => {
                self.left = left;
                Ok(u32::from(low & 0x7f) | u32::from(high) << 7)
            }
            _ => self.long_unsigned_varint(),
        }
    }

    fn long_unsigned_varint(&mut self) -> Result<u32, WireError> {
        let mut value: u32 = 0;
        for shift in (0..35).step_by(7) {
            let byte = self.take(1)?[0];
            let bits = u32::from(byte & 0x7f);
            if shift == 28 && bits > 0x0f {
                return Err(WireError::LongVarint);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(WireError::LongVarint)
    }

    /// `VARINT`: zig-zag.
    #[inline]
    pub fn varint(&mut self) -> Result<i32, WireError> {
        let raw = self.unsigned_varint()?;
        Ok((raw >> 1).cast_signed() ^ -((raw & 1).cast_signed()))
    }

    /// `VARLONG`: zig-zag, at most 10 bytes.
    #[inline]
    pub fn varlong(&mut self) -> Result<i64, WireError> {
        let raw = match *self.left {
            [byte, ref left @ ..] if byte < 0x80 => {
                self.left = left;
                u64::from(byte)
            }
            _ => self.long_unsigned_varlong()?,
        };
        Ok((raw >> 1).cast_signed() ^ -((raw & 1).cast_signed()))
    }

    fn long_unsigned_varlong(&mut self) -> Result<u64, WireError> {
        let mut raw: u64 = 0;
        for shift in (0..70).step_by(7) {
            let byte = self.take(1)?[0];
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(WireError::LongVarint);
            }
            raw |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(raw);
            }
        }
        Err(WireError::LongVarint)
    }

    /// `STRING`.
    pub fn string(&mut self) -> Result<&'a str, WireError> {
        self.nullable_string()?.ok_or(WireError::BadLength(-1))
    }

    /// `NULLABLE_STRING`.
    pub fn nullable_string(&mut self) -> Result<Option<&'a str>, WireError> {
        match self.i16()? {
            -1 => Ok(None),
            len => self.utf8(i64::from(len)).map(Some),
        }
    }

    /// `COMPACT_STRING`.
    pub fn compact_string(&mut self) -> Result<&'a str, WireError> {
        self.compact_nullable_string()?.ok_or(WireError::BadLength(-1))
    }

    /// `COMPACT_NULLABLE_STRING`.
    pub fn compact_nullable_string(&mut self) -> Result<Option<&'a str>, WireError> {
        match self.unsigned_varint()? {
            0 => Ok(None),
            len => self.utf8(i64::from(len) - 1).map(Some),
        }
    }

    /// `BYTES`.
    pub fn bytes(&mut self) -> Result<&'a [u8], WireError> {
        self.nullable_bytes()?.ok_or(WireError::BadLength(-1))
    }

    /// `NULLABLE_BYTES`.
    pub fn nullable_bytes(&mut self) -> Result<Option<&'a [u8]>, WireError> {
        match self.i32()? {
            -1 => Ok(None),
            len => self.take(length(i64::from(len))?).map(Some),
        }
    }

    /// `COMPACT_BYTES`.
    pub fn compact_bytes(&mut self) -> Result<&'a [u8], WireError> {
        self.compact_nullable_bytes()?.ok_or(WireError::BadLength(-1))
    }

    /// `COMPACT_NULLABLE_BYTES`.
    pub fn compact_nullable_bytes(&mut self) -> Result<Option<&'a [u8]>, WireError> {
        match self.unsigned_varint()? {
            0 => Ok(None),
            len => self.take(length(i64::from(len) - 1)?).map(Some),
        }
    }

    /// The count of an `ARRAY`; `None` if it is null. A count larger than the bytes left is refused.
    pub fn array_len(&mut self) -> Result<Option<usize>, WireError> {
        match self.i32()? {
            -1 => Ok(None),
            count => self.plausible(i64::from(count)).map(Some),
        }
    }

    /// The count of a `COMPACT_ARRAY`; `None` if it is null. A count larger than the bytes left is refused.
    pub fn compact_array_len(&mut self) -> Result<Option<usize>, WireError> {
        match self.unsigned_varint()? {
            0 => Ok(None),
            count => self.plausible(i64::from(count) - 1).map(Some),
        }
    }

    /// Reads a tagged-field section, giving each field's tag and bytes to `field`.
    pub fn tagged_fields(
        &mut self,
        mut field: impl FnMut(u32, &'a [u8]) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        for _ in 0..self.unsigned_varint()? {
            let tag = self.unsigned_varint()?;
            let len = self.unsigned_varint()?;
            field(tag, self.take(length(i64::from(len))?)?)?;
        }
        Ok(())
    }

    /// Reads a tagged-field section of which no field is known here.
    pub fn skip_tagged_fields(&mut self) -> Result<(), WireError> {
        self.tagged_fields(|_, _| Ok(()))
    }

    fn utf8(&mut self, len: i64) -> Result<&'a str, WireError> {
        std::str::from_utf8(self.take(length(len)?)?).map_err(|_| WireError::NotUtf8)
    }

    fn plausible(&self, count: i64) -> Result<usize, WireError> {
        let count = length(count)?;
        if count > self.left.len() {
            return Err(WireError::Short { wanted: count, left: self.left.len() });
        }
        Ok(count)
    }
}

fn length(len: i64) -> Result<usize, WireError> {
    usize::try_from(len).map_err(|_| WireError::BadLength(len))
}
