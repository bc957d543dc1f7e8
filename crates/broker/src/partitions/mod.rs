//! The replicas on this broker: each a log and a machine, found by name or id, made and removed as the metadata says.

mod cleaner;
mod driver;
mod error;
mod flusher;
mod housekeeping;
mod log_home;
mod partition;
mod read;
mod registry;

pub(crate) use cleaner::Cleaner;
pub(crate) use driver::ReplicaDriver;
pub(crate) use error::{AppendError, PartitionError};
pub(crate) use flusher::Flusher;
pub(crate) use housekeeping::Housekeeping;
pub(crate) use log_home::LogHome;
pub(crate) use partition::{Acks, Partition};
pub(crate) use read::{Isolation, PartitionRead, ReadRequest};
pub(crate) use registry::{Absent, Partitions};
