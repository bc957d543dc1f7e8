//! The broker's settings of tiered storage (KIP-405).

use super::{Definition, boolean, double, int, internal, long, string};
use crate::Check::{Any, AtLeast, Fraction, NonEmpty};
use crate::DefaultValue::{Null, Text};
use crate::Effect::NotYet;
use crate::UpdateMode::{ClusterWide, ReadOnly};

pub(super) const ROWS: &[Definition] = &[
    boolean("follower.fetch.last.tiered.offset.enable", Text("false"), Any, ClusterWide, NotYet),
    long("log.local.retention.bytes", Text("-2"), AtLeast(-2), ClusterWide, NotYet),
    long("log.local.retention.ms", Text("-2"), AtLeast(-2), ClusterWide, NotYet),
    long("log.remote.copy.lag.bytes", Text("-1"), AtLeast(-1), ClusterWide, NotYet),
    long("log.remote.copy.lag.ms", Text("0"), AtLeast(-1), ClusterWide, NotYet),
    int("remote.fetch.max.wait.ms", Text("500"), AtLeast(1), ClusterWide, NotYet),
    long("remote.list.offsets.request.timeout.ms", Text("30000"), AtLeast(1), ClusterWide, NotYet),
    long("remote.log.index.file.cache.total.size.bytes", Text("1073741824"), AtLeast(1), ClusterWide, NotYet),
    internal(long("remote.log.index.file.cache.ttl.ms", Text("900000"), AtLeast(-1), ReadOnly, NotYet)),
    int("remote.log.manager.copier.thread.pool.size", Text("10"), AtLeast(1), ClusterWide, NotYet),
    long(
        "remote.log.manager.copy.max.bytes.per.second",
        Text("9223372036854775807"),
        AtLeast(1),
        ClusterWide,
        NotYet,
    ),
    int("remote.log.manager.copy.quota.window.num", Text("11"), AtLeast(1), ReadOnly, NotYet),
    int("remote.log.manager.copy.quota.window.size.seconds", Text("1"), AtLeast(1), ReadOnly, NotYet),
    int("remote.log.manager.expiration.thread.pool.size", Text("10"), AtLeast(1), ClusterWide, NotYet),
    long(
        "remote.log.manager.fetch.max.bytes.per.second",
        Text("9223372036854775807"),
        AtLeast(1),
        ClusterWide,
        NotYet,
    ),
    int("remote.log.manager.fetch.quota.window.num", Text("11"), AtLeast(1), ReadOnly, NotYet),
    int("remote.log.manager.fetch.quota.window.size.seconds", Text("1"), AtLeast(1), ReadOnly, NotYet),
    int("remote.log.manager.follower.thread.pool.size", Text("2"), AtLeast(1), ClusterWide, NotYet),
    long("remote.log.manager.task.interval.ms", Text("30000"), AtLeast(1), ReadOnly, NotYet),
    internal(long(
        "remote.log.manager.task.retry.backoff.max.ms",
        Text("30000"),
        AtLeast(1),
        ReadOnly,
        NotYet,
    )),
    internal(long("remote.log.manager.task.retry.backoff.ms", Text("500"), AtLeast(1), ReadOnly, NotYet)),
    internal(double(
        "remote.log.manager.task.retry.jitter",
        Text("0.2"),
        Fraction(0.0, 0.5),
        ReadOnly,
        NotYet,
    )),
    int("remote.log.manager.thread.pool.size", Text("2"), AtLeast(1), ReadOnly, NotYet),
    int("remote.log.metadata.custom.metadata.max.bytes", Text("128"), AtLeast(0), ReadOnly, NotYet),
    string(
        "remote.log.metadata.manager.class.name",
        Text("org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager"),
        NonEmpty,
        ReadOnly,
        NotYet,
    ),
    string("remote.log.metadata.manager.class.path", Null, Any, ReadOnly, NotYet),
    string("remote.log.metadata.manager.impl.prefix", Text("rlmm.config."), NonEmpty, ReadOnly, NotYet),
    string("remote.log.metadata.manager.listener.name", Null, NonEmpty, ReadOnly, NotYet),
    int("remote.log.reader.max.pending.tasks", Text("100"), AtLeast(1), ReadOnly, NotYet),
    int("remote.log.reader.threads", Text("10"), AtLeast(1), ClusterWide, NotYet),
    string("remote.log.storage.manager.class.name", Null, NonEmpty, ReadOnly, NotYet),
    string("remote.log.storage.manager.class.path", Null, Any, ReadOnly, NotYet),
    string("remote.log.storage.manager.impl.prefix", Text("rsm.config."), NonEmpty, ReadOnly, NotYet),
    boolean("remote.log.storage.system.enable", Text("false"), Any, ReadOnly, NotYet),
];
