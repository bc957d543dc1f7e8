//! DescribeLogDirs (KIP-113, KIP-827): the log dirs, their room, and the logs in them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use ottla_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use ottla_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse, StrBytes, TopicName};
use ottla_storage::LogDir;

use crate::dispatch::{Handler, Reply, RequestContext};
use crate::partitions::{LogHome, Partition, Partitions};

/// Describes this broker's log dirs.
#[derive(Debug)]
pub(crate) struct DescribeLogDirs {
    pub logs: Arc<LogHome>,
    pub partitions: Arc<Partitions>,
}

impl Handler for DescribeLogDirs {
    type Request = DescribeLogDirsRequest;

    fn handle(&self, _: &RequestContext, request: DescribeLogDirsRequest) -> Reply<DescribeLogDirsResponse> {
        let partitions = self.partitions.all();
        let results =
            self.logs.dirs().iter().map(|dir| describe(dir, &partitions, request.topics.as_deref()));
        Reply::Ready(DescribeLogDirsResponse {
            results: results.collect(),
            ..DescribeLogDirsResponse::default()
        })
    }
}

fn describe(
    dir: &LogDir,
    partitions: &[Arc<Partition>],
    asked: Option<&[DescribableLogDirTopic]>,
) -> DescribeLogDirsResult {
    let path = absolute(dir.path());
    if dir.is_offline() {
        return DescribeLogDirsResult {
            error_code: ErrorCode::KafkaStorageError.code(),
            log_dir: path,
            ..DescribeLogDirsResult::default()
        };
    }
    let space = dir.space().ok();
    let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    DescribeLogDirsResult {
        log_dir: path,
        topics: topics(dir.path(), partitions, asked),
        total_bytes: space.map_or(-1, |space| bytes(space.total_bytes)),
        usable_bytes: space.map_or(-1, |space| bytes(space.usable_bytes)),
        ..DescribeLogDirsResult::default()
    }
}

fn topics(
    dir: &Path,
    partitions: &[Arc<Partition>],
    asked: Option<&[DescribableLogDirTopic]>,
) -> Vec<DescribeLogDirsTopic> {
    let mut topics: BTreeMap<Arc<str>, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    for partition in partitions.iter().filter(|partition| is_asked(partition, asked)) {
        let (size, log_dir) = partition.log_size();
        if log_dir.parent() == Some(dir) {
            topics.entry(Arc::clone(&partition.name.topic)).or_default().push(DescribeLogDirsPartition {
                partition_index: partition.name.partition,
                partition_size: i64::try_from(size).unwrap_or(i64::MAX),
                ..DescribeLogDirsPartition::default()
            });
        }
    }
    let named = topics.into_iter().map(|(name, mut partitions)| {
        partitions.sort_by_key(|partition| partition.partition_index);
        DescribeLogDirsTopic { name: TopicName(StrBytes::from_string(name.to_string())), partitions }
    });
    named.collect()
}

/// Null asks for everything.
fn is_asked(partition: &Partition, asked: Option<&[DescribableLogDirTopic]>) -> bool {
    asked.is_none_or(|asked| {
        asked.iter().any(|topic| {
            topic.topic.as_str() == &*partition.name.topic
                && topic.partitions.contains(&partition.name.partition)
        })
    })
}

fn absolute(path: &Path) -> StrBytes {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    StrBytes::from_string(absolute.to_string_lossy().into_owned())
}
