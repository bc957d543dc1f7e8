//! The hash of a group's topics in `ConsumerGroupMetadataValue.MetadataHash` (KIP-1101), equal to Kafka's: another
//! number means that a subscribed topic came, went, or changed partitions or racks.
//!
//! | what | bytes hashed by XXH3-64, integers little-endian |
//! |--|--|
//! | topic | `0u8`, topic id (high and low half), string(name), partition count i32, then per partition: index i32, and per rack in sorted order: length i32, string(rack) |
//! | string | UTF-16 code units u16, then their count i32 |
//! | group | the topic hashes i64, by topic name; no topic: 0 without hashing |

use std::collections::BTreeMap;
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use super::topics::{TopicDirectory, TopicInfo};

/// The layout's version, first byte of each topic's input.
const MAGIC: u8 = 0;

/// Topic hashes of one directory version: many groups share topics.
#[derive(Clone, Debug, Default)]
pub struct TopicHashes {
    version: Option<i64>,
    by_name: BTreeMap<Arc<str>, u64>,
}

impl TopicHashes {
    /// Hash of those of the named topics that exist.
    pub(crate) fn group_hash<'a>(
        &mut self,
        names: impl Iterator<Item = &'a Arc<str>>,
        directory: &dyn TopicDirectory,
    ) -> i64 {
        let mut hasher = Xxh3::new();
        let mut any = false;
        for name in names {
            if let Some(hash) = self.topic_hash(name, directory) {
                hasher.update(&hash.to_le_bytes());
                any = true;
            }
        }
        if any { hasher.digest().cast_signed() } else { 0 }
    }

    pub(super) fn topic_hash(&mut self, name: &Arc<str>, directory: &dyn TopicDirectory) -> Option<u64> {
        if self.version != Some(directory.version()) {
            self.by_name.clear();
            self.version = Some(directory.version());
        }
        if let Some(hash) = self.by_name.get(name) {
            return Some(*hash);
        }
        let hash = hash_of(&directory.topic(name)?, directory);
        self.by_name.insert(name.clone(), hash);
        Some(hash)
    }
}

fn hash_of(topic: &TopicInfo, directory: &dyn TopicDirectory) -> u64 {
    let mut hasher = Xxh3::new();
    let (high, low) = topic.id.0.as_u64_pair();
    hasher.update(&[MAGIC]);
    hasher.update(&high.to_le_bytes());
    hasher.update(&low.to_le_bytes());
    put_string(&mut hasher, &topic.name);
    hasher.update(&topic.partition_count.to_le_bytes());
    for partition in 0..topic.partition_count {
        hasher.update(&partition.to_le_bytes());
        let mut racks = directory.racks(topic.id, partition);
        racks.sort();
        for rack in racks {
            hasher.update(&utf16_len(&rack).to_le_bytes());
            put_string(&mut hasher, &rack);
        }
    }
    hasher.digest()
}

fn put_string(hasher: &mut Xxh3, text: &str) {
    for unit in text.encode_utf16() {
        hasher.update(&unit.to_le_bytes());
    }
    hasher.update(&utf16_len(text).to_le_bytes());
}

fn utf16_len(text: &str) -> i32 {
    i32::try_from(text.encode_utf16().count()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use ottla_model::TopicId;

    use super::TopicHashes;
    use crate::consumer::topics::{TopicDirectory as _, testing::FakeTopics};

    const VECTORS: &str = include_str!("../../testdata/metadata_hash_vectors.txt");

    #[test]
    fn hashes_as_kafka_does() {
        let mut topics = FakeTopics::default();
        let mut expected = Vec::new();
        let mut group = 0;
        for line in VECTORS.lines().filter(|l| !l.starts_with('#')) {
            let fields: Vec<&str> = line.split(' ').collect();
            if fields[0] == "group" {
                group = fields[1].parse().unwrap();
                continue;
            }
            let racks = fields[4][1..].split('|');
            let racks = racks.map(|r| r.split(',').filter(|r| !r.is_empty()).map(str::to_owned).collect());
            let id = TopicId::from_base64(fields[2]).unwrap();
            topics.add_with_racks(fields[1], id, racks.collect());
            assert_eq!(topics.topic(fields[1]).unwrap().partition_count.to_string(), fields[3]);
            expected.push((std::sync::Arc::from(fields[1]), fields[5].parse::<i64>().unwrap()));
        }
        let mut hashes = TopicHashes::default();
        for (name, hash) in &expected {
            assert_eq!(hashes.topic_hash(name, &topics).map(u64::cast_signed), Some(*hash), "{name}");
        }
        assert_eq!(hashes.group_hash(expected.iter().map(|(name, _)| name), &topics), group);
        assert_eq!(hashes.group_hash([std::sync::Arc::from("unknown")].iter(), &topics), 0);
    }
}
