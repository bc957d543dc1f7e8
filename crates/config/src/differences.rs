//! Where Ottla's defaults differ from Kafka's on purpose. Nowhere else.

/// A broker setting whose default is not Kafka's.
#[derive(Clone, Copy, Debug)]
pub struct Difference {
    pub name: &'static str,
    /// Ottla's default; `None` for null.
    pub default: Option<&'static str>,
    pub why: &'static str,
}

/// All deliberate differences of defaults.
pub const DIFFERENCES: &[Difference] = &[
    Difference {
        name: "listeners",
        default: Some("PLAINTEXT://127.0.0.1:9092"),
        why: "a broker without access control listens on the loopback only until it is told otherwise",
    },
    Difference {
        name: "log.dirs",
        default: Some("./ottla-data"),
        why: "data does not belong in the system's temporary directory",
    },
    Difference { name: "node.id", default: Some("1"), why: "one command starts a broker, without a file" },
    Difference {
        name: "process.roles",
        default: Some("broker,controller"),
        why: "a node is a whole cluster until it is told otherwise",
    },
    Difference {
        name: "controller.listener.names",
        default: Some("CONTROLLER"),
        why: "a quorum of one voter needs no listener, so none has to be named",
    },
    Difference {
        name: "metadata.log.segment.bytes",
        default: Some("8388608"),
        why: "what a snapshot replaces is removed by whole segments, and a start reads what is left",
    },
    Difference {
        name: "socket.listen.backlog.size",
        default: Some("1024"),
        why: "a burst of clients is not made to repeat its handshakes",
    },
    Difference {
        name: "socket.receive.buffer.bytes",
        default: Some("-1"),
        why: "the kernel sizes a connection's buffers by what it needs; 100 KB slow down long paths",
    },
    Difference { name: "socket.send.buffer.bytes", default: Some("-1"), why: "as for the receive buffer" },
];

pub(crate) fn difference(name: &str) -> Option<&'static Difference> {
    DIFFERENCES.iter().find(|difference| difference.name == name)
}
