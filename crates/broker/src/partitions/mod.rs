//! The replicas on this broker: each a log and a machine, found by name or id, made and removed as the metadata says.

mod assignments;
mod checker;
mod cleaner;
mod dir_failures;
mod dir_room;
mod driver;
mod error;
mod flusher;
mod housekeeping;
mod log_damage;
mod log_home;
mod log_moves;
pub(crate) mod opening;
mod partition;
mod read;
mod registry;
mod traffic;
mod unfinished;
mod waiter;

pub(crate) use assignments::DirAssignments;
pub(crate) use checker::Checker;
pub(crate) use cleaner::Cleaner;
pub(crate) use dir_failures::{DirFailureHandler, DirFailures};
pub(crate) use driver::ReplicaDriver;
pub(crate) use error::{AppendError, PartitionError};
pub(crate) use flusher::Flusher;
pub(crate) use housekeeping::Housekeeping;
pub(crate) use log_home::LogHome;
pub(crate) use log_moves::{LogMoves, LogMovesParts, MoveRefused, RunningMove, absolute};
pub(crate) use partition::{Acks, FetchedRecords, Partition};
pub(crate) use read::{Census, Isolation, PartitionRead, ReadRequest, Reader};
pub(crate) use registry::{Absent, Partitions, TopicKey};
pub(crate) use traffic::TrafficCounts;
pub(crate) use waiter::{Bell, Seen, Watch};
