//! Topic settings (`LogConfig`).

use super::{DLQ, Definition, TIERED, boolean, double, int, internal, list, long, string};
use crate::Check::{Any, AtLeast, Between, Fraction, GzipLevel, ListOf, OneOf, ThrottledReplicas};
use crate::DefaultValue::{Null, Text};
use crate::Effect::{Honoured, NotYet};
use crate::UpdateMode::ClusterWide;

pub(super) const ROWS: &[Definition] = &[
    list(
        "cleanup.policy",
        Text("delete"),
        ListOf { words: &["compact", "delete"], may_be_empty: true },
        ClusterWide,
        Honoured,
    ),
    int("compression.gzip.level", Text("-1"), GzipLevel, ClusterWide, Honoured),
    int("compression.lz4.level", Text("9"), Between(1, 17), ClusterWide, Honoured),
    string(
        "compression.type",
        Text("producer"),
        OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]),
        ClusterWide,
        Honoured,
    ),
    int("compression.zstd.level", Text("3"), Between(-131_072, 22), ClusterWide, Honoured),
    long("delete.retention.ms", Text("86400000"), AtLeast(0), ClusterWide, Honoured),
    boolean("errors.deadletterqueue.group.enable", Text("false"), Any, ClusterWide, NotYet(DLQ)),
    long("file.delete.delay.ms", Text("60000"), AtLeast(0), ClusterWide, Honoured),
    long("flush.messages", Text("9223372036854775807"), AtLeast(1), ClusterWide, Honoured),
    long("flush.ms", Text("9223372036854775807"), AtLeast(0), ClusterWide, Honoured),
    list("follower.replication.throttled.replicas", Text(""), ThrottledReplicas, ClusterWide, Honoured),
    int("index.interval.bytes", Text("4096"), AtLeast(0), ClusterWide, Honoured),
    internal(int("internal.segment.bytes", Null, Any, ClusterWide, Honoured)),
    list("leader.replication.throttled.replicas", Text(""), ThrottledReplicas, ClusterWide, Honoured),
    long("local.retention.bytes", Text("-2"), AtLeast(-2), ClusterWide, NotYet(TIERED)),
    long("local.retention.ms", Text("-2"), AtLeast(-2), ClusterWide, NotYet(TIERED)),
    int(
        "max.decompressed.message.bytes",
        Text("2147483639"),
        Between(1, 2_147_483_639),
        ClusterWide,
        Honoured,
    ),
    long("max.compaction.lag.ms", Text("9223372036854775807"), AtLeast(1), ClusterWide, Honoured),
    int("max.message.bytes", Text("1048588"), AtLeast(0), ClusterWide, Honoured),
    long("message.timestamp.after.max.ms", Text("3600000"), AtLeast(0), ClusterWide, Honoured),
    long("message.timestamp.before.max.ms", Text("9223372036854775807"), AtLeast(0), ClusterWide, Honoured),
    string(
        "message.timestamp.type",
        Text("CreateTime"),
        OneOf(&["CreateTime", "LogAppendTime"]),
        ClusterWide,
        Honoured,
    ),
    double("min.cleanable.dirty.ratio", Text("0.5"), Fraction(0.0, 1.0), ClusterWide, Honoured),
    long("min.compaction.lag.ms", Text("0"), AtLeast(0), ClusterWide, Honoured),
    int("min.insync.replicas", Text("1"), AtLeast(1), ClusterWide, Honoured),
    boolean("preallocate", Text("false"), Any, ClusterWide, Honoured),
    long("remote.copy.lag.bytes", Text("-1"), AtLeast(-1), ClusterWide, NotYet(TIERED)),
    long("remote.copy.lag.ms", Text("0"), AtLeast(-1), ClusterWide, NotYet(TIERED)),
    boolean("remote.log.copy.disable", Text("false"), Any, ClusterWide, NotYet(TIERED)),
    boolean("remote.log.delete.on.disable", Text("false"), Any, ClusterWide, NotYet(TIERED)),
    boolean("remote.storage.enable", Text("false"), Any, ClusterWide, NotYet(TIERED)),
    long("retention.bytes", Text("-1"), Any, ClusterWide, Honoured),
    long("retention.ms", Text("604800000"), AtLeast(-1), ClusterWide, Honoured),
    int("segment.bytes", Text("1073741824"), AtLeast(1_048_576), ClusterWide, Honoured),
    int("segment.index.bytes", Text("10485760"), AtLeast(4), ClusterWide, Honoured),
    long("segment.jitter.ms", Text("0"), AtLeast(0), ClusterWide, Honoured),
    long("segment.ms", Text("604800000"), AtLeast(1), ClusterWide, Honoured),
    boolean("unclean.leader.election.enable", Text("false"), Any, ClusterWide, Honoured),
];
