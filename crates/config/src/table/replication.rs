//! Settings of topics at creation, fetch and replication.

use super::{Definition, ONE_NODE, PURGATORY, THREADS, boolean, int, internal, long, string};
use crate::Check::{Any, AtLeast};
use crate::DefaultValue::{Null, Text};
use crate::Effect::{Honoured, Inert};
use crate::UpdateMode::{ClusterWide, ReadOnly};

pub(super) const ROWS: &[Definition] = &[
    boolean("auto.create.topics.enable", Text("true"), Any, ReadOnly, Honoured),
    boolean("auto.leader.rebalance.enable", Text("true"), Any, ReadOnly, Honoured),
    int("default.replication.factor", Text("1"), Any, ReadOnly, Honoured),
    int("delete.records.purgatory.purge.interval.requests", Text("1"), Any, ReadOnly, Inert(PURGATORY)),
    boolean("delete.topic.enable", Text("true"), Any, ReadOnly, Honoured),
    int("fetch.max.bytes", Text("57671680"), AtLeast(1024), ReadOnly, Honoured),
    int("fetch.purgatory.purge.interval.requests", Text("1000"), Any, ReadOnly, Inert(PURGATORY)),
    long("leader.imbalance.check.interval.seconds", Text("300"), AtLeast(1), ReadOnly, Honoured),
    int("max.incremental.fetch.session.cache.slots", Text("1000"), AtLeast(0), ReadOnly, Honoured),
    int("num.partitions", Text("1"), AtLeast(1), ReadOnly, Honoured),
    int("num.replica.alter.log.dirs.threads", Null, Any, ReadOnly, Inert(THREADS)),
    int("num.replica.fetchers", Text("1"), AtLeast(1), ClusterWide, Honoured),
    int("producer.purgatory.purge.interval.requests", Text("1000"), Any, ReadOnly, Inert(PURGATORY)),
    int("replica.fetch.backoff.ms", Text("1000"), AtLeast(0), ReadOnly, Honoured),
    int("replica.fetch.max.bytes", Text("1048576"), AtLeast(0), ReadOnly, Honoured),
    int("replica.fetch.min.bytes", Text("1"), Any, ReadOnly, Honoured),
    int("replica.fetch.response.max.bytes", Text("10485760"), AtLeast(0), ReadOnly, Honoured),
    int("replica.fetch.wait.max.ms", Text("500"), Any, ReadOnly, Honoured),
    long("replica.high.watermark.checkpoint.interval.ms", Text("5000"), Any, ReadOnly, Honoured),
    long("replica.lag.time.max.ms", Text("30000"), Any, ReadOnly, Honoured),
    string("replica.selector.class", Null, Any, ReadOnly, Honoured),
    int("replica.socket.receive.buffer.bytes", Text("65536"), Any, ReadOnly, Inert(ONE_NODE)),
    int("replica.socket.timeout.ms", Text("30000"), Any, ReadOnly, Honoured),
    internal(long("unclean.leader.election.interval.ms", Text("300000"), AtLeast(1), ReadOnly, Honoured)),
];
