//! What all records of a batch say together, read in one pass that keeps none of them: what a leader wants to know of each
//! batch that a client sends. Layout: `records.rs`.

use super::header::{BatchHeader, TimestampType};
use crate::TimestampMs;

/// Of all records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glance {
    /// As a record's timestamp: the batch's max timestamp under `LogAppendTime`.
    pub min_timestamp: TimestampMs,
    pub max_timestamp: TimestampMs,
    /// Whether their offset deltas are 0, 1, 2 and so on.
    pub are_consecutive: bool,
    pub all_have_keys: bool,
    /// Bytes of the longest record after its length field.
    pub max_body_len: usize,
}

impl Glance {
    /// `section` is what follows the header, decompressed. `None` where [`super::Records`] should look closer: because it may
    /// find an error, or something seldom (a length of more than three bytes).
    #[must_use]
    pub fn of(header: &BatchHeader, section: &[u8]) -> Option<Self> {
        let (mut left, mut min_delta, mut max_delta) = (section, i64::MAX, i64::MIN);
        let (mut are_consecutive, mut all_have_keys, mut max_body_len) = (true, true, 0);
        for index in 0..header.record_count {
            let (len, after) = length(left)?;
            let (body, next) = after.split_at_checked(len)?;
            let (_attributes, body) = body.split_first()?;
            let (timestamp_delta, body) = timestamp(body)?;
            let (offset_delta, body) = short(body)?;
            let (key_len, body) = short(body)?;
            let body = skipped(body, key_len)?;
            let (value_len, body) = short(body)?;
            let body = skipped(body, value_len)?;
            let (headers, body) = length(body)?;
            let body = if headers == 0 { body } else { without_headers(body, headers)? };
            if !body.is_empty() {
                return None;
            }
            min_delta = min_delta.min(timestamp_delta);
            max_delta = max_delta.max(timestamp_delta);
            are_consecutive &= offset_delta == index;
            all_have_keys &= key_len >= 0;
            max_body_len = max_body_len.max(len);
            left = next;
        }
        if !left.is_empty() || header.record_count <= 0 {
            return None;
        }
        let at = |delta| match header.timestamp_type() {
            TimestampType::LogAppendTime => Some(header.max_timestamp),
            TimestampType::CreateTime => header.base_timestamp.get().checked_add(delta).map(TimestampMs),
        };
        Some(Self {
            min_timestamp: at(min_delta)?,
            max_timestamp: at(max_delta)?,
            are_consecutive,
            all_have_keys,
            max_body_len,
        })
    }
}

/// A zig-zag varint of up to three bytes, and what follows it.
#[inline]
fn short(bytes: &[u8]) -> Option<(i32, &[u8])> {
    let (raw, left) = match *bytes {
        [byte, ref left @ ..] if byte < 0x80 => (u32::from(byte), left),
        [low, high, ref left @ ..] if high < 0x80 => (u32::from(low & 0x7f) | u32::from(high) << 7, left),
        [low, middle, high, ref left @ ..] if high < 0x80 => {
            (u32::from(low & 0x7f) | u32::from(middle & 0x7f) << 7 | u32::from(high) << 14, left)
        }
        _ => return None,
    };
    Some(((raw >> 1).cast_signed() ^ -((raw & 1).cast_signed()), left))
}

/// One that is not negative.
#[inline]
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (len, left) = short(bytes)?;
    Some((usize::try_from(len).ok()?, left))
}

/// A zig-zag varint of up to six bytes: a batch of records that are years apart is seldom.
#[inline]
fn timestamp(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let mut raw = 0_u64;
    for (at, byte) in bytes.iter().take(6).enumerate() {
        raw |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some(((raw >> 1).cast_signed() ^ -((raw & 1).cast_signed()), bytes.get(at + 1..)?));
        }
    }
    None
}

/// Without the key or value of this length; any negative one is that of null.
#[inline]
fn skipped(bytes: &[u8], len: i32) -> Option<&[u8]> {
    bytes.get(usize::try_from(len).unwrap_or(0)..)
}

fn without_headers(mut bytes: &[u8], count: usize) -> Option<&[u8]> {
    for _ in 0..count {
        let (key_len, left) = length(bytes)?;
        let (value_len, left) = short(left.get(key_len..)?)?;
        bytes = skipped(left, value_len)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{BatchBuilder, HEADER_LEN, Records};
    use super::*;
    use crate::Offset;

    type Fields = (i64, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(Vec<u8>, Option<Vec<u8>>)>);

    fn fields() -> impl Strategy<Value = Vec<Fields>> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..200);
        let time = prop_oneof![0_i64..1_000_000, any::<i32>().prop_map(i64::from), Just(i64::MAX)];
        let headers = proptest::collection::vec((bytes(), proptest::option::of(bytes())), 0..3);
        let one = (time, proptest::option::of(bytes()), proptest::option::of(bytes()), headers);
        proptest::collection::vec(one, 1..100)
    }

    fn built(records: &[Fields]) -> Vec<u8> {
        let mut builder = BatchBuilder::new(Offset(7));
        for (time, key, value, headers) in records {
            let headers: Vec<_> =
                headers.iter().map(|(key, value)| (key.as_slice(), value.as_deref())).collect();
            builder.push(TimestampMs(*time), key.as_deref(), value.as_deref(), &headers);
        }
        builder.build().unwrap().to_vec()
    }

    /// What a reading of all records sees, if it finds no error.
    fn read(header: &BatchHeader, section: &[u8]) -> Option<Glance> {
        let records: Vec<_> = Records::new(header, section).collect::<Result<_, _>>().ok()?;
        Some(Glance {
            min_timestamp: records.iter().map(|record| record.timestamp).min()?,
            max_timestamp: records.iter().map(|record| record.timestamp).max()?,
            are_consecutive: (0..).zip(&records).all(|(at, record)| record.offset_delta == at),
            all_have_keys: records.iter().all(|record| record.key.is_some()),
            max_body_len: records.iter().map(|record| record.body_len).max()?,
        })
    }

    proptest! {
        #[test]
        fn a_glance_sees_what_a_reading_sees(records in fields()) {
            let batch = built(&records);
            let header = BatchHeader::read(&batch).unwrap();
            let glance = Glance::of(&header, &batch[HEADER_LEN..]);
            let near = records.iter().all(|(time, ..)| time.abs() < 1 << 31);
            prop_assert!(glance.is_some() || !near);
            if glance.is_some() {
                prop_assert_eq!(glance, read(&header, &batch[HEADER_LEN..]));
            }
        }

        #[test]
        fn what_a_reading_refuses_a_glance_does_not_pass(
            records in fields(),
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            count in -1..3,
        ) {
            let mut batch = built(&records);
            for (at, byte) in changes {
                let at = at.index(batch.len() - HEADER_LEN) + HEADER_LEN;
                batch[at] = byte;
            }
            let mut header = BatchHeader::read(&batch).unwrap();
            header.record_count += count / 2;
            let glance = Glance::of(&header, &batch[HEADER_LEN..]);
            if glance.is_some() {
                prop_assert_eq!(glance, read(&header, &batch[HEADER_LEN..]));
            }
        }
    }
}
