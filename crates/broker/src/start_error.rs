//! Why a broker cannot start: each is one line that says what and where.

use std::io;
use std::path::PathBuf;

use ottla_storage::StorageError;

/// The line that the operator reads.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot listen on {address}: {source}")]
    Bind { address: String, source: io::Error },
    #[error("{}: {source}", path.display())]
    Directory { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Controller(#[from] ottla_controller::StartError),
    #[error("the controller refused this broker: {0}")]
    Refused(String),
    #[error("cannot join the cluster at {address}: {reason}")]
    Join { address: String, reason: String },
    #[error("the metadata log has failed: {0}")]
    MetadataLog(String),
    #[error("threads could not be started: {0}")]
    Threads(#[source] io::Error),
    #[error("internal error: {0}")]
    Internal(String),
}
