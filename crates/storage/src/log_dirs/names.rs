//! Names of partition directories: `<topic>-<partition>`, and what a deletion renames them to.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_model::TopicPartition;
use uuid::Uuid;

/// The directory of the controller's log, which is not a partition that the broker opens.
pub(super) const METADATA_LOG: &str = "__cluster_metadata-0";
pub(super) const DELETE_SUFFIX: &str = "-delete";
pub(super) const STRAY_SUFFIX: &str = "-stray";
pub(super) const FUTURE_SUFFIX: &str = "-future";
/// The longest name that a file system takes.
const NAME_LEN_MAX: usize = 255;

/// What a directory of a log dir is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DirName {
    Partition(TopicPartition),
    /// A deleted partition whose files are still to be removed.
    Deleted,
    /// A log that no topic owned, set aside.
    Stray,
    /// A partition that is being moved here.
    Future(TopicPartition),
    Other,
}

/// The directory of a partition within its log dir.
#[must_use]
pub fn partition_dir(log_dir: &Path, topic_partition: &TopicPartition) -> PathBuf {
    log_dir.join(format!("{}-{}", topic_partition.topic, topic_partition.partition))
}

/// `<topic>-<partition>.<uuid without dashes><suffix>`; a long topic name is cut to fit.
pub(super) fn renamed(topic_partition: &TopicPartition, unique: Uuid, suffix: &str) -> String {
    let suffix = format!("-{}.{}{suffix}", topic_partition.partition, unique.simple());
    let topic: String = topic_partition.topic.chars().take(NAME_LEN_MAX - suffix.len()).collect();
    topic + &suffix
}

pub(super) fn parse(name: &str) -> DirName {
    if name.ends_with(DELETE_SUFFIX) && name.contains('.') {
        return DirName::Deleted;
    }
    if name.ends_with(STRAY_SUFFIX) && name.contains('.') {
        return DirName::Stray;
    }
    if let Some((partition, _unique)) =
        name.strip_suffix(FUTURE_SUFFIX).and_then(|name| name.rsplit_once('.'))
    {
        return topic_partition(partition).map_or(DirName::Other, DirName::Future);
    }
    match topic_partition(name) {
        Some(partition) if name != METADATA_LOG => DirName::Partition(partition),
        _ => DirName::Other,
    }
}

fn topic_partition(name: &str) -> Option<TopicPartition> {
    let (topic, partition) = name.rsplit_once('-')?;
    let is_number = !partition.is_empty() && partition.bytes().all(|byte| byte.is_ascii_digit());
    let partition = partition.parse().ok().filter(|_| is_number && !topic.is_empty())?;
    Some(TopicPartition { topic: Arc::from(topic), partition })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_dash_parts_topic_and_partition() {
        let partition =
            |topic: &str, partition| DirName::Partition(TopicPartition { topic: topic.into(), partition });
        for (name, expected) in [
            ("a-0", partition("a", 0)),
            ("a.b-c_d-e-12", partition("a.b-c_d-e", 12)),
            ("a--1", partition("a-", 1)),
            ("-1", DirName::Other),
            ("a-", DirName::Other),
            ("a-+1", DirName::Other),
            ("raft", DirName::Other),
            ("__cluster_metadata-0", DirName::Other),
            ("__consumer_offsets-49", partition("__consumer_offsets", 49)),
            ("a-0.0123456789abcdef0123456789abcdef-delete", DirName::Deleted),
            ("a-0.0123456789abcdef0123456789abcdef-stray", DirName::Stray),
            ("a-0-delete", DirName::Other),
            (
                "a.b-c-3.0123456789abcdef0123456789abcdef-future",
                DirName::Future(TopicPartition { topic: "a.b-c".into(), partition: 3 }),
            ),
            ("a.0123456789abcdef0123456789abcdef-future", DirName::Other),
        ] {
            assert_eq!(parse(name), expected, "{name}");
        }
    }

    #[test]
    fn a_deleted_name_fits_the_file_system() {
        let long = TopicPartition { topic: "t".repeat(249).into(), partition: 3 };
        let name = renamed(&long, Uuid::nil(), DELETE_SUFFIX);
        assert_eq!(name.len(), NAME_LEN_MAX);
        assert_eq!(parse(&name), DirName::Deleted);
    }
}
