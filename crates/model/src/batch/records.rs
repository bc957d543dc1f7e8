//! The records inside a batch, read lazily from an uncompressed (or decompressed) records section.
//!
//! ```text
//! record:  length VARINT | attributes INT8 | timestamp_delta VARLONG | offset_delta VARINT
//!          key_len VARINT (-1 null) | key | value_len VARINT (-1 null) | value | header_count VARINT | headers
//! header:  key_len VARINT | key | value_len VARINT (-1 null) | value
//! ```

use super::header::{BatchError, BatchHeader, TimestampType};
use crate::wire::{Reader, WireError};
use crate::{Offset, TimestampMs};

/// One record; every slice borrows from the records section.
#[derive(Clone, Debug)]
pub struct Record<'a> {
    pub offset: Offset,
    /// `offset - base_offset` as stored.
    pub offset_delta: i32,
    /// The batch's max timestamp under `LogAppendTime`, else the record's own.
    pub timestamp: TimestampMs,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    /// Bytes of the record after its length field.
    pub body_len: usize,
    /// In order, duplicates of a key kept. Already checked: iterating it yields no error.
    pub headers: Headers<'a>,
}

/// One record header. The key is meant to be UTF-8; Kafka's broker does not check it, so neither does this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader<'a> {
    pub key: &'a [u8],
    pub value: Option<&'a [u8]>,
}

/// A record's headers, read as they are iterated.
#[derive(Clone, Debug)]
pub struct Headers<'a> {
    left: Reader<'a>,
    count: u32,
}

impl<'a> Headers<'a> {
    /// No headers.
    #[must_use]
    pub const fn none() -> Self {
        Self { left: Reader::new(&[]), count: 0 }
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = RecordHeader<'a>;

    fn next(&mut self) -> Option<RecordHeader<'a>> {
        self.count = self.count.checked_sub(1)?;
        read_header(&mut self.left).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = usize::try_from(self.count).unwrap_or(usize::MAX);
        (0, Some(count))
    }
}

/// Iterates a batch's records. Ends after the first error; a record count that the bytes do not bear out (too few
/// records, or bytes left over) is such an error. Allocates nothing.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    left: Reader<'a>,
    base_offset: Offset,
    base_timestamp: i64,
    append_time: Option<TimestampMs>,
    record_count: i32,
    last_offset_delta: i32,
    read_count: i32,
    ended: bool,
}

impl<'a> Records<'a> {
    /// `section` is what follows the header, decompressed (see [`super::decompress`]).
    #[must_use]
    pub fn new(header: &BatchHeader, section: &'a [u8]) -> Self {
        let append_time = match header.timestamp_type() {
            TimestampType::LogAppendTime => Some(header.max_timestamp),
            TimestampType::CreateTime => None,
        };
        Self {
            left: Reader::new(section),
            base_offset: header.base_offset,
            base_timestamp: header.base_timestamp.get(),
            append_time,
            record_count: header.record_count,
            last_offset_delta: header.last_offset_delta,
            read_count: 0,
            ended: false,
        }
    }

    #[inline]
    fn read(&mut self) -> Result<Record<'a>, WireError> {
        let len = positive(self.left.varint()?)?;
        let mut body = Reader::new(self.left.take(len)?);
        body.i8()?; // attributes: unused in v2
        let timestamp_delta = body.varlong()?;
        let offset_delta = body.varint()?;
        let key = nullable(&mut body)?;
        let value = nullable(&mut body)?;
        let count = body.varint()?;
        let count = u32::try_from(count).map_err(|_| WireError::BadLength(i64::from(count)))?;
        let headers = Headers { left: body.clone(), count };
        for _ in 0..count {
            read_header(&mut body)?;
        }
        if !body.is_empty() {
            return Err(WireError::BadLength(i64::try_from(len).unwrap_or(i64::MAX)));
        }
        let own_time = TimestampMs(self.base_timestamp.wrapping_add(timestamp_delta));
        Ok(Record {
            offset: Offset(self.base_offset.get().wrapping_add(i64::from(offset_delta))),
            offset_delta,
            timestamp: self.append_time.unwrap_or(own_time),
            key,
            value,
            body_len: len,
            headers,
        })
    }

    fn count_error(&self) -> BatchError {
        BatchError::Count { count: self.record_count, last_offset_delta: self.last_offset_delta }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, BatchError>;

    // Whoever checks records looks at some of their fields only.
    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        if self.read_count >= self.record_count {
            self.ended = true;
            let sound = self.record_count >= 0 && self.left.is_empty();
            return if sound { None } else { Some(Err(self.count_error())) };
        }
        if self.left.is_empty() {
            self.ended = true;
            return Some(Err(self.count_error()));
        }
        self.read_count += 1;
        let record = self.read().map_err(|_| BatchError::Record);
        self.ended = record.is_err();
        Some(record)
    }
}

fn read_header<'a>(reader: &mut Reader<'a>) -> Result<RecordHeader<'a>, WireError> {
    let len = positive(reader.varint()?)?;
    let key = reader.take(len)?;
    let value = nullable(reader)?;
    Ok(RecordHeader { key, value })
}

#[inline]
fn nullable<'a>(reader: &mut Reader<'a>) -> Result<Option<&'a [u8]>, WireError> {
    match reader.varint()? {
        // Kafka reads any negative length as null.
        len if len < 0 => Ok(None),
        len => reader.take(positive(len)?).map(Some),
    }
}

#[inline]
fn positive(len: i32) -> Result<usize, WireError> {
    usize::try_from(len).map_err(|_| WireError::BadLength(i64::from(len)))
}
