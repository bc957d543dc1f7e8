//! The replicas on this broker: each a log and a machine, found by name or id, made and removed as the metadata says.

mod error;
mod flusher;
mod partition;
mod pending;
mod read;
mod registry;

pub(crate) use error::{AppendError, PartitionError};
pub(crate) use flusher::Flusher;
pub(crate) use partition::{Acks, Appended, Partition};
pub(crate) use read::{Isolation, PartitionRead, ReadRequest};
pub(crate) use registry::{Absent, Partitions};
