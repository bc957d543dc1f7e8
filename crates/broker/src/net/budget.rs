//! The memory that frames in flight may hold, over all connections: a large frame waits for room before it is read.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes a permit unit stands for.
const UNIT_LEN: usize = 1024;

/// A shared budget of bytes.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    units: Arc<Semaphore>,
    units_max: u32,
}

/// Room that is given back when dropped.
#[derive(Debug)]
pub(super) struct Permit {
    _units: Option<OwnedSemaphorePermit>,
}

impl Budget {
    /// A budget of `len` bytes.
    pub(crate) fn new(len: usize) -> Self {
        let units_max = u32::try_from(len / UNIT_LEN).unwrap_or(u32::MAX >> 4).clamp(1, u32::MAX >> 4);
        let permits = usize::try_from(units_max).unwrap_or(usize::MAX);
        Self { units: Arc::new(Semaphore::new(permits)), units_max }
    }

    /// Waits for room for `len` bytes. A frame larger than the whole budget waits until it is alone.
    pub(super) async fn acquire(&self, len: usize) -> Permit {
        let units = u32::try_from(len.div_ceil(UNIT_LEN)).unwrap_or(u32::MAX).min(self.units_max);
        // The semaphore is never closed, so this fails never.
        let units = Arc::clone(&self.units).acquire_many_owned(units).await.ok();
        Permit { _units: units }
    }
}
