//! DescribeLogDirs (KIP-113, KIP-827, KIP-1066): the log dirs, their room, and the logs in them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ottla_model::TopicPartition;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use ottla_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use ottla_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse, StrBytes, TopicName};
use ottla_storage::LogDir;

use crate::dispatch::{Handler, Reply, RequestContext};
use crate::partitions::{LogHome, LogMoves, Partition, Partitions, RunningMove, absolute};

/// Describes this broker's log dirs.
#[derive(Debug)]
pub(crate) struct DescribeLogDirs {
    pub logs: Arc<LogHome>,
    pub partitions: Arc<Partitions>,
    pub moves: Arc<LogMoves>,
}

/// What is in the dirs.
#[derive(Debug)]
struct Contents<'a> {
    replicas: Vec<Arc<Partition>>,
    /// Those whose logs are not open yet.
    opening: Vec<TopicPartition>,
    logs: &'a LogHome,
    moves: Vec<RunningMove>,
    asked: Option<&'a [DescribableLogDirTopic]>,
}

impl Handler for DescribeLogDirs {
    type Request = DescribeLogDirsRequest;

    fn handle(&self, _: &RequestContext, request: DescribeLogDirsRequest) -> Reply<DescribeLogDirsResponse> {
        // First those that wait, so that none is missed on its way to the others.
        let mut opening = self.partitions.opening_names();
        let (replicas, moves) = (self.partitions.all(), self.moves.running());
        opening.retain(|name| replicas.iter().all(|replica| replica.name != *name));
        let logs = Arc::clone(&self.logs);
        // Files are asked for their sizes: other connections' requests must not wait for that.
        Reply::ordered(async move {
            let answering = move || {
                let asked = request.topics.as_deref();
                answer(&Contents { replicas, opening, logs: &logs, moves, asked })
            };
            tokio::task::spawn_blocking(answering).await.unwrap_or_default()
        })
    }
}

fn answer(contents: &Contents<'_>) -> DescribeLogDirsResponse {
    let results = contents.logs.in_order().map(|(path, dir)| match dir {
        Some(dir) => {
            DescribeLogDirsResult { is_cordoned: contents.logs.is_cordoned(path), ..describe(dir, contents) }
        }
        None => offline(path),
    });
    DescribeLogDirsResponse { results: results.collect(), ..DescribeLogDirsResponse::default() }
}

fn offline(path: &Path) -> DescribeLogDirsResult {
    DescribeLogDirsResult {
        error_code: ErrorCode::KafkaStorageError.code(),
        log_dir: path_text(path),
        ..DescribeLogDirsResult::default()
    }
}

fn describe(dir: &LogDir, contents: &Contents<'_>) -> DescribeLogDirsResult {
    if dir.is_offline() {
        return offline(dir.path());
    }
    let space = dir.space().ok();
    let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    DescribeLogDirsResult {
        log_dir: path_text(dir.path()),
        topics: topics(dir.path(), contents),
        total_bytes: space.map_or(-1, |space| bytes(space.total_bytes)),
        usable_bytes: space.map_or(-1, |space| bytes(space.usable_bytes)),
        ..DescribeLogDirsResult::default()
    }
}

fn topics(dir: &Path, contents: &Contents<'_>) -> Vec<DescribeLogDirsTopic> {
    let mut topics: BTreeMap<Arc<str>, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    let mut add = |name: &TopicPartition, size: u64, offset_lag: i64, is_future_key: bool| {
        topics.entry(Arc::clone(&name.topic)).or_default().push(DescribeLogDirsPartition {
            partition_index: name.partition,
            partition_size: i64::try_from(size).unwrap_or(i64::MAX),
            offset_lag,
            is_future_key,
        });
    };
    for replica in contents.replicas.iter().filter(|replica| is_asked(&replica.name, contents.asked)) {
        let (size, log_dir) = replica.log_size();
        if log_dir.parent() == Some(dir) {
            add(&replica.name, size, 0, false);
        }
    }
    for name in contents.opening.iter().filter(|name| is_asked(name, contents.asked)) {
        if let Some((log_dir, size)) = contents.logs.closed_size(name)
            && log_dir == dir
        {
            add(name, size, 0, false);
        }
    }
    for running in contents.moves.iter().filter(|running| is_asked(&running.name, contents.asked)) {
        if running.dir == dir {
            add(&running.name, running.size, running.lag, true);
        }
    }
    let named = topics.into_iter().map(|(name, mut partitions)| {
        partitions.sort_by_key(|partition| partition.partition_index);
        DescribeLogDirsTopic { name: TopicName(StrBytes::from_string(name.to_string())), partitions }
    });
    named.collect()
}

/// Null asks for everything.
fn is_asked(name: &TopicPartition, asked: Option<&[DescribableLogDirTopic]>) -> bool {
    asked.is_none_or(|asked| {
        asked
            .iter()
            .any(|topic| topic.topic.as_str() == &*name.topic && topic.partitions.contains(&name.partition))
    })
}

fn path_text(path: &Path) -> StrBytes {
    StrBytes::from_string(absolute(path).to_string_lossy().into_owned())
}
