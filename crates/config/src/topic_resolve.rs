//! Builds a topic's effective settings: its own overrides, else the broker's synonym, else the default.

use std::borrow::Cow;

use ottla_model::batch::TimestampType;

use crate::value::split_list;
use crate::{
    BrokerConfig, CleanupPolicy, CompressionType, ConfigError, ConfigMap, Layers, Scope, ThrottledReplicas,
    TopicConfig, Value, definition, synonyms,
};

pub(crate) fn resolve(overrides: &ConfigMap, broker: &BrokerConfig) -> Result<TopicConfig, ConfigError> {
    let effective = Effective { overrides, layers: broker.layers() };
    Ok(TopicConfig {
        cleanup_policy: cleanup_policy(&effective.list("cleanup.policy")),
        compression_type: compression_type(&effective.text("compression.type").unwrap_or_default()),
        compression_gzip_level: effective.int("compression.gzip.level")?,
        compression_lz4_level: effective.int("compression.lz4.level")?,
        compression_zstd_level: effective.int("compression.zstd.level")?,
        delete_retention_ms: effective.long("delete.retention.ms")?,
        file_delete_delay_ms: effective.long("file.delete.delay.ms")?,
        flush_messages: effective.long("flush.messages")?,
        flush_ms: effective.long("flush.ms")?,
        follower_throttled: ThrottledReplicas::from_list(
            &effective.list("follower.replication.throttled.replicas"),
        ),
        leader_throttled: ThrottledReplicas::from_list(
            &effective.list("leader.replication.throttled.replicas"),
        ),
        index_interval_bytes: effective.int("index.interval.bytes")?,
        max_compaction_lag_ms: effective.long("max.compaction.lag.ms")?,
        max_decompressed_message_bytes: effective.int("max.decompressed.message.bytes")?,
        max_message_bytes: effective.int("max.message.bytes")?,
        message_timestamp_after_max_ms: effective.long("message.timestamp.after.max.ms")?,
        message_timestamp_before_max_ms: effective.long("message.timestamp.before.max.ms")?,
        message_timestamp_type: timestamp_type(&effective.text("message.timestamp.type").unwrap_or_default()),
        min_cleanable_dirty_ratio: effective.double("min.cleanable.dirty.ratio")?,
        min_compaction_lag_ms: effective.long("min.compaction.lag.ms")?,
        min_insync_replicas: effective.int("min.insync.replicas")?,
        preallocate: effective.boolean("preallocate")?,
        remote_storage_enable: effective.boolean("remote.storage.enable")?,
        retention_bytes: effective.long("retention.bytes")?,
        retention_ms: effective.long("retention.ms")?,
        segment_bytes: effective.segment_bytes()?,
        segment_index_bytes: effective.int("segment.index.bytes")?,
        segment_jitter_ms: effective.long("segment.jitter.ms")?,
        segment_ms: effective.long("segment.ms")?,
        unclean_leader_election_enable: effective.boolean("unclean.leader.election.enable")?,
    })
}

struct Effective<'a> {
    overrides: &'a ConfigMap,
    layers: &'a Layers,
}

impl<'a> Effective<'a> {
    fn text(&self, name: &'static str) -> Option<Cow<'a, str>> {
        match self.overrides.get(name) {
            Some(text) => Some(Cow::Borrowed(text)),
            None => synonyms::inherited(name, self.layers),
        }
    }

    fn value(&self, name: &'static str) -> Result<Value, ConfigError> {
        let definition = definition(Scope::Topic, name).ok_or_else(|| missing(name))?;
        self.text(name).map_or(Ok(Value::Null), |text| definition.parse(&text))
    }

    fn long(&self, name: &'static str) -> Result<i64, ConfigError> {
        self.value(name)?.as_i64().ok_or_else(|| missing(name))
    }

    fn int(&self, name: &'static str) -> Result<i32, ConfigError> {
        if let Value::Int(n) = self.value(name)? { Ok(n) } else { Err(missing(name)) }
    }

    /// The internal one is not bound to a megabyte at least, and is the stronger.
    fn segment_bytes(&self) -> Result<i32, ConfigError> {
        match self.value("internal.segment.bytes")? {
            Value::Int(n) => Ok(n),
            _ => self.int("segment.bytes"),
        }
    }

    fn boolean(&self, name: &'static str) -> Result<bool, ConfigError> {
        if let Value::Boolean(b) = self.value(name)? { Ok(b) } else { Err(missing(name)) }
    }

    fn double(&self, name: &'static str) -> Result<f64, ConfigError> {
        if let Value::Double(x) = self.value(name)? { Ok(x) } else { Err(missing(name)) }
    }

    fn list(&self, name: &'static str) -> Vec<String> {
        self.text(name).map(|text| split_list(text.trim())).unwrap_or_default()
    }
}

fn missing(name: &str) -> ConfigError {
    ConfigError::Missing { name: name.to_owned() }
}

fn cleanup_policy(words: &[String]) -> CleanupPolicy {
    let has = |word: &str| words.iter().any(|w| w == word);
    CleanupPolicy { delete: has("delete"), compact: has("compact") }
}

fn compression_type(text: &str) -> CompressionType {
    match text {
        "uncompressed" => CompressionType::Uncompressed,
        "gzip" => CompressionType::Gzip,
        "snappy" => CompressionType::Snappy,
        "lz4" => CompressionType::Lz4,
        "zstd" => CompressionType::Zstd,
        _ => CompressionType::Producer,
    }
}

fn timestamp_type(text: &str) -> TimestampType {
    if text == "LogAppendTime" { TimestampType::LogAppendTime } else { TimestampType::CreateTime }
}
