//! AlterReplicaLogDirs (KIP-113): moves replicas to other log dirs of this broker.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ottla_model::TopicPartition;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::alter_replica_log_dirs_response::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult,
};
use ottla_protocol::messages::{
    AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse, StrBytes, TopicName,
};

use crate::dispatch::{Handler, Reply, RequestContext};
use crate::error_map;
use crate::partitions::opening::when_open;
use crate::partitions::{Absent, LogMoves, MoveRefused, Partitions, TopicKey};

/// Begins moves; each is under way when this is answered.
#[derive(Debug)]
pub(crate) struct AlterReplicaLogDirs {
    pub moves: Arc<LogMoves>,
    pub partitions: Arc<Partitions>,
}

/// Kafka's administrators do not try a move again, and wait this long for an answer.
const OPENING_WAIT_MAX: Duration = Duration::from_secs(30);

impl Handler for AlterReplicaLogDirs {
    type Request = AlterReplicaLogDirsRequest;

    fn handle(
        &self,
        _: &RequestContext,
        request: AlterReplicaLogDirsRequest,
    ) -> Reply<AlterReplicaLogDirsResponse> {
        let named = request.dirs.iter().flat_map(|dir| &dir.topics).flat_map(|topic| {
            topic.partitions.iter().map(|partition| (TopicKey::Name(&topic.name), *partition))
        });
        let openings = self.partitions.opening(named);
        let handler = Self { moves: Arc::clone(&self.moves), partitions: Arc::clone(&self.partitions) };
        when_open(openings, OPENING_WAIT_MAX, move || handler.answer(&request))
    }
}

impl AlterReplicaLogDirs {
    fn answer(&self, request: &AlterReplicaLogDirsRequest) -> AlterReplicaLogDirsResponse {
        // A partition that is named twice goes where it is named last.
        let mut wanted = BTreeMap::new();
        for dir in &request.dirs {
            for topic in &dir.topics {
                for partition in &topic.partitions {
                    wanted.insert(TopicPartition::new(topic.name.as_str(), *partition), dir.path.as_str());
                }
            }
        }
        let mut results: BTreeMap<Arc<str>, Vec<AlterReplicaLogDirPartitionResult>> = BTreeMap::new();
        for (partition, path) in wanted {
            let error = self.moves.alter(&partition, path).map_or_else(code, |()| ErrorCode::None);
            let result = AlterReplicaLogDirPartitionResult::default()
                .with_partition_index(partition.partition)
                .with_error_code(error.code());
            results.entry(partition.topic).or_default().push(result);
        }
        let results = results.into_iter().map(|(topic, partitions)| {
            AlterReplicaLogDirTopicResult::default()
                .with_topic_name(TopicName(StrBytes::from_string(topic.to_string())))
                .with_partitions(partitions)
        });
        AlterReplicaLogDirsResponse::default().with_results(results.collect())
    }
}

fn code(refused: MoveRefused) -> ErrorCode {
    match refused {
        MoveRefused::TopicNameTooLong => ErrorCode::InvalidTopicException,
        MoveRefused::NoSuchDir => ErrorCode::LogDirNotFound,
        MoveRefused::Offline => ErrorCode::KafkaStorageError,
        MoveRefused::Cordoned => ErrorCode::InvalidReplicaAssignment,
        MoveRefused::Absent(Absent::Elsewhere | Absent::Opening) => ErrorCode::ReplicaNotAvailable,
        MoveRefused::Absent(absent) => error_map::absent(&absent),
    }
}
