//! A writer of Kafka's primitive types into a growing buffer.

use crate::TopicId;

/// Appends primitives to a `Vec<u8>`. Lengths above what a type can carry are a caller's bug and are cut off by
/// `debug_assert`; everything that reaches here was bounded before.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    out: Vec<u8>,
}

macro_rules! fixed {
    ($name:ident, $type:ty) => {
        pub fn $name(&mut self, value: $type) {
            self.out.extend_from_slice(&value.to_be_bytes());
        }
    };
}

impl Writer {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { out: Vec::with_capacity(capacity) }
    }

    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        self.out
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.out.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// What has been written so far, for patching a length that is known only afterwards.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.out
    }

    pub fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    fixed!(i8, i8);
    fixed!(i16, i16);
    fixed!(i32, i32);
    fixed!(i64, i64);
    fixed!(u16, u16);
    fixed!(u32, u32);
    fixed!(f64, f64);

    pub fn bool(&mut self, value: bool) {
        self.i8(i8::from(value));
    }

    pub fn topic_id(&mut self, id: TopicId) {
        self.raw(id.0.as_bytes());
    }

    /// `UNSIGNED_VARINT`.
    pub fn unsigned_varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.out.push(low_seven(u64::from(value)) | 0x80);
            value >>= 7;
        }
        self.out.push(low_seven(u64::from(value)));
    }

    /// `VARINT`: zig-zag.
    pub fn varint(&mut self, value: i32) {
        self.unsigned_varint(((value << 1) ^ (value >> 31)).cast_unsigned());
    }

    /// `VARLONG`: zig-zag.
    pub fn varlong(&mut self, value: i64) {
        let mut raw = ((value << 1) ^ (value >> 63)).cast_unsigned();
        while raw >= 0x80 {
            self.out.push(low_seven(raw) | 0x80);
            raw >>= 7;
        }
        self.out.push(low_seven(raw));
    }

    /// `STRING`.
    pub fn string(&mut self, value: &str) {
        self.i16(i16::try_from(value.len()).unwrap_or(i16::MAX));
        self.raw(value.as_bytes());
    }

    /// `NULLABLE_STRING`.
    pub fn nullable_string(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.string(value),
            None => self.i16(-1),
        }
    }

    /// `COMPACT_STRING`.
    pub fn compact_string(&mut self, value: &str) {
        self.compact_len(Some(value.len()));
        self.raw(value.as_bytes());
    }

    /// `COMPACT_NULLABLE_STRING`.
    pub fn compact_nullable_string(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.compact_string(value),
            None => self.compact_len(None),
        }
    }

    /// `BYTES`.
    pub fn bytes(&mut self, value: &[u8]) {
        self.array_len(Some(value.len()));
        self.raw(value);
    }

    /// `NULLABLE_BYTES`.
    pub fn nullable_bytes(&mut self, value: Option<&[u8]>) {
        match value {
            Some(value) => self.bytes(value),
            None => self.array_len(None),
        }
    }

    /// `COMPACT_BYTES`.
    pub fn compact_bytes(&mut self, value: &[u8]) {
        self.compact_len(Some(value.len()));
        self.raw(value);
    }

    /// `COMPACT_NULLABLE_BYTES`.
    pub fn compact_nullable_bytes(&mut self, value: Option<&[u8]>) {
        match value {
            Some(value) => self.compact_bytes(value),
            None => self.compact_len(None),
        }
    }

    /// The count of an `ARRAY`, null if `None`.
    pub fn array_len(&mut self, count: Option<usize>) {
        self.i32(count.map_or(-1, |count| i32::try_from(count).unwrap_or(i32::MAX)));
    }

    /// The count of a `COMPACT_ARRAY` (or the length of a compact string or bytes), null if `None`.
    pub fn compact_len(&mut self, count: Option<usize>) {
        self.unsigned_varint(count.map_or(0, |count| u32::try_from(count + 1).unwrap_or(u32::MAX)));
    }

    /// A tagged-field section with no fields.
    pub fn no_tagged_fields(&mut self) {
        self.unsigned_varint(0);
    }

    /// A tagged-field section; fields must come in ascending order of tag.
    pub fn tagged_fields(&mut self, fields: &[(u32, Vec<u8>)]) {
        self.unsigned_varint(u32::try_from(fields.len()).unwrap_or(u32::MAX));
        for (tag, bytes) in fields {
            self.unsigned_varint(*tag);
            self.unsigned_varint(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
            self.raw(bytes);
        }
    }
}

fn low_seven(value: u64) -> u8 {
    u8::try_from(value & 0x7f).unwrap_or(0)
}
