//! The engine that runs a replicated state machine on a partition of an internal topic.
//!
//! Owns: [`ShardCore`] (replay at once, park replies until the high watermark passes, revert on a failed append),
//! [`TimelineMap`] (state of which the committed version can be read and outstanding writes undone), [`Timers`].
//! Never: tokio, storage, clocks; the driver appends, reports and polls.
//!
//! Invariants: hard state changes only in [`Shard::replay`]; a reply to a write leaves only when its last record is
//! below the high watermark; a reply to an operation without records leaves after those of all earlier writes.
//! The model is Kafka's `CoordinatorRuntime` with its `SnapshottableCoordinator`.

mod core;
mod load;
mod shard;
mod timeline;
mod timers;

pub use crate::core::{Append, CoreConfig, NotActive, ShardCore, ShardState};
pub use load::LoadError;
pub use shard::{Outcome, Record, RecordBytesError, ReplayError, Shard, WriteError};
pub use timeline::{TimelineMap, WriteId};
pub use timers::Timers;
