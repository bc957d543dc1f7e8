//! The one place that reads the clocks for everything below the edge.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ottla_model::{MonoMs, Now, TimestampMs};

/// Both clocks; monotone milliseconds count from the clock's creation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { start: Instant::now() }
    }

    pub(crate) fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now {
            wall: TimestampMs(i64::try_from(wall.as_millis()).unwrap_or(i64::MAX)),
            mono: MonoMs(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)),
        }
    }

    /// The tokio instant at which `mono` is reached.
    pub(crate) fn instant_of(&self, mono: MonoMs) -> tokio::time::Instant {
        tokio::time::Instant::from_std(self.start + std::time::Duration::from_millis(mono.0))
    }
}
