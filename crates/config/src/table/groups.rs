//! Settings of the group coordinator: classic and consumer groups, committed offsets.

use super::{BUFFERS, Definition, THREADS, boolean, int, internal, list, long, short, string};
use crate::Check::{Any, AtLeast, ListOf, OneOfAnyCase};
use crate::DefaultValue::Text;
use crate::Effect::{Honoured, Inert};
use crate::UpdateMode::{ClusterWide, ReadOnly};

pub(super) const ROWS: &[Definition] = &[
    int("group.consumer.assignment.interval.ms", Text("1000"), AtLeast(0), ClusterWide, Honoured),
    internal(boolean(
        "group.consumer.assignor.offload.enable",
        Text("true"),
        Any,
        ClusterWide,
        Inert(THREADS),
    )),
    list(
        "group.consumer.assignors",
        Text("uniform,range"),
        ListOf { words: &[], may_be_empty: false },
        ReadOnly,
        Honoured,
    ),
    int("group.consumer.heartbeat.interval.ms", Text("5000"), AtLeast(1), ReadOnly, Honoured),
    int("group.consumer.max.assignment.interval.ms", Text("15000"), AtLeast(0), ReadOnly, Honoured),
    int("group.consumer.max.heartbeat.interval.ms", Text("15000"), AtLeast(1), ReadOnly, Honoured),
    int("group.consumer.max.session.timeout.ms", Text("60000"), AtLeast(1), ReadOnly, Honoured),
    int("group.consumer.max.size", Text("2147483647"), AtLeast(1), ReadOnly, Honoured),
    string(
        "group.consumer.migration.policy",
        Text("bidirectional"),
        OneOfAnyCase(&["DISABLED", "DOWNGRADE", "UPGRADE", "BIDIRECTIONAL"]),
        ReadOnly,
        Honoured,
    ),
    int("group.consumer.min.assignment.interval.ms", Text("0"), AtLeast(0), ReadOnly, Honoured),
    int("group.consumer.min.heartbeat.interval.ms", Text("5000"), AtLeast(1), ReadOnly, Honoured),
    int("group.consumer.min.session.timeout.ms", Text("45000"), AtLeast(1), ReadOnly, Honoured),
    internal(int(
        "group.consumer.regex.refresh.interval.ms",
        Text("600000"),
        AtLeast(10_000),
        ReadOnly,
        Honoured,
    )),
    int("group.consumer.session.timeout.ms", Text("45000"), AtLeast(1), ReadOnly, Honoured),
    int("group.coordinator.append.linger.ms", Text("-1"), AtLeast(-1), ReadOnly, Inert(BUFFERS)),
    int("group.coordinator.background.threads", Text("2"), AtLeast(1), ReadOnly, Inert(THREADS)),
    int(
        "group.coordinator.cached.buffer.max.bytes",
        Text("1048588"),
        AtLeast(524_288),
        ClusterWide,
        Inert(BUFFERS),
    ),
    list(
        "group.coordinator.rebalance.protocols",
        Text("classic,consumer,streams"),
        ListOf { words: &["consumer", "classic", "share", "streams"], may_be_empty: false },
        ReadOnly,
        Honoured,
    ),
    int("group.coordinator.threads", Text("4"), AtLeast(1), ReadOnly, Inert(THREADS)),
    int("group.initial.rebalance.delay.ms", Text("3000"), Any, ReadOnly, Honoured),
    int("group.max.session.timeout.ms", Text("1800000"), Any, ReadOnly, Honoured),
    int("group.max.size", Text("2147483647"), AtLeast(1), ReadOnly, Honoured),
    int("group.min.session.timeout.ms", Text("6000"), Any, ReadOnly, Honoured),
    int("offset.metadata.max.bytes", Text("4096"), Any, ReadOnly, Honoured),
    int("offsets.commit.timeout.ms", Text("5000"), AtLeast(1), ReadOnly, Honoured),
    int("offsets.load.buffer.size", Text("5242880"), AtLeast(1), ReadOnly, Inert(BUFFERS)),
    long("offsets.retention.check.interval.ms", Text("600000"), AtLeast(1), ReadOnly, Honoured),
    int("offsets.retention.minutes", Text("10080"), AtLeast(1), ReadOnly, Honoured),
    int("offsets.topic.compression.codec", Text("0"), Any, ReadOnly, Honoured),
    int("offsets.topic.num.partitions", Text("50"), AtLeast(1), ReadOnly, Honoured),
    short("offsets.topic.replication.factor", Text("3"), AtLeast(1), ReadOnly, Honoured),
    int("offsets.topic.segment.bytes", Text("104857600"), AtLeast(1), ReadOnly, Honoured),
];
