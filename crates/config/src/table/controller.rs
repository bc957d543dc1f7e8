//! Settings of the node, the controller quorum and the metadata log.

use super::{
    Definition, INTERNAL, JVM, METADATA_RETENTION, METADATA_ROLL, ONE_NODE, QUEUE, UNSTABLE, boolean, int,
    internal, list, long, string,
};
use crate::Check::{Any, AtLeast, BootstrapServers, ListOf, QuorumVoters};
use crate::DefaultValue::{Null, Required, Text};
use crate::Effect::{Honoured, Inert, NotYet};
use crate::UpdateMode::ReadOnly;

pub(super) const ROWS: &[Definition] = &[
    int("broker.heartbeat.interval.ms", Text("2000"), Any, ReadOnly, Honoured),
    int("broker.id", Text("-1"), Any, ReadOnly, Honoured),
    string("broker.rack", Null, Any, ReadOnly, Honoured),
    int("broker.session.timeout.ms", Text("9000"), Any, ReadOnly, Honoured),
    boolean("controlled.shutdown.enable", Text("true"), Any, ReadOnly, Inert(ONE_NODE)),
    list(
        "controller.listener.names",
        Required,
        ListOf { words: &[], may_be_empty: false },
        ReadOnly,
        Honoured,
    ),
    internal(long(
        "controller.performance.always.log.threshold.ms",
        Text("2000"),
        AtLeast(0),
        ReadOnly,
        Inert(JVM),
    )),
    internal(long(
        "controller.performance.sample.period.ms",
        Text("60000"),
        AtLeast(100),
        ReadOnly,
        Inert(JVM),
    )),
    int("controller.quorum.append.linger.ms", Text("25"), AtLeast(0), ReadOnly, Inert(ONE_NODE)),
    boolean("controller.quorum.auto.join.enable", Text("false"), Any, ReadOnly, Honoured),
    list("controller.quorum.bootstrap.servers", Text(""), BootstrapServers, ReadOnly, Honoured),
    int("controller.quorum.election.backoff.max.ms", Text("1000"), AtLeast(0), ReadOnly, Inert(ONE_NODE)),
    int("controller.quorum.election.timeout.ms", Text("1000"), AtLeast(0), ReadOnly, Honoured),
    int("controller.quorum.fetch.max.bytes", Text("1048576"), AtLeast(1), ReadOnly, Inert(ONE_NODE)),
    int("controller.quorum.fetch.snapshot.max.bytes", Text("1048576"), AtLeast(1), ReadOnly, Inert(ONE_NODE)),
    int("controller.quorum.fetch.timeout.ms", Text("2000"), AtLeast(0), ReadOnly, Inert(ONE_NODE)),
    int("controller.quorum.request.timeout.ms", Text("2000"), AtLeast(0), ReadOnly, Inert(ONE_NODE)),
    int("controller.quorum.retry.backoff.ms", Text("20"), AtLeast(0), ReadOnly, Inert(ONE_NODE)),
    list("controller.quorum.voters", Text(""), QuorumVoters, ReadOnly, Honoured),
    int("controller.socket.timeout.ms", Text("30000"), Any, ReadOnly, Inert(ONE_NODE)),
    list("early.start.listeners", Null, ListOf { words: &[], may_be_empty: true }, ReadOnly, Inert(QUEUE)),
    int("initial.broker.registration.timeout.ms", Text("60000"), Any, ReadOnly, Inert(ONE_NODE)),
    internal(long("internal.metadata.delete.delay.millis", Text("60000"), Any, ReadOnly, Inert(INTERNAL))),
    internal(int("internal.metadata.log.segment.bytes", Null, Any, ReadOnly, Inert(INTERNAL))),
    internal(int(
        "internal.metadata.max.batch.size.in.bytes",
        Text("8388608"),
        Any,
        ReadOnly,
        Inert(INTERNAL),
    )),
    string("metadata.log.dir", Null, Any, ReadOnly, Honoured),
    long("metadata.log.max.record.bytes.between.snapshots", Text("20971520"), AtLeast(1), ReadOnly, Honoured),
    long("metadata.log.max.snapshot.interval.ms", Text("3600000"), AtLeast(0), ReadOnly, Honoured),
    int("metadata.log.segment.bytes", Text("1073741824"), AtLeast(8_388_608), ReadOnly, Honoured),
    long("metadata.log.segment.ms", Text("604800000"), Any, ReadOnly, NotYet(METADATA_ROLL)),
    int("metadata.max.idle.interval.ms", Text("500"), AtLeast(0), ReadOnly, Inert(ONE_NODE)),
    long("metadata.max.retention.bytes", Text("104857600"), Any, ReadOnly, NotYet(METADATA_RETENTION)),
    long("metadata.max.retention.ms", Text("604800000"), Any, ReadOnly, NotYet(METADATA_RETENTION)),
    int("node.id", Required, AtLeast(0), ReadOnly, Honoured),
    list(
        "process.roles",
        Required,
        ListOf { words: &["broker", "controller"], may_be_empty: false },
        ReadOnly,
        Honoured,
    ),
    internal(long(
        "server.max.startup.time.ms",
        Text("9223372036854775807"),
        AtLeast(0),
        ReadOnly,
        Inert(INTERNAL),
    )),
    internal(boolean("unstable.api.versions.enable", Text("false"), Any, ReadOnly, NotYet(UNSTABLE))),
    internal(boolean("unstable.feature.versions.enable", Text("false"), Any, ReadOnly, NotYet(UNSTABLE))),
];
