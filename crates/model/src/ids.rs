//! Ids, epochs and offsets as newtypes, so that one is never passed for another.

use std::fmt;
use std::sync::Arc;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl $name {
            /// The plain number, for the wire and the disk.
            #[must_use]
            pub const fn get(self) -> $inner {
                self.0
            }
        }

        impl From<$inner> for $name {
            fn from(value: $inner) -> Self {
                Self(value)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// A node id (`node.id`); -1 where the protocol means "none".
    BrokerId(i32)
);
number!(
    /// A partition's leader epoch: grows with every new leader; -1 where unknown.
    LeaderEpoch(i32)
);
number!(
    /// A partition registration's version (KIP-497): grows with every ISR, leader or replica change.
    PartitionEpoch(i32)
);
number!(
    /// A record offset within a partition; never a byte position.
    Offset(i64)
);
number!(
    /// An idempotent producer's id (KIP-98); -1 where a batch has none.
    ProducerId(i64)
);
number!(
    /// The epoch that fences older instances of a producer id (KIP-98); -1 where a batch has none.
    ProducerEpoch(i16)
);

impl BrokerId {
    /// What the protocol sends where there is no broker.
    pub const NONE: Self = Self(-1);
}

impl LeaderEpoch {
    /// What the protocol sends where the epoch is not known.
    pub const NONE: Self = Self(-1);
}

impl ProducerId {
    /// What a batch of a non-idempotent producer carries.
    pub const NONE: Self = Self(-1);
}

impl ProducerEpoch {
    /// What a batch of a non-idempotent producer carries.
    pub const NONE: Self = Self(-1);
}

impl Offset {
    /// The first offset of a new log.
    pub const ZERO: Self = Self(0);
    /// What the protocol sends where there is no offset.
    pub const NONE: Self = Self(-1);

    /// The offset `count` records further on; saturating.
    #[must_use]
    pub const fn plus(self, count: i64) -> Self {
        Self(self.0.saturating_add(count))
    }
}

/// A topic's id (KIP-516), distinct for each incarnation of a name. The nil uuid means "no id".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub uuid::Uuid);

impl TopicId {
    /// "No id": what clients send that address topics by name.
    pub const ZERO: Self = Self(uuid::Uuid::nil());
    /// The id of the cluster metadata topic, fixed by KIP-516.
    pub const METADATA: Self = Self(uuid::Uuid::from_u128(1));

    /// Kafka's spelling: url-safe base64 of the 16 bytes, without padding (22 characters).
    #[must_use]
    pub fn to_base64(self) -> String {
        base64_of(self.0.as_bytes())
    }

    /// Reads Kafka's spelling; `None` if it is not 22 characters of url-safe base64.
    #[must_use]
    pub fn from_base64(text: &str) -> Option<Self> {
        bytes_of(text).map(|bytes| Self(uuid::Uuid::from_bytes(bytes)))
    }
}

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_base64())
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn base64_of(bytes: &[u8; 16]) -> String {
    let bits = u128::from_be_bytes(*bytes);
    let mut out = String::with_capacity(22);
    for i in 0..22u32 {
        // 21 whole sextets, then the last two bits followed by four zero bits.
        let sextet = if i < 21 { (bits >> (122 - 6 * i)) & 63 } else { (bits << 4) & 63 };
        let index = usize::try_from(sextet).unwrap_or(0);
        out.push(char::from(ALPHABET[index]));
    }
    out
}

fn bytes_of(text: &str) -> Option<[u8; 16]> {
    if text.len() != 22 {
        return None;
    }
    let mut bits: u128 = 0;
    for (i, c) in text.bytes().enumerate() {
        let value = ALPHABET.iter().position(|a| *a == c)?;
        let value = u128::try_from(value).ok()?;
        bits = if i < 21 { (bits << 6) | value } else { (bits << 2) | (value >> 4) };
    }
    Some(bits.to_be_bytes())
}

/// A topic's name and a partition of it. The name is shared: cloning costs a reference count.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    pub topic: Arc<str>,
    pub partition: i32,
}

impl TopicPartition {
    #[must_use]
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// A topic's id and a partition of it: names one incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicIdPartition {
    pub topic_id: TopicId,
    pub partition: i32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_id_prints_as_kafka_does() {
        // Kafka's Uuid(0L, 1L).toString().
        assert_eq!(TopicId::METADATA.to_base64(), "AAAAAAAAAAAAAAAAAAAAAQ");
        let id = TopicId(uuid::Uuid::from_u128(0xfeed_beef_0123_4567_89ab_cdef_0011_2233));
        assert_eq!(TopicId::from_base64(&id.to_base64()), Some(id));
    }
}
