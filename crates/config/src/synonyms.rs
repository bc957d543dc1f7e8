//! Which broker setting a topic's setting inherits from (`ServerTopicConfigSynonyms`), and how.

use std::borrow::Cow;

use crate::Layers;

/// How a broker's setting becomes a topic's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inherit {
    /// The same value.
    Same(&'static str),
    /// The first that is set: milliseconds, or another unit of so many milliseconds.
    Time(&'static [(&'static str, i64)]),
}

const HOUR_MS: i64 = 3_600_000;
const MINUTE_MS: i64 = 60_000;

/// Topic setting -> broker settings, in order of precedence.
const SYNONYMS: &[(&str, Inherit)] = &[
    ("cleanup.policy", Inherit::Same("log.cleanup.policy")),
    ("compression.gzip.level", Inherit::Same("compression.gzip.level")),
    ("compression.lz4.level", Inherit::Same("compression.lz4.level")),
    ("compression.type", Inherit::Same("compression.type")),
    ("compression.zstd.level", Inherit::Same("compression.zstd.level")),
    ("delete.retention.ms", Inherit::Same("log.cleaner.delete.retention.ms")),
    ("file.delete.delay.ms", Inherit::Same("log.segment.delete.delay.ms")),
    ("flush.messages", Inherit::Same("log.flush.interval.messages")),
    ("flush.ms", Inherit::Time(&[("log.flush.interval.ms", 1), ("log.flush.scheduler.interval.ms", 1)])),
    ("index.interval.bytes", Inherit::Same("log.index.interval.bytes")),
    ("local.retention.bytes", Inherit::Same("log.local.retention.bytes")),
    ("local.retention.ms", Inherit::Same("log.local.retention.ms")),
    ("max.compaction.lag.ms", Inherit::Same("log.cleaner.max.compaction.lag.ms")),
    ("max.decompressed.message.bytes", Inherit::Same("max.decompressed.message.bytes")),
    ("max.message.bytes", Inherit::Same("message.max.bytes")),
    ("message.timestamp.after.max.ms", Inherit::Same("log.message.timestamp.after.max.ms")),
    ("message.timestamp.before.max.ms", Inherit::Same("log.message.timestamp.before.max.ms")),
    ("message.timestamp.type", Inherit::Same("log.message.timestamp.type")),
    ("min.cleanable.dirty.ratio", Inherit::Same("log.cleaner.min.cleanable.ratio")),
    ("min.compaction.lag.ms", Inherit::Same("log.cleaner.min.compaction.lag.ms")),
    ("min.insync.replicas", Inherit::Same("min.insync.replicas")),
    ("preallocate", Inherit::Same("log.preallocate")),
    ("remote.copy.lag.bytes", Inherit::Same("log.remote.copy.lag.bytes")),
    ("remote.copy.lag.ms", Inherit::Same("log.remote.copy.lag.ms")),
    ("retention.bytes", Inherit::Same("log.retention.bytes")),
    (
        "retention.ms",
        Inherit::Time(&[
            ("log.retention.ms", 1),
            ("log.retention.minutes", MINUTE_MS),
            ("log.retention.hours", HOUR_MS),
        ]),
    ),
    ("segment.bytes", Inherit::Same("log.segment.bytes")),
    ("segment.index.bytes", Inherit::Same("log.index.size.max.bytes")),
    ("segment.jitter.ms", Inherit::Time(&[("log.roll.jitter.ms", 1), ("log.roll.jitter.hours", HOUR_MS)])),
    ("segment.ms", Inherit::Time(&[("log.roll.ms", 1), ("log.roll.hours", HOUR_MS)])),
    ("unclean.leader.election.enable", Inherit::Same("unclean.leader.election.enable")),
];

/// What the topic setting inherits from, if it inherits.
pub(crate) fn synonym(topic_setting: &str) -> Option<Inherit> {
    SYNONYMS.iter().find(|(name, _)| *name == topic_setting).map(|(_, inherit)| *inherit)
}

/// The value of a topic setting that the topic does not override.
pub(crate) fn inherited<'a>(topic_setting: &str, layers: &'a Layers) -> Option<Cow<'a, str>> {
    match synonym(topic_setting) {
        None => topic_default(topic_setting).map(Cow::Borrowed),
        Some(Inherit::Same(broker)) => layers.text(broker).map(Cow::Borrowed),
        Some(Inherit::Time(units)) => first_time(units, layers).map(|ms| Cow::Owned(ms.to_string())),
    }
}

/// What may be said of one listener: `listener.name.NAME.` before a broker setting; the name and that setting.
pub(crate) fn of_listener(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix("listener.name.")?.split_once('.')
}

/// The names under which a broker setting may be set, the strongest first (`DynamicBrokerConfig`'s synonyms).
pub(crate) fn broker_names(name: &str) -> Vec<&str> {
    const CHAINS: [&[&str]; 3] = [
        &["log.roll.ms", "log.roll.hours"],
        &["log.roll.jitter.ms", "log.roll.jitter.hours"],
        &["log.retention.ms", "log.retention.minutes", "log.retention.hours"],
    ];
    if name == "log.flush.interval.ms" {
        return vec![name, "log.flush.scheduler.interval.ms"];
    }
    if let Some((_, base)) = of_listener(name) {
        return vec![name, base];
    }
    match CHAINS.into_iter().find(|chain| chain.contains(&name)) {
        Some(chain) => chain.to_vec(),
        None => vec![name],
    }
}

/// The broker settings that hide this one when they are set dynamically.
pub(crate) fn hidden_by(name: &str) -> Vec<&str> {
    if name == "log.flush.scheduler.interval.ms" {
        return vec!["log.flush.interval.ms"];
    }
    if of_listener(name).is_some() {
        return Vec::new();
    }
    broker_names(name)
        .into_iter()
        .filter(|other| *other != name && *other != "log.flush.scheduler.interval.ms")
        .collect()
}

/// The broker setting that a group's setting inherits from.
pub(crate) fn of_group(group_setting: &str) -> Option<&'static str> {
    if group_setting == "streams.assignor.name" {
        return Some("group.streams.assignors");
    }
    crate::definition(crate::Scope::Broker, &format!("group.{group_setting}"))
        .map(|definition| definition.name)
}

/// The value of a group setting that the group does not override.
pub(crate) fn inherited_by_group<'a>(group_setting: &str, layers: &'a Layers) -> Option<&'a str> {
    match of_group(group_setting) {
        Some(broker) => layers.text(broker),
        None => {
            let definition = crate::definition(crate::Scope::Group, group_setting)?;
            definition.default.text()
        }
    }
}

fn topic_default(name: &str) -> Option<&'static str> {
    crate::definition(crate::Scope::Topic, name).and_then(|definition| definition.default.text())
}

/// Milliseconds of the first setting that has a value; every negative time is -1, "no limit".
fn first_time(units: &'static [(&'static str, i64)], layers: &Layers) -> Option<i64> {
    units.iter().find_map(|(name, unit_ms)| {
        let count = layers.optional_long(name).ok().flatten()?;
        Some(if count < 0 { -1 } else { count.saturating_mul(*unit_ms) })
    })
}
