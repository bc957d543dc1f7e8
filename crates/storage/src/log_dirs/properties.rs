//! `meta.properties`, `partition.metadata` and `.kafka_cleanshutdown`: who a log dir and a partition belong to.

use std::path::{Path, PathBuf};

use ottla_model::TopicId;
use uuid::Uuid;

use crate::atomic_file;
use crate::disk::{Disk, OpenMode};
use crate::error::{At, StorageError};

pub(super) const META_PROPERTIES: &str = "meta.properties";
const PARTITION_METADATA: &str = "partition.metadata";
pub(super) const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";

/// What `meta.properties` says of a log dir (version 1, KIP-866 and KIP-858).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaProperties {
    pub cluster_id: String,
    pub node_id: i32,
    /// Absent in directories that an old Kafka formatted.
    pub directory_id: Option<Uuid>,
}

impl MetaProperties {
    /// Reads a log dir's `meta.properties`; `None` if there is none yet.
    pub fn read(disk: &dyn Disk, log_dir: &Path) -> Result<Option<Self>, StorageError> {
        let path = log_dir.join(META_PROPERTIES);
        let Some(bytes) = atomic_file::read_if_exists(disk, &path)? else { return Ok(None) };
        let text = std::str::from_utf8(&bytes).map_err(|_| StorageError::corrupt(&path, "not UTF-8"))?;
        let value = |key: &str| property(text, key, '=');
        let missing = |key: &str| StorageError::corrupt(&path, format!("{key} is missing or cannot be read"));
        if value("version") != Some("1") {
            return Err(StorageError::corrupt(&path, "version is not 1"));
        }
        let cluster_id = value("cluster.id").ok_or_else(|| missing("cluster.id"))?.to_owned();
        let node_id = value("node.id").and_then(|id| id.parse().ok()).ok_or_else(|| missing("node.id"))?;
        let directory_id = match value("directory.id") {
            Some(id) => Some(TopicId::from_base64(id).ok_or_else(|| missing("directory.id"))?.0),
            None => None,
        };
        Ok(Some(Self { cluster_id, node_id, directory_id }))
    }

    pub(super) fn write(&self, disk: &dyn Disk, log_dir: &Path) -> Result<(), StorageError> {
        let mut text = format!("version=1\ncluster.id={}\nnode.id={}\n", self.cluster_id, self.node_id);
        if let Some(directory_id) = self.directory_id {
            text.push_str(&format!("directory.id={}\n", TopicId(directory_id)));
        }
        atomic_file::replace(disk, log_dir, META_PROPERTIES, text.as_bytes())
    }

    /// Refuses a log dir of another cluster or node.
    pub(super) fn check(&self, wanted: &Self, log_dir: &Path) -> Result<(), StorageError> {
        let foreign = |key, found: String, wanted: String| {
            Err(StorageError::Foreign { path: log_dir.to_path_buf(), key, found, wanted })
        };
        if self.cluster_id != wanted.cluster_id {
            return foreign("cluster.id", self.cluster_id.clone(), wanted.cluster_id.clone());
        }
        if self.node_id != wanted.node_id {
            return foreign("node.id", self.node_id.to_string(), wanted.node_id.to_string());
        }
        Ok(())
    }
}

/// Bytes of a `partition.metadata`.
const TOPIC_ID_LEN: usize = "version: 0\ntopic_id: 0123456789012345678901".len();

/// Reads a partition's topic id; `None` if it has no `partition.metadata`, or one of which a part did not reach the disk:
/// the machine crashed before the partition's first flush.
pub(super) fn read_topic_id(disk: &dyn Disk, dir: &Path) -> Result<Option<TopicId>, StorageError> {
    let path = dir.join(PARTITION_METADATA);
    let bytes = atomic_file::read_if_exists(disk, &path)?.unwrap_or_default();
    if bytes.len() < TOPIC_ID_LEN || bytes.contains(&0) {
        return Ok(None);
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| StorageError::corrupt(&path, "not UTF-8"))?;
    if property(text, "version", ':') != Some("0") {
        return Err(StorageError::corrupt(&path, "version is not 0"));
    }
    let id = property(text, "topic_id", ':').and_then(TopicId::from_base64);
    id.map(Some).ok_or_else(|| StorageError::corrupt(&path, "topic_id is missing or cannot be read"))
}

/// Writes the topic id of a partition that holds nothing yet; the path is to be synced before anything in the partition counts
/// as durable. Half of it is read as none.
pub(super) fn write_topic_id(
    disk: &dyn Disk,
    dir: &Path,
    topic_id: TopicId,
) -> Result<PathBuf, StorageError> {
    let path = dir.join(PARTITION_METADATA);
    let file = disk.open(&path, OpenMode::Truncate).at("create", &path)?;
    file.write_all_at(&topic_id_text(topic_id), 0).at("write", &path)?;
    Ok(path)
}

/// Writes a partition's topic id durably.
pub(super) fn replace_topic_id(disk: &dyn Disk, dir: &Path, topic_id: TopicId) -> Result<(), StorageError> {
    atomic_file::replace(disk, dir, PARTITION_METADATA, &topic_id_text(topic_id))
}

fn topic_id_text(topic_id: TopicId) -> Vec<u8> {
    format!("version: 0\ntopic_id: {topic_id}").into_bytes()
}

/// The broker epoch of a clean shutdown (-1 if the file does not say); `None` if the last one was not clean.
pub(super) fn read_clean_shutdown(disk: &dyn Disk, log_dir: &Path) -> Result<Option<i64>, StorageError> {
    let path = log_dir.join(CLEAN_SHUTDOWN);
    let Some(bytes) = atomic_file::read_if_exists(disk, &path)? else { return Ok(None) };
    let text = String::from_utf8_lossy(&bytes);
    let epoch = text.split_once("\"brokerEpoch\":").map(|(_, rest)| rest.trim_start());
    let digits = epoch.and_then(|rest| rest.split(|c: char| c != '-' && !c.is_ascii_digit()).next());
    Ok(Some(digits.and_then(|digits| digits.parse().ok()).unwrap_or(-1)))
}

pub(super) fn write_clean_shutdown(
    disk: &dyn Disk,
    log_dir: &Path,
    broker_epoch: i64,
) -> Result<(), StorageError> {
    let text = format!("{{\"version\":0,\"brokerEpoch\":{broker_epoch}}}");
    atomic_file::replace(disk, log_dir, CLEAN_SHUTDOWN, text.as_bytes())
}

fn property<'a>(text: &'a str, key: &str, separator: char) -> Option<&'a str> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let mut pairs = lines.filter_map(|line| line.split_once(separator));
    pairs.find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim())
}
