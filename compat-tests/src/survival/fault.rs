//! What befalls a cluster.

use std::fmt;

/// A node, by what it is at that moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// The leader of the first partition.
    Leader,
    /// A follower of the first partition that is not the active controller.
    Follower,
    Controller,
}

/// One blow. What is stopped stands still for longer than a broker's session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Kill(Whom),
    Stop(Whom),
    KillAll,
    StopAll,
    /// SIGTERM to one after the other, each back before the next.
    Rolling,
    /// Cut off from all other nodes, in both directions.
    Isolate(Whom),
    /// What it sends to the others is lost; what they send arrives.
    Mute(Whom),
    /// What the others send to it is lost; what it sends arrives.
    Deafen(Whom),
    /// Between two nodes nothing arrives; the third reaches both.
    Part(Whom, Whom),
}

impl Fault {
    /// What can happen on one machine's loopback.
    pub const OF_PROCESSES: [Fault; 9] = [
        Fault::Kill(Whom::Leader),
        Fault::Stop(Whom::Leader),
        Fault::Kill(Whom::Controller),
        Fault::Stop(Whom::Controller),
        Fault::KillAll,
        Fault::Kill(Whom::Follower),
        Fault::Stop(Whom::Follower),
        Fault::StopAll,
        Fault::Rolling,
    ];

    /// What needs a network of its own.
    pub const OF_NETWORKS: [Fault; 7] = [
        Fault::Isolate(Whom::Leader),
        Fault::Mute(Whom::Leader),
        Fault::Isolate(Whom::Controller),
        Fault::Part(Whom::Leader, Whom::Follower),
        Fault::Deafen(Whom::Leader),
        Fault::Mute(Whom::Controller),
        Fault::Part(Whom::Leader, Whom::Controller),
    ];
}

impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Whom::Leader => "a leader",
            Whom::Follower => "a follower",
            Whom::Controller => "the active controller",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Kill(whom) => write!(f, "kill -9 of {whom}"),
            Fault::Stop(whom) => write!(f, "SIGSTOP of {whom}"),
            Fault::KillAll => f.write_str("kill -9 of all at once"),
            Fault::StopAll => f.write_str("SIGSTOP of all at once"),
            Fault::Rolling => f.write_str("a rolling restart"),
            Fault::Isolate(whom) => write!(f, "{whom} is cut off from the others"),
            Fault::Mute(whom) => write!(f, "nothing of what {whom} sends arrives"),
            Fault::Deafen(whom) => write!(f, "nothing of what is sent to {whom} arrives"),
            Fault::Part(a, b) => write!(f, "nothing arrives between {a} and {b}"),
        }
    }
}
