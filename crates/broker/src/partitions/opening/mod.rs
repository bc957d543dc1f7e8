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

use std::time::Duration;

pub(crate) use gate::{Gate, Opening, all_over, any_over, when_open};
pub(crate) use queue::{OpeningJob, OpeningQueue};
pub(crate) use report::report;
pub(crate) use threads::{Opened, OpenedLogs, Opener};

/// How long a request waits for logs to be opened, which go to the front for it; then the client, which knows how to wait,
/// is told to try again, so that the rest of its connection need not.
pub(crate) const OPENING_WAIT: Duration = Duration::from_secs(1);
