//! Settings of transactions and producer ids.

use super::{BUFFERS, Definition, TRANSACTIONS, boolean, int, internal, short};
use crate::Check::{Any, AtLeast};
use crate::DefaultValue::Text;
use crate::Effect::{Honoured, Inert, NotYet};
use crate::UpdateMode::{ClusterWide, ReadOnly};

pub(super) const ROWS: &[Definition] = &[
    int("add.partitions.to.txn.retry.backoff.max.ms", Text("100"), AtLeast(0), ReadOnly, Inert(TRANSACTIONS)),
    int("add.partitions.to.txn.retry.backoff.ms", Text("20"), AtLeast(1), ReadOnly, Inert(TRANSACTIONS)),
    internal(int("producer.id.expiration.check.interval.ms", Text("600000"), AtLeast(1), ReadOnly, Honoured)),
    int("producer.id.expiration.ms", Text("86400000"), AtLeast(1), ClusterWide, Honoured),
    int(
        "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        Text("10000"),
        AtLeast(1),
        ReadOnly,
        Inert(TRANSACTIONS),
    ),
    int("transaction.max.timeout.ms", Text("900000"), AtLeast(1), ReadOnly, Inert(TRANSACTIONS)),
    boolean("transaction.partition.verification.enable", Text("true"), Any, ClusterWide, Inert(TRANSACTIONS)),
    int(
        "transaction.remove.expired.transaction.cleanup.interval.ms",
        Text("3600000"),
        AtLeast(1),
        ReadOnly,
        Inert(TRANSACTIONS),
    ),
    int("transaction.state.log.load.buffer.size", Text("5242880"), AtLeast(1), ReadOnly, Inert(BUFFERS)),
    int("transaction.state.log.min.isr", Text("2"), AtLeast(1), ReadOnly, Inert(TRANSACTIONS)),
    int("transaction.state.log.num.partitions", Text("50"), AtLeast(1), ReadOnly, Inert(TRANSACTIONS)),
    short("transaction.state.log.replication.factor", Text("3"), AtLeast(1), ReadOnly, Inert(TRANSACTIONS)),
    int("transaction.state.log.segment.bytes", Text("104857600"), AtLeast(1), ReadOnly, Inert(TRANSACTIONS)),
    boolean("transaction.two.phase.commit.enable", Text("false"), Any, ReadOnly, NotYet(TRANSACTIONS)),
    int("transactional.id.expiration.ms", Text("604800000"), AtLeast(1), ReadOnly, Inert(TRANSACTIONS)),
];
