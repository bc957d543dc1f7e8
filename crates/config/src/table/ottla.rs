//! Settings of Ottla's own. Kafka has none of them; all begin with `ottla.`.

use super::{Definition, int, long, string};
use crate::Check::{Any, AtLeast, Between, NonEmpty};
use crate::DefaultValue::Text;
use crate::Effect::Honoured;
use crate::UpdateMode::ReadOnly;

pub(super) const ROWS: &[Definition] = &[
    // The id of a new cluster; empty: a random one. A data directory of another cluster is refused.
    string("ottla.cluster.id", Text(""), Any, ReadOnly, Honoured),
    // So many voters at most that nodes which are started with --join make; an odd number of them.
    int("ottla.join.voters.max", Text("3"), Between(1, 99), ReadOnly, Honoured),
    // Slices of a log from this length on leave by sendfile; 0: none do.
    int("ottla.fetch.sendfile.min.bytes", Text("262144"), AtLeast(0), ReadOnly, Honoured),
    // What state and requests may hold in memory, in bytes; -1: half of what the machine or the control group has.
    long("ottla.memory.max.bytes", Text("-1"), AtLeast(-1), ReadOnly, Honoured),
    // Shares of it; -1: the share that the README's table says.
    long("ottla.memory.answers.max.bytes", Text("-1"), AtLeast(-1), ReadOnly, Honoured),
    long("ottla.memory.fetch.sessions.max.bytes", Text("-1"), AtLeast(-1), ReadOnly, Honoured),
    long("ottla.memory.groups.max.bytes", Text("-1"), AtLeast(-1), ReadOnly, Honoured),
    long("ottla.memory.parked.max.bytes", Text("-1"), AtLeast(-1), ReadOnly, Honoured),
    long("ottla.memory.producers.max.bytes", Text("-1"), AtLeast(-1), ReadOnly, Honoured),
    // How long a peer that neither sends the rest of its request nor takes its answers keeps memory that others wait for.
    long("ottla.memory.stall.timeout.ms", Text("10000"), AtLeast(1), ReadOnly, Honoured),
    // HOST:PORT of /metrics and /health, or `off`.
    string("ottla.metrics.listen", Text("127.0.0.1:9404"), NonEmpty, ReadOnly, Honoured),
    // How many partitions, and how many partitions of groups, have series of their own: the largest; -1: all.
    int("ottla.metrics.partitions.max", Text("1000"), AtLeast(-1), ReadOnly, Honoured),
    // How many series of what clients push (KIP-714) are shown; what comes beyond is dropped and counted.
    int("ottla.metrics.client.series.max", Text("10000"), AtLeast(0), ReadOnly, Honoured),
    // Requests that take longer are logged, with where the time went; -1: none.
    long("ottla.slow.request.ms", Text("5000"), AtLeast(-1), ReadOnly, Honoured),
];
