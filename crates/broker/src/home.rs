//! The broker's data directories: made, locked and identified before anything else is opened.

use std::path::Path;
use std::sync::Arc;

use ottla_config::BrokerConfig;
use ottla_metadata::DirectoryId;
use ottla_model::TopicId;
use ottla_storage::{Disk, LogDir, MetaProperties};

use crate::partitions::LogHome;
use crate::random::shown_uuid;
use crate::start_error::StartError;

/// What the data directories say of this node.
#[derive(Debug)]
pub(crate) struct Home {
    pub cluster_id: Arc<str>,
    /// Of each log dir that works, in the order of `log.dirs`.
    pub directory_ids: Vec<DirectoryId>,
    /// In which all log dirs were closed in order; -1 if one was not (KIP-966).
    pub previous_broker_epoch: i64,
    pub logs: Arc<LogHome>,
}

impl Home {
    /// The cluster's id as it is set, or as the directories of `log.dirs` name it; `None` of a new cluster.
    pub(crate) fn cluster_id(
        disk: &Arc<dyn Disk>,
        config: &BrokerConfig,
    ) -> Result<Option<String>, StartError> {
        match &config.node.cluster_id {
            Some(wanted) => Ok(Some(wanted.clone())),
            None => known_cluster_id(&**disk, &config.log.dirs),
        }
    }

    /// The id of a new cluster.
    pub(crate) fn new_cluster_id() -> String {
        TopicId(shown_uuid()).to_base64()
    }

    /// Opens the directories of `log.dirs`, which must be of the cluster; an empty one is formatted. A directory that
    /// fails is left out, unless it is the last.
    pub(crate) fn open(
        disk: &Arc<dyn Disk>,
        config: &BrokerConfig,
        cluster_id: String,
    ) -> Result<Self, StartError> {
        let paths = &config.log.dirs;
        let (mut dirs, mut missing) = (Vec::with_capacity(paths.len()), 0);
        for path in paths {
            let identity = MetaProperties {
                cluster_id: cluster_id.clone(),
                node_id: config.node.node_id.get(),
                directory_id: Some(shown_uuid()),
            };
            match LogDir::open(Arc::clone(disk), path.clone(), &identity) {
                Ok(dir) => dirs.push(dir),
                Err(error) if error.is_of_the_disk() && missing + 1 < paths.len() => {
                    tracing::error!(dir = %path.display(), %error, "log dir offline");
                    missing += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
        let thread_count = usize::try_from(config.log.recovery_threads_per_dir).unwrap_or(1);
        Ok(Self {
            cluster_id: cluster_id.into(),
            previous_broker_epoch: previous_broker_epoch(&dirs, missing),
            directory_ids: dirs.iter().map(|dir| DirectoryId(dir.directory_id())).collect(),
            logs: Arc::new(LogHome::new(paths.clone(), dirs, thread_count)),
        })
    }
}

fn previous_broker_epoch(dirs: &[LogDir], missing: usize) -> i64 {
    let mut epochs = dirs.iter().map(LogDir::clean_shutdown);
    match epochs.next() {
        Some(Some(epoch)) if missing == 0 && epochs.all(|other| other == Some(epoch)) => epoch,
        _ => -1,
    }
}

/// The cluster id that the first formatted directory names.
fn known_cluster_id(disk: &dyn Disk, paths: &[impl AsRef<Path>]) -> Result<Option<String>, StartError> {
    for path in paths {
        match MetaProperties::read(disk, path.as_ref()) {
            Ok(Some(properties)) => return Ok(Some(properties.cluster_id)),
            Ok(None) => {}
            // The dir is opened later, and found to be offline.
            Err(error) if error.is_of_the_disk() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}
