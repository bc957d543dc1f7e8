//! What a log remembers of its idempotent producers (KIP-98): enough to find duplicates, gaps and zombies.

mod entry;
mod snapshot;
mod state;

pub use entry::ActiveProducer;
pub(crate) use entry::BatchMetadata;
pub(crate) use state::{ProducerState, snapshot_path};
