//! The opening of the logs that a start has found: clients are served meanwhile, and what they ask for is opened first.
//!
//! ```text
//! metadata -> driver: gate in the registry, job in the queue      a client asks -> gate -> to the front of the queue
//!                       queue -> threads of each log dir -> opened log -> driver: replica in the gate's place
//! ```

mod gate;
mod queue;
mod report;
mod threads;

use std::sync::Arc;
use std::time::Duration;

use super::Partitions;
pub(crate) use gate::{Gate, Opening, all_over, any_over, when_open};
pub(crate) use queue::{OpeningJob, OpeningQueue};
pub(crate) use report::report;
pub(crate) use threads::{Opened, OpenedLogs, Opener};

/// Once all logs are open: looks up what their segments take, one log after the other, so that whoever asks first need not
/// wait for it.
pub(crate) async fn learn_sizes(partitions: Arc<Partitions>) {
    for partition in partitions.all() {
        // A panic is told where it happens.
        let _ = tokio::task::spawn_blocking(move || partition.learn_sizes()).await;
    }
}

/// How long a request waits for logs to be opened, which go to the front for it; then the client, which knows how to wait,
/// is told to try again, so that the rest of its connection need not.
pub(crate) const OPENING_WAIT: Duration = Duration::from_secs(1);
