//! Why a command is refused. The text of each error is the message that Kafka's controller gives; which error code
//! goes with a variant is said in its documentation and mapped by the handlers.

use std::sync::Arc;

use std::path::PathBuf;

use ottla_metadata::{DirectoryId, RecordError, ReplayError};
use ottla_model::{BrokerId, TopicId};

/// Why a topic could not be created, changed or deleted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// INVALID_TOPIC_EXCEPTION
    #[error("{0}")]
    InvalidName(String),
    /// INVALID_TOPIC_EXCEPTION
    #[error("Topic '{name}' collides with existing topic: {existing}")]
    Collides { name: String, existing: String },
    /// TOPIC_ALREADY_EXISTS
    #[error("Topic '{name}' already exists.")]
    AlreadyExists { name: String },
    /// UNKNOWN_TOPIC_OR_PARTITION
    #[error("This server does not host this topic-partition.")]
    UnknownName,
    /// UNKNOWN_TOPIC_ID
    #[error("This server does not host this topic ID.")]
    UnknownId(TopicId),
    /// INVALID_REQUEST
    #[error("{0}")]
    InvalidRequest(String),
    /// INVALID_REQUEST
    #[error("The provided topic name maps to an ID that was already supplied.")]
    NameAndId { name: Arc<str>, topic_id: TopicId },
    /// INVALID_PARTITIONS
    #[error("{0}")]
    InvalidPartitions(String),
    /// INVALID_REPLICATION_FACTOR
    #[error("{0}")]
    InvalidReplicationFactor(String),
    /// INVALID_REPLICA_ASSIGNMENT
    #[error("{0}")]
    InvalidReplicaAssignment(String),
    /// INVALID_CONFIG
    #[error("{0}")]
    InvalidConfig(String),
    /// POLICY_VIOLATION
    #[error("{0}")]
    PolicyViolation(String),
}

/// Why a resource's configs could not be changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigChangeError {
    /// INVALID_CONFIG
    #[error("{0}")]
    InvalidConfig(String),
    /// INVALID_REQUEST
    #[error("{0}")]
    InvalidRequest(String),
    /// INVALID_TOPIC_EXCEPTION
    #[error("{0}")]
    InvalidTopicName(String),
    /// UNKNOWN_TOPIC_OR_PARTITION
    #[error("The topic '{0}' does not exist.")]
    UnknownTopic(String),
    /// BROKER_ID_NOT_REGISTERED
    #[error("No node with id {0} found.")]
    UnknownBroker(BrokerId),
}

/// Why a partition got no other leader.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ElectionError {
    /// UNKNOWN_TOPIC_OR_PARTITION
    #[error("No such topic as {0}")]
    UnknownTopic(String),
    /// UNKNOWN_TOPIC_OR_PARTITION
    #[error("No such partition as {topic}-{partition}")]
    UnknownPartition { topic: String, partition: i32 },
    /// ELECTION_NOT_NEEDED
    #[error("Leader election not needed for topic partition.")]
    NotNeeded,
    /// PREFERRED_LEADER_NOT_AVAILABLE
    #[error("The preferred leader was not available.")]
    PreferredNotAvailable,
    /// ELIGIBLE_LEADERS_NOT_AVAILABLE
    #[error("Eligible topic partition leaders are not available.")]
    NobodyAvailable,
}

/// Why a partition is not reassigned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReassignmentError {
    /// UNKNOWN_TOPIC_OR_PARTITION
    #[error("Unable to find a topic named {0}.")]
    UnknownTopic(String),
    /// UNKNOWN_TOPIC_OR_PARTITION
    #[error("Unable to find partition {topic}:{partition}.")]
    UnknownPartition { topic: String, partition: i32 },
    /// NO_REASSIGNMENT_IN_PROGRESS
    #[error("No partition reassignment is in progress.")]
    NotInProgress,
    /// INVALID_REPLICATION_FACTOR
    #[error("The replication factor is changed from {from} to {to}")]
    ReplicationFactorChanged { from: usize, to: usize },
    /// What is wrong with the replicas; INVALID_REPLICA_ASSIGNMENT.
    #[error("{0}")]
    InvalidReplicaAssignment(String),
}

/// Why a partition's in-sync replicas stay as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AlterPartitionError {
    /// UNKNOWN_TOPIC_ID
    #[error("the topic id is not known")]
    UnknownTopicId,
    /// UNKNOWN_TOPIC_OR_PARTITION
    #[error("the partition is not known")]
    UnknownPartition,
    /// The leader knows of an epoch that this controller does not: it is not the active one. NOT_CONTROLLER
    #[error("the epochs are ahead of this controller")]
    NotController,
    /// FENCED_LEADER_EPOCH
    #[error("the leader epoch is not the current one")]
    FencedLeaderEpoch,
    /// INVALID_UPDATE_VERSION
    #[error("the partition epoch is not the current one")]
    InvalidUpdateVersion,
    /// INVALID_REQUEST
    #[error("the in-sync replicas cannot be such")]
    InvalidRequest,
    /// INELIGIBLE_REPLICA (KIP-841, KIP-903)
    #[error("one of the replicas is fenced, about to stop, or another process by now")]
    IneligibleReplica,
    /// Another one leads with the change. NEW_LEADER_ELECTED
    #[error("another replica has been elected")]
    NewLeaderElected,
}

/// Why a replica's log dir is not noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    /// UNKNOWN_TOPIC_ID
    #[error("the topic id is not known")]
    UnknownTopicId,
    /// UNKNOWN_TOPIC_OR_PARTITION
    #[error("the partition is not known")]
    UnknownPartition,
    /// NOT_LEADER_OR_FOLLOWER
    #[error("the broker has no replica of the partition")]
    NotAReplica,
}

/// Why features stay at their levels.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeatureError {
    /// INVALID_UPDATE_VERSION
    #[error("{0}")]
    InvalidUpdateVersion(String),
    /// Of `kraft.version`: a voter does not say now which directory it has. UNKNOWN_SERVER_ERROR, as in Kafka
    #[error("Directory id must be known for all of the voters: [{voters}]")]
    DirectoryUnknown { voters: String },
    /// It is written, and no majority has it yet. REQUEST_TIMED_OUT
    #[error("Request timed out waiting for voters to commit the new version")]
    NotCommitted,
}

/// Why a broker's request about itself was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// BROKER_ID_NOT_REGISTERED
    #[error("Broker ID {0} is not currently registered")]
    NotRegistered(BrokerId),
    /// STALE_BROKER_EPOCH
    #[error("Expected broker epoch {given}, but found broker epoch {current}")]
    StaleEpoch { current: i64, given: i64 },
    /// DUPLICATE_BROKER_REGISTRATION
    #[error("Another broker is registered with that broker id.")]
    Duplicate(BrokerId),
    /// UNKNOWN_SERVER_ERROR
    #[error("Exhausted all producerIds as the next block's end producerId has exceeded the int64 type limit")]
    ProducerIdsExhausted,
    /// UNSUPPORTED_VERSION
    #[error(
        "Unable to register because the broker does not support finalized version {level} of {feature}. \
             The broker wants a version between {min} and {max}, inclusive."
    )]
    UnsupportedFeature { feature: String, level: i16, min: i16, max: i16 },
}

/// Why a controller is not registered, or stays so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationError {
    /// UNSUPPORTED_VERSION
    #[error("The current MetadataVersion is too old to support controller registrations.")]
    Unsupported,
    /// UNSUPPORTED_VERSION
    #[error("The current MetadataVersion is too old to support controller unregistration.")]
    UnregistrationUnsupported,
    /// INVALID_REQUEST
    #[error("Controller cannot unregister itself while it is active.")]
    Active,
    /// CONTROLLER_ID_NOT_REGISTERED
    #[error("Controller ID {0} is not currently registered.")]
    NotRegistered(BrokerId),
}

/// Why the voters stay as they are, as far as is known (KIP-853).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VoterError {
    /// REQUEST_TIMED_OUT
    #[error("Request timed out waiting for leader to handle previous voter change request")]
    Busy,
    /// REQUEST_TIMED_OUT
    #[error("Request timed out waiting for leader to establish HWM and fence previous voter changes")]
    NotEstablished,
    /// UNSUPPORTED_VERSION
    #[error("Cluster doesn't support {change} voter because the kraft.version feature is {level}")]
    Unsupported { change: &'static str, level: i16 },
    /// DUPLICATE_VOTER
    #[error("The voter id for {voter} is already part of the set of voters [{voters}].")]
    Duplicate { voter: String, voters: String },
    /// VOTER_NOT_FOUND
    #[error("Cannot remove voter {voter} from the set of voters [{voters}]")]
    NotFound { voter: String, voters: String },
    /// REQUEST_TIMED_OUT
    #[error("Aborted add voter operation for {voter} since it is lagging behind")]
    Lagging { voter: String },
    /// A majority of the voters that stay is not there, or may not vote yet: nobody could be elected. REQUEST_TIMED_OUT
    #[error(
        "Aborted remove voter operation for {voter} since too many of the voters that stay do not vote yet: [{absent}]"
    )]
    TooFewStay { voter: String, absent: String },
    /// It is written, and no majority has it yet. REQUEST_TIMED_OUT
    #[error("Request timed out waiting for voters to commit the voter change")]
    NotCommitted,
    /// Static voters of whom one does not say which directory it has. UNKNOWN_SERVER_ERROR
    #[error("Directory id must be known for all of the voters: [{voters}]")]
    DirectoryUnknown { voters: String },
    #[error(transparent)]
    Controller(#[from] ControllerError),
}

/// Why a command has no answer of its own: nothing is known to have been written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControllerError {
    /// NOT_CONTROLLER
    #[error("This is not the correct controller for this cluster.")]
    NotController { leader: Option<BrokerId> },
    /// The disk of the metadata log is full: what is left is for what makes room. KAFKA_STORAGE_ERROR
    #[error("The disk of the metadata log is full.")]
    NoRoom,
    /// The node's metadata log has failed; the process must restart. UNKNOWN_SERVER_ERROR
    #[error("the metadata log has failed: {0}")]
    Failed(String),
    /// The controller is being shut down. NOT_CONTROLLER
    #[error("the controller is shutting down")]
    Closed,
}

/// Why a controller cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("the metadata log of {path} belongs to cluster {found}, not {expected}")]
    WrongCluster { path: PathBuf, found: String, expected: String },
    #[error("the metadata log of {path} belongs to node {found}, not {expected}")]
    WrongNode { path: PathBuf, found: BrokerId, expected: BrokerId },
    #[error("the metadata log of {path} belongs to directory {found}, not {expected}")]
    WrongDirectory { path: PathBuf, found: DirectoryId, expected: DirectoryId },
    /// Which file, what is wrong with it, and what can be done.
    #[error("{0}")]
    Damaged(String),
    #[error("the metadata log is damaged: {0}")]
    Record(#[from] RecordError),
    #[error("the metadata log does not replay: {0}")]
    Replay(#[from] ReplayError),
    #[error("the quorum did not start: {0}")]
    Raft(String),
    #[error(
        "the metadata log of {path} joined a cluster, and does not know its voters yet: start with --join HOST:PORT, or with \
         controller.quorum.bootstrap.servers"
    )]
    Joined { path: PathBuf },
    #[error(
        "the metadata log of {path} is empty, and by the others' log its old one votes, whatever controller.quorum.voters says: start \
         with controller.quorum.bootstrap.servers, and add this node to the voters"
    )]
    VotersInLog { path: PathBuf },
}
