//! Settings of listeners, sockets and requests.

use super::{Definition, ONE_NODE, QUEUE, THREADS, int, list, long, string};
use crate::Check::{Any, AtLeast, ListOf};
use crate::DefaultValue::{Null, Text};
use crate::Effect::{Honoured, Inert};
use crate::UpdateMode::{ClusterWide, PerBroker, ReadOnly};

pub(super) const ROWS: &[Definition] = &[
    list("advertised.listeners", Null, ListOf { words: &[], may_be_empty: false }, ReadOnly, Honoured),
    int("background.threads", Text("10"), AtLeast(1), ClusterWide, Inert(THREADS)),
    long("connections.max.idle.ms", Text("600000"), Any, ReadOnly, Honoured),
    string("inter.broker.listener.name", Null, Any, ReadOnly, Inert(ONE_NODE)),
    string(
        "listener.security.protocol.map",
        Text("SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT"),
        Any,
        PerBroker,
        Honoured,
    ),
    list(
        "listeners",
        Text("PLAINTEXT://:9092"),
        ListOf { words: &[], may_be_empty: false },
        PerBroker,
        Honoured,
    ),
    int("max.connection.creation.rate", Text("2147483647"), AtLeast(0), ClusterWide, Honoured),
    int("max.connections", Text("2147483647"), AtLeast(0), ClusterWide, Honoured),
    int("max.connections.per.ip", Text("2147483647"), AtLeast(0), ClusterWide, Honoured),
    string("max.connections.per.ip.overrides", Text(""), Any, ClusterWide, Honoured),
    int("max.request.partition.size.limit", Text("2000"), AtLeast(1), ReadOnly, Honoured),
    int("num.io.threads", Text("8"), AtLeast(1), ClusterWide, Inert(THREADS)),
    int("num.network.threads", Text("3"), AtLeast(1), ClusterWide, Inert(THREADS)),
    long("queued.max.request.bytes", Text("-1"), Any, ReadOnly, Honoured),
    int("queued.max.requests", Text("500"), AtLeast(1), ReadOnly, Inert(QUEUE)),
    int("request.timeout.ms", Text("30000"), Any, ReadOnly, Inert(ONE_NODE)),
    long("socket.connection.setup.timeout.max.ms", Text("30000"), Any, ReadOnly, Inert(ONE_NODE)),
    long("socket.connection.setup.timeout.ms", Text("10000"), Any, ReadOnly, Inert(ONE_NODE)),
    int("socket.listen.backlog.size", Text("50"), AtLeast(1), ReadOnly, Honoured),
    int("socket.receive.buffer.bytes", Text("102400"), Any, ReadOnly, Honoured),
    int("socket.request.max.bytes", Text("104857600"), AtLeast(1), ReadOnly, Honoured),
    int("socket.send.buffer.bytes", Text("102400"), Any, ReadOnly, Honoured),
];
