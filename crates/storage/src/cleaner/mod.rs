//! Log compaction: for each key the last record stays. Pure but for the disk: the caller gives `now`, and takes the
//! steps at the pace that it wants, outside the partition's lock.
//!
//! ```text
//!   PartitionLog::cleanable          how dirty is it?                                       lock
//!   PartitionLog::begin_cleaning     the segments as they are -> Cleaning                   lock
//!   Cleaning::step -> Worked         key -> latest offset, from the dirty part
//!   Cleaning::step -> WantsFiles     PartitionLog::create_replacement (.cleaned)            lock
//!   Cleaning::step -> Worked         a run of segments copied into one, filtered
//!   Cleaning::step -> WantsSwap      PartitionLog::begin_swap (.swap), NamesSync::run,      lock, none,
//!                                    PartitionLog::finish_swap (.log)                       lock
//!   Cleaning::step -> Done           PartitionLog::finish_cleaning                          lock
//! ```
//!
//! Whatever happens to the log meanwhile wins: retention, truncation and deletion need not know of a cleaning, which
//! finds at the next call that its segments are no more ([`CleanError::Aborted`]).

mod copy;
mod filter;
mod offset_map;
mod plan;
mod run;
mod transactions;

pub use plan::Cleanable;
pub use run::{CleanError, CleanerSettings, Cleaning, CleaningStats, CleaningStep};

pub(crate) use filter::LastRecord;
pub(crate) use plan::{SegmentLimits, Source};
pub(crate) use run::{Plan, Replacement};
