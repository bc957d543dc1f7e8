//! Settings of Ottla's own. Kafka has none of them; all begin with `ottla.`.

use super::{Definition, int, string};
use crate::Check::{Any, AtLeast, NonEmpty};
use crate::DefaultValue::Text;
use crate::Effect::Honoured;
use crate::UpdateMode::ReadOnly;

pub(super) const ROWS: &[Definition] = &[
    // The id of a new cluster; empty: a random one. A data directory of another cluster is refused.
    string("ottla.cluster.id", Text(""), Any, ReadOnly, Honoured),
    // Slices of a log from this length on leave by sendfile; 0: none do.
    int("ottla.fetch.sendfile.min.bytes", Text("262144"), AtLeast(0), ReadOnly, Honoured),
    // HOST:PORT of /metrics and /health, or `off`.
    string("ottla.metrics.listen", Text("127.0.0.1:9404"), NonEmpty, ReadOnly, Honoured),
];
