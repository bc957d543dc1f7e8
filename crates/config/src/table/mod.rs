//! The table of all settings, by area. One row a setting; a test holds it against what Kafka 4.4.0 reports.

mod client_metrics;
mod controller;
mod group;
mod groups;
mod log;
mod metrics;
mod network;
mod oauthbearer;
mod ottla;
mod remote;
mod replication;
mod security;
mod share;
mod ssl;
mod streams;
mod topic;
mod transactions;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::{Check, ConfigType, DefaultValue, Definition, Effect, Scope, UpdateMode};

const BROKER: &[&[Definition]] = &[
    controller::ROWS,
    groups::ROWS,
    log::ROWS,
    metrics::ROWS,
    network::ROWS,
    oauthbearer::ROWS,
    ottla::ROWS,
    replication::ROWS,
    remote::ROWS,
    security::ROWS,
    share::ROWS,
    ssl::ROWS,
    streams::ROWS,
    transactions::ROWS,
];

const DYNAMIC_ONLY: &[Definition] = &[
    rate("follower.replication.throttled.rate", Effect::Honoured),
    rate("leader.replication.throttled.rate", Effect::Honoured),
    rate("replica.alter.log.dirs.io.max.bytes.per.second", Effect::Honoured),
];

const fn rate(name: &'static str, effect: Effect) -> Definition {
    let unlimited = DefaultValue::Text("9223372036854775807");
    long(name, unlimited, Check::AtLeast(0), UpdateMode::ClusterWide, effect)
}

type Index = BTreeMap<&'static str, &'static Definition>;

static TOPIC_INDEX: LazyLock<Index> = LazyLock::new(|| index(&[topic::ROWS]));
static BROKER_INDEX: LazyLock<Index> = LazyLock::new(|| index(BROKER));
static GROUP_INDEX: LazyLock<Index> = LazyLock::new(|| index(&[group::ROWS]));
static CLIENT_METRICS_INDEX: LazyLock<Index> = LazyLock::new(|| index(&[client_metrics::ROWS]));

/// The setting of this name, if there is one in this scope.
#[must_use]
pub fn definition(scope: Scope, name: &str) -> Option<&'static Definition> {
    index_of(scope).get(name).copied()
}

/// All settings of a scope, by name.
pub fn definitions(scope: Scope) -> impl Iterator<Item = &'static Definition> {
    index_of(scope).values().copied()
}

/// The broker settings that exist only dynamically (KIP-73, KIP-113).
pub fn dynamic_only_definitions() -> impl Iterator<Item = &'static Definition> {
    DYNAMIC_ONLY.iter()
}

/// A broker setting that exists only dynamically: no file holds it, and it is described where it is set.
pub(crate) fn dynamic_only(name: &str) -> Option<&'static Definition> {
    DYNAMIC_ONLY.iter().find(|definition| definition.name == name)
}

fn index_of(scope: Scope) -> &'static Index {
    match scope {
        Scope::Topic => &TOPIC_INDEX,
        Scope::Broker => &BROKER_INDEX,
        Scope::Group => &GROUP_INDEX,
        Scope::ClientMetrics => &CLIENT_METRICS_INDEX,
    }
}

fn index(areas: &[&'static [Definition]]) -> Index {
    areas.iter().flat_map(|rows| rows.iter()).map(|row| (row.name, row)).collect()
}

// What is not built yet: it is refused away from its default.
const TIERED: &str = "tiered storage";
const TLS: &str = "TLS";
const SASL: &str = "SASL";
const AUTHORIZER: &str = "authorization";
const PLUGINS: &str = "loading a class of the JVM's";
const QUOTAS: &str = "quotas";
const DLQ: &str = "the dead letter queue of share groups";
const METADATA_RETENTION: &str = "keeping what the metadata log's latest snapshot replaces";
const METADATA_ROLL: &str = "rolling the metadata log by time";
const UNSTABLE: &str = "an unstable version";

// Why a setting that is accepted changes nothing.
const TRANSACTIONS: &str = "it tunes transactions, and a transactional id is refused";
const SHARE: &str = "it tunes share groups, whose requests are refused";
const STREAMS: &str = "it tunes streams groups, whose requests are refused";
const THREADS: &str = "Ottla's workers follow the machine's cores, not a thread pool's size";
const ONE_NODE: &str = "it steers what nodes do among themselves, which Ottla does in its own way or not yet";
const PURGATORY: &str = "parked requests leave memory when they are answered";
const JVM: &str = "metrics are Prometheus's, not JMX's or a reporter class's";
const INTERNAL: &str = "a knob of Kafka's own tests";
const QUEUE: &str = "requests are bounded by bytes and by connection, there is no shared queue";
const BUFFERS: &str = "it sizes a buffer of Kafka's coordinators that Ottla does not have";

const fn row(
    config_type: ConfigType,
    name: &'static str,
    default: DefaultValue,
    check: Check,
    update: UpdateMode,
    effect: Effect,
) -> Definition {
    Definition { name, config_type, default, check, update, effect, internal: false }
}

macro_rules! of_type {
    ($($function:ident $config_type:ident,)*) => {
        $(const fn $function(
            name: &'static str,
            default: DefaultValue,
            check: Check,
            update: UpdateMode,
            effect: Effect,
        ) -> Definition {
            row(ConfigType::$config_type, name, default, check, update, effect)
        })*
    };
}

of_type! {
    boolean Boolean,
    string String,
    int Int,
    short Short,
    long Long,
    double Double,
    list List,
    class Class,
    password Password,
}

/// A setting that Kafka reads but neither documents nor describes.
const fn internal(mut definition: Definition) -> Definition {
    definition.internal = true;
    definition
}

#[cfg(test)]
mod tests;
