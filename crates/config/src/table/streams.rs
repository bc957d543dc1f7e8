//! Settings of streams groups (KIP-1071).

use super::{Definition, STREAMS, boolean, class, int, internal, list, long};
use crate::Check::{Any, AtLeast, ListOf};
use crate::DefaultValue::{Null, Text};
use crate::Effect::Inert;
use crate::UpdateMode::{ClusterWide, ReadOnly};

pub(super) const ROWS: &[Definition] = &[
    internal(long(
        "group.streams.acceptable.recovery.lag",
        Text("10000"),
        AtLeast(0),
        ReadOnly,
        Inert(STREAMS),
    )),
    int("group.streams.assignment.interval.ms", Text("1000"), AtLeast(0), ClusterWide, Inert(STREAMS)),
    internal(boolean(
        "group.streams.assignor.offload.enable",
        Text("true"),
        Any,
        ClusterWide,
        Inert(STREAMS),
    )),
    list(
        "group.streams.assignors",
        Text("sticky"),
        ListOf { words: &[], may_be_empty: false },
        ReadOnly,
        Inert(STREAMS),
    ),
    int("group.streams.heartbeat.interval.ms", Text("5000"), AtLeast(1), ReadOnly, Inert(STREAMS)),
    int("group.streams.initial.rebalance.delay.ms", Text("3000"), AtLeast(0), ReadOnly, Inert(STREAMS)),
    int("group.streams.max.assignment.interval.ms", Text("15000"), AtLeast(0), ReadOnly, Inert(STREAMS)),
    int("group.streams.max.heartbeat.interval.ms", Text("15000"), AtLeast(1), ReadOnly, Inert(STREAMS)),
    int("group.streams.max.session.timeout.ms", Text("60000"), AtLeast(1), ReadOnly, Inert(STREAMS)),
    int("group.streams.max.size", Text("2147483647"), AtLeast(1), ReadOnly, Inert(STREAMS)),
    int("group.streams.max.standby.replicas", Text("2"), AtLeast(0), ReadOnly, Inert(STREAMS)),
    internal(int("group.streams.max.warmup.replicas", Text("20"), AtLeast(0), ReadOnly, Inert(STREAMS))),
    int("group.streams.min.assignment.interval.ms", Text("0"), AtLeast(0), ReadOnly, Inert(STREAMS)),
    int("group.streams.min.heartbeat.interval.ms", Text("5000"), AtLeast(1), ReadOnly, Inert(STREAMS)),
    int("group.streams.min.session.timeout.ms", Text("45000"), AtLeast(1), ReadOnly, Inert(STREAMS)),
    internal(int(
        "group.streams.min.task.offset.interval.ms",
        Text("15000"),
        AtLeast(1),
        ReadOnly,
        Inert(STREAMS),
    )),
    int("group.streams.num.standby.replicas", Text("0"), AtLeast(0), ReadOnly, Inert(STREAMS)),
    internal(int("group.streams.num.warmup.replicas", Text("2"), AtLeast(0), ReadOnly, Inert(STREAMS))),
    list(
        "group.streams.rack.aware.assignment.tags",
        Text(""),
        ListOf { words: &[], may_be_empty: true },
        ReadOnly,
        Inert(STREAMS),
    ),
    int("group.streams.session.timeout.ms", Text("45000"), AtLeast(1), ReadOnly, Inert(STREAMS)),
    internal(int(
        "group.streams.task.offset.interval.ms",
        Text("60000"),
        AtLeast(1),
        ReadOnly,
        Inert(STREAMS),
    )),
    class("group.streams.topology.description.plugin.class", Null, Any, ReadOnly, Inert(STREAMS)),
];
