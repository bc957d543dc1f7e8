//! One partition's log and a broker's log dirs in Apache Kafka's on-disk format, file for file, served from the page
//! cache as file slices.
//!
//! Owns: segments and their indexes, producer state, leader epochs, retention, compaction, recovery, log dirs and their
//! checkpoints, and the `Disk` through which all of that reaches a file system (a real one, and a simulated one that
//! forgets what was not synced).
//! Never: ISR and high-watermark policy, API versions, wire structs, clocks (time is the argument `now`), threads
//! other than those that [`LogDir::open_logs`] and [`LogDir::close`] are told to use.
//!
//! Layouts: `docs/formats/partition-directory.md` and its neighbours.

mod append;
mod atomic_file;
mod checkpoint;
mod cleaner;
mod config;
mod disk;
mod error;
mod file_slice;
mod leader_epochs;
mod log;
mod log_dirs;
mod producer;
mod read;
mod segment;
mod validate;

pub use append::{AppendError, AppendInfo, AppendOrigin, InvalidRecord, RecordErrors, RecordFault};
pub use cleaner::{CleanError, Cleanable, CleanerSettings, Cleaning, CleaningStats, CleaningStep};
pub use config::{CleanupPolicy, LogConfig};
pub use disk::{
    DirEntry, Disk, DiskFile, DiskLock, DiskSpace, FailedChange, FaultyDisk, OpenMode, RealDisk, Seeded,
    SimDisk,
};
pub use error::{StorageError, is_for_lack_of_room};
pub use file_slice::FileSlice;
pub use leader_epochs::{EpochEnd, EpochStart};
pub use log::{
    FlushDone, FlushTask, LogStart, NamesSync, PartitionLog, RetentionRun, SizeLookup, TimedBatch, Writeback,
};
pub use log_dirs::{
    ClosingLog, CopyRead, CopyStep, DeletedPartition, FoundLogs, FuturePartition, LogDir, MetaProperties,
    MoveError, Moved, OffsetCheckpoint, OpenedLog, OpenedLogs, copy_step, future_dir_name, partition_dir,
};
pub use producer::ActiveProducer;
pub use read::{InMemory, LogRead, ReadError, TimestampOffset};
pub use segment::{OrderLook, Reach, SegmentCheck};
pub use validate::one_batch;
