//! Group settings (`GroupConfig`, KIP-848, KIP-932, KIP-1071).

use super::{DLQ, Definition, SHARE, STREAMS, THREADS, boolean, int, internal, list, long, string};
use crate::Check::{Any, AtLeast, ListOf, OneOf, ShareOffsetReset};
use crate::DefaultValue::{Null, Text};
use crate::Effect::{Honoured, Inert, NotYet};
use crate::UpdateMode::ClusterWide;

pub(super) const ROWS: &[Definition] = &[
    int("consumer.assignment.interval.ms", Text("1000"), AtLeast(0), ClusterWide, Honoured),
    internal(boolean("consumer.assignor.offload.enable", Text("true"), Any, ClusterWide, Inert(THREADS))),
    int("consumer.heartbeat.interval.ms", Text("5000"), AtLeast(1), ClusterWide, Honoured),
    int("consumer.session.timeout.ms", Text("45000"), AtLeast(1), ClusterWide, Honoured),
    boolean("errors.deadletterqueue.copy.record.enable", Text("false"), Any, ClusterWide, NotYet(DLQ)),
    string("errors.deadletterqueue.topic.name", Text(""), Any, ClusterWide, NotYet(DLQ)),
    int("share.assignment.interval.ms", Text("1000"), AtLeast(0), ClusterWide, Inert(SHARE)),
    internal(boolean("share.assignor.offload.enable", Text("true"), Any, ClusterWide, Inert(SHARE))),
    string("share.auto.offset.reset", Text("latest"), ShareOffsetReset, ClusterWide, Inert(SHARE)),
    int("share.delivery.count.limit", Text("5"), AtLeast(2), ClusterWide, Inert(SHARE)),
    int("share.heartbeat.interval.ms", Text("5000"), AtLeast(1), ClusterWide, Inert(SHARE)),
    string(
        "share.isolation.level",
        Text("read_uncommitted"),
        OneOf(&["read_committed", "read_uncommitted"]),
        ClusterWide,
        Inert(SHARE),
    ),
    int("share.partition.max.record.locks", Text("2000"), AtLeast(100), ClusterWide, Inert(SHARE)),
    int("share.record.lock.duration.ms", Text("30000"), AtLeast(1000), ClusterWide, Inert(SHARE)),
    boolean("share.renew.acknowledge.enable", Text("true"), Any, ClusterWide, Inert(SHARE)),
    int("share.session.timeout.ms", Text("45000"), AtLeast(1), ClusterWide, Inert(SHARE)),
    internal(long("streams.acceptable.recovery.lag", Text("10000"), AtLeast(0), ClusterWide, Inert(STREAMS))),
    int("streams.assignment.interval.ms", Text("1000"), AtLeast(0), ClusterWide, Inert(STREAMS)),
    string("streams.assignor.name", Null, Any, ClusterWide, Inert(STREAMS)),
    internal(boolean("streams.assignor.offload.enable", Text("true"), Any, ClusterWide, Inert(STREAMS))),
    int("streams.heartbeat.interval.ms", Text("5000"), AtLeast(1), ClusterWide, Inert(STREAMS)),
    int("streams.initial.rebalance.delay.ms", Text("3000"), AtLeast(0), ClusterWide, Inert(STREAMS)),
    int("streams.num.standby.replicas", Text("0"), AtLeast(0), ClusterWide, Inert(STREAMS)),
    internal(int("streams.num.warmup.replicas", Text("2"), AtLeast(0), ClusterWide, Inert(STREAMS))),
    list(
        "streams.rack.aware.assignment.tags",
        Text(""),
        ListOf { words: &[], may_be_empty: true },
        ClusterWide,
        Inert(STREAMS),
    ),
    int("streams.session.timeout.ms", Text("45000"), AtLeast(1), ClusterWide, Inert(STREAMS)),
    internal(int("streams.task.offset.interval.ms", Text("60000"), AtLeast(1), ClusterWide, Inert(STREAMS))),
];
