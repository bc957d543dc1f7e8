//! What the controller can be asked, and what it answers: Kafka's requests without versions or wire types.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use ottla_metadata::{
    BrokerEndpoint, BrokerFeature, ConfigResource, DirectoryId, LeaderRecoveryState, PartitionRegistration,
};
use ottla_model::{BrokerId, LeaderEpoch, Offset, PartitionEpoch, TopicId, TopicIdPartition};

use crate::error::{
    AlterPartitionError, ConfigChangeError, DirectoryError, ElectionError, ReassignmentError, TopicError,
};

/// CreateTopics.
#[derive(Clone, Debug, Default)]
pub struct CreateTopics {
    pub topics: Vec<NewTopic>,
    /// Answer as if, but write nothing.
    pub validate_only: bool,
}

/// One topic to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    pub name: String,
    /// -1: the broker's default, or as many as `assignments` has.
    pub partition_count: i32,
    /// -1: the broker's default, or as `assignments` say.
    pub replication_factor: i16,
    /// Partition number and its replicas, preferred leader first; empty: the controller places them.
    pub assignments: Vec<(i32, Vec<BrokerId>)>,
    /// A `None` value is refused, as Kafka does.
    pub configs: Vec<(String, Option<String>)>,
}

impl NewTopic {
    /// A topic placed by the controller, with the broker's defaults (-1) where not said otherwise.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            partition_count: -1,
            replication_factor: -1,
            assignments: Vec::new(),
            configs: Vec::new(),
        }
    }
}

/// A topic that has been created, or would have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedTopic {
    pub topic_id: TopicId,
    pub partition_count: i32,
    pub replication_factor: i16,
    /// The configs that were set with it.
    pub configs: Vec<(String, String)>,
}

/// DeleteTopics.
#[derive(Clone, Debug, Default)]
pub struct DeleteTopics {
    pub topics: Vec<TopicRef>,
}

/// A topic as a request names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TopicRef {
    Name(String),
    Id(TopicId),
}

/// A topic that has been deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedTopic {
    pub name: Arc<str>,
    pub topic_id: TopicId,
}

/// CreatePartitions.
#[derive(Clone, Debug, Default)]
pub struct CreatePartitions {
    pub topics: Vec<NewPartitions>,
    pub validate_only: bool,
}

/// More partitions for one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPartitions {
    pub name: String,
    /// How many partitions the topic shall have in all.
    pub count: i32,
    /// Replicas of each new partition, in order; `None`: the controller places them.
    pub assignments: Option<Vec<Vec<BrokerId>>>,
}

/// AlterConfigs and IncrementalAlterConfigs. No resource is named twice.
#[derive(Clone, Debug, Default)]
pub struct AlterConfigs {
    pub resources: Vec<ConfigAlteration>,
    pub validate_only: bool,
}

/// What to change on one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigAlteration {
    pub resource: ConfigResource,
    pub change: ConfigChange,
}

/// How a request says what shall change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigChange {
    /// IncrementalAlterConfigs: these keys, each once; the others stay.
    Operations(Vec<ConfigOp>),
    /// AlterConfigs: the whole of what shall be set.
    Replacement(BTreeMap<String, String>),
}

/// One config and what to do with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigOp {
    pub name: String,
    pub op: AlterConfigOp,
    /// Without meaning where the config is deleted.
    pub value: String,
}

/// The operations of IncrementalAlterConfigs (KIP-339).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlterConfigOp {
    Set,
    Delete,
    Append,
    Subtract,
}

impl AlterConfigOp {
    /// The request's number.
    #[must_use]
    pub const fn id(self) -> i8 {
        match self {
            Self::Set => 0,
            Self::Delete => 1,
            Self::Append => 2,
            Self::Subtract => 3,
        }
    }

    /// From the request's number.
    #[must_use]
    pub const fn from_id(id: i8) -> Option<Self> {
        match id {
            0 => Some(Self::Set),
            1 => Some(Self::Delete),
            2 => Some(Self::Append),
            3 => Some(Self::Subtract),
            _ => None,
        }
    }
}

/// ElectLeaders (KIP-183, KIP-460).
#[derive(Clone, Debug)]
pub struct ElectLeaders {
    pub election: ElectionType,
    /// Topics with their partitions, as often as they are named; `None`: every partition there is.
    pub topics: Option<Vec<(String, Vec<i32>)>>,
}

/// Who shall lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElectionType {
    /// The first replica.
    Preferred,
    /// Where nobody leads: anybody who is there, though records be lost.
    Unclean,
}

/// The elections of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicElections {
    pub name: String,
    /// If every partition was asked for, those that needed no election are not among them.
    pub partitions: Vec<(i32, Result<(), ElectionError>)>,
}

/// AlterPartitionReassignments (KIP-455).
#[derive(Clone, Debug)]
pub struct AlterPartitionReassignments {
    /// Whether a partition may get more or fewer replicas than it has (KIP-860).
    pub allow_replication_factor_change: bool,
    pub topics: Vec<ReassignableTopic>,
}

/// A topic, and where its partitions shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReassignableTopic {
    pub name: String,
    /// Partition and its new replicas, preferred leader first; `None` takes a reassignment back that goes on.
    pub partitions: Vec<(i32, Option<Vec<BrokerId>>)>,
}

/// UpdateFeatures (KIP-584, KIP-778).
#[derive(Clone, Debug)]
pub struct UpdateFeatures {
    pub updates: Vec<FeatureUpdate>,
    pub validate_only: bool,
}

/// The level that a feature shall be finalized at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureUpdate {
    pub feature: String,
    pub level: i16,
    /// `None`: a number that Kafka gives no meaning.
    pub upgrade: Option<FeatureUpgrade>,
}

/// How far down an update may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeatureUpgrade {
    Upgrade,
    SafeDowngrade,
    UnsafeDowngrade,
}

/// A starting broker's introduction (BrokerRegistration, KIP-631).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerRegistrationRequest {
    pub broker_id: BrokerId,
    /// New with each start of the process.
    pub incarnation_id: uuid::Uuid,
    pub endpoints: Vec<BrokerEndpoint>,
    pub features: Vec<BrokerFeature>,
    pub rack: Option<String>,
    pub log_dirs: Vec<DirectoryId>,
    /// The broker epoch that its log dirs say they were closed in; -1 if they do not, as after a kill or with an empty disk.
    pub previous_broker_epoch: i64,
    /// False for a broker that is ready to serve as soon as it is registered; others ask to be unfenced later.
    pub fenced: bool,
}

/// BrokerHeartbeat (KIP-631).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerHeartbeat {
    pub broker_id: BrokerId,
    pub broker_epoch: i64,
    /// Offset of the last metadata record that the broker lives by.
    pub current_metadata_offset: Offset,
    pub want_fence: bool,
    pub want_shut_down: bool,
}

/// What a broker learns from its heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeartbeatAnswer {
    /// It knows of its own registration.
    pub is_caught_up: bool,
    pub is_fenced: bool,
    pub should_shut_down: bool,
}

/// AlterPartition (KIP-497, KIP-704, KIP-903): a leader's word on who is in sync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlterPartition {
    /// The leader that asks.
    pub broker_id: BrokerId,
    pub broker_epoch: i64,
    pub partitions: Vec<IsrChange>,
}

/// The in-sync replicas that a partition shall have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsrChange {
    pub id: TopicIdPartition,
    pub leader_epoch: LeaderEpoch,
    pub partition_epoch: PartitionEpoch,
    /// With the broker epoch in which each has caught up; -1 where it is not known.
    pub isr: Vec<(BrokerId, i64)>,
    pub leader_recovery_state: LeaderRecoveryState,
}

/// Where a broker keeps its replicas (AssignReplicasToDirs, KIP-858).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaDirectories {
    pub broker_id: BrokerId,
    pub broker_epoch: i64,
    pub directories: Vec<(TopicIdPartition, DirectoryId)>,
}

/// 1,000 consecutive producer ids that nobody else has been or will be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerIdBlock {
    pub ids: Range<i64>,
}

/// One answer per topic named in the request, in its order.
pub type TopicAnswers<T> = Vec<Result<T, TopicError>>;
/// One answer per resource named in the request, in its order.
pub type ConfigAnswers = Vec<Result<(), ConfigChangeError>>;
/// One answer per partition named in the request, by topic, in its order.
pub type ReassignmentAnswers = Vec<Vec<Result<(), ReassignmentError>>>;
/// One answer per replica named in the request, in its order.
pub type DirectoryAnswers = Vec<Result<(), DirectoryError>>;
/// One answer per partition named in the request, in its order: the partition as it is then.
pub type IsrAnswers = Vec<Result<PartitionRegistration, AlterPartitionError>>;
