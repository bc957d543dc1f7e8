//! Produce on the hot path: a request taken apart in place (`ProduceRequest` v3-13, 4.4.0).
//!
//! Records are never copied: each partition's are a mutable piece of the frame itself, in which the broker patches base
//! offset and leader epoch before it writes them. A client encodes `messages::ProduceRequest`; the answer is
//! `messages::ProduceResponse`.

#[cfg(test)]
mod tests;

use bytes::{Buf, BytesMut};
use kafka_protocol::protocol::StrBytes;
use ottla_model::wire::WireError;
use uuid::Uuid;

use crate::part::{
    ARRAY_COUNT_MAX, ARRAY_RESERVE_MAX, STRING_LEN_MAX, TAGGED_FIELD_COUNT_MAX, Version, wire_len,
};
use crate::{ApiKey, DecodeError};

/// What a producer asks to be appended.
#[derive(Debug, PartialEq)]
pub struct ProduceRequest {
    pub transactional_id: Option<StrBytes>,
    /// 0: no answer, 1: the leader has it, -1: the whole ISR has it. Not checked here.
    pub acks: i16,
    pub timeout_ms: i32,
    pub topics: Vec<ProduceTopic>,
}

/// A topic by name (to v12) or by id (from v13); the other is empty.
#[derive(Debug, PartialEq)]
pub struct ProduceTopic {
    pub name: StrBytes,
    pub topic_id: Uuid,
    pub partitions: Vec<ProducePartition>,
}

/// One partition's share of the request.
#[derive(Debug, PartialEq)]
pub struct ProducePartition {
    pub index: i32,
    /// A piece of the frame, not validated in any way; `None` if it was sent as null.
    pub records: Option<BytesMut>,
}

impl ProduceRequest {
    /// Takes a body apart, header already taken off. Every string and every records field is a piece of `body`'s memory.
    pub fn decode(body: BytesMut, version: i16) -> Result<Self, DecodeError> {
        let key = ApiKey::Produce;
        let spec = key.spec();
        if !spec.accepts(version) {
            return Err(DecodeError::UnsupportedVersion { key, version });
        }
        let v = Version { number: version, flexible: spec.is_flexible(version) };
        Pieces { body, v }.request().map_err(|source| DecodeError::Wire { key, version, source })
    }
}

/// Takes owned pieces off the front of a body.
struct Pieces {
    body: BytesMut,
    v: Version,
}

impl Pieces {
    fn request(&mut self) -> Result<ProduceRequest, WireError> {
        let request = ProduceRequest {
            transactional_id: self.nullable_string()?,
            acks: self.fixed(Buf::get_i16)?,
            timeout_ms: self.fixed(Buf::get_i32)?,
            topics: self.array(Self::topic)?,
        };
        self.skip_tagged_fields()?;
        Ok(request)
    }

    fn topic(&mut self) -> Result<ProduceTopic, WireError> {
        let by_id = self.v.number >= 13;
        let topic = ProduceTopic {
            name: if by_id { StrBytes::new() } else { self.string()? },
            topic_id: if by_id { Uuid::from_u128(self.fixed(Buf::get_u128)?) } else { Uuid::nil() },
            partitions: self.array(Self::partition)?,
        };
        self.skip_tagged_fields()?;
        Ok(topic)
    }

    fn partition(&mut self) -> Result<ProducePartition, WireError> {
        let partition =
            ProducePartition { index: self.fixed(Buf::get_i32)?, records: self.nullable_bytes()? };
        self.skip_tagged_fields()?;
        Ok(partition)
    }

    fn array<T>(&mut self, item: impl Fn(&mut Self) -> Result<T, WireError>) -> Result<Vec<T>, WireError> {
        let count = if self.v.flexible { self.compact_len()? } else { i64::from(self.fixed(Buf::get_i32)?) };
        let count = usize::try_from(count)
            .ok()
            .filter(|count| *count <= ARRAY_COUNT_MAX)
            .ok_or(WireError::BadLength(count))?;
        if count > self.body.len() {
            return Err(WireError::Short { wanted: count, left: self.body.len() });
        }
        let mut items = Vec::with_capacity(count.min(ARRAY_RESERVE_MAX));
        for _ in 0..count {
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn string(&mut self) -> Result<StrBytes, WireError> {
        self.nullable_string()?.ok_or(WireError::BadLength(-1))
    }

    fn nullable_string(&mut self) -> Result<Option<StrBytes>, WireError> {
        let len = if self.v.flexible { self.compact_len()? } else { i64::from(self.fixed(Buf::get_i16)?) };
        if len > wire_len(STRING_LEN_MAX) {
            return Err(WireError::BadLength(len));
        }
        self.nullable_piece(len)?
            .map(|piece| StrBytes::from_utf8(piece.freeze()).map_err(|_| WireError::NotUtf8))
            .transpose()
    }

    fn nullable_bytes(&mut self) -> Result<Option<BytesMut>, WireError> {
        let len = if self.v.flexible { self.compact_len()? } else { i64::from(self.fixed(Buf::get_i32)?) };
        self.nullable_piece(len)
    }

    fn nullable_piece(&mut self, len: i64) -> Result<Option<BytesMut>, WireError> {
        if len == -1 {
            return Ok(None);
        }
        let len = usize::try_from(len).map_err(|_| WireError::BadLength(len))?;
        self.need(len)?;
        Ok(Some(self.body.split_to(len)))
    }

    fn skip_tagged_fields(&mut self) -> Result<(), WireError> {
        if !self.v.flexible {
            return Ok(());
        }
        let count = self.unsigned_varint()?;
        if count > TAGGED_FIELD_COUNT_MAX {
            return Err(WireError::BadLength(i64::from(count)));
        }
        for _ in 0..count {
            self.unsigned_varint()?;
            let len = self.unsigned_varint()?;
            let len = usize::try_from(len).map_err(|_| WireError::BadLength(i64::from(len)))?;
            self.need(len)?;
            self.body.advance(len);
        }
        Ok(())
    }

    /// The length of a compact type; -1 is null.
    fn compact_len(&mut self) -> Result<i64, WireError> {
        Ok(i64::from(self.unsigned_varint()?) - 1)
    }

    fn unsigned_varint(&mut self) -> Result<u32, WireError> {
        let mut reader = ottla_model::wire::Reader::new(&self.body);
        let value = reader.unsigned_varint()?;
        let read = self.body.len() - reader.remaining().len();
        self.body.advance(read);
        Ok(value)
    }

    fn fixed<T>(&mut self, get: impl Fn(&mut BytesMut) -> T) -> Result<T, WireError> {
        self.need(size_of::<T>())?;
        Ok(get(&mut self.body))
    }

    fn need(&self, wanted: usize) -> Result<(), WireError> {
        let left = self.body.len();
        if wanted > left { Err(WireError::Short { wanted, left }) } else { Ok(()) }
    }
}
