//! The vocabulary of a Kafka log: ids, epochs, offsets and times as newtypes, Kafka's primitive wire types, and
//! record batch v2 as borrowed bytes.
//!
//! Owns: newtypes, `wire` (primitive reader and writer), `batch` (header view, CRC32C, validation, record iterator,
//! builder, compression).
//! Never: files, sockets, clocks, an allocation per record on the produce path.

pub mod batch;
mod ids;
mod time;
mod topic_name;
pub mod wire;

pub use ids::{
    BrokerId, LeaderEpoch, Offset, PartitionEpoch, ProducerEpoch, ProducerId, TopicId, TopicIdPartition,
    TopicPartition,
};
pub use time::{MonoMs, Now, TimestampMs};
pub use topic_name::{TOPIC_NAME_LEN_MAX, TopicNameError, check_topic_name};
