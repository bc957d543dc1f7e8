//! The directory that logs are opened in.

use std::path::PathBuf;
use std::sync::Arc;

use ottla_model::{Now, TopicId, TopicPartition};
use ottla_storage::{Disk, LogConfig, LogStart, PartitionLog, StorageError};

/// Opens and removes partition logs.
pub(crate) struct LogHome {
    pub disk: Arc<dyn Disk>,
    pub dir: PathBuf,
}

impl std::fmt::Debug for LogHome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogHome").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl LogHome {
    pub(crate) fn open(
        &self,
        name: &TopicPartition,
        _id: TopicId,
        config: Arc<LogConfig>,
        now: Now,
    ) -> Result<PartitionLog, StorageError> {
        let dir = self.dir.join(name.to_string());
        PartitionLog::open(Arc::clone(&self.disk), dir, name.clone(), config, LogStart::default(), now)
    }

    pub(crate) fn remove(&self, _name: &TopicPartition) -> Result<(), StorageError> {
        Ok(())
    }
}
