//! Cluster decisions, replicated: a pure core turns a command into metadata records, and openraft over our own log
//! makes them durable before anyone is answered.
//!
//! Owns: the decision core ([`decision`]), the metadata log and its snapshots, the [`Controller`] handle.
//! Never: opening sockets, serving Kafka requests, an openraft type outside `raft`.
//! Invariants: state changes only by replaying committed records; a command is answered only after its records are
//! durable and in the published image.

mod command;
pub mod decision;
mod decision_loop;
mod error;
mod handle;
mod liveness;
mod observing;
mod peers;
mod publish;
mod raft;
mod registering;
mod surroundings;
mod upkeep;
mod voting;

pub use command::{
    AlterConfigOp, AlterConfigs, AlterPartition, AlterPartitionReassignments, BrokerHeartbeat,
    BrokerRegistrationRequest, ConfigAlteration, ConfigAnswers, ConfigChange, ConfigOp, CreatePartitions,
    CreateTopics, CreatedTopic, DeleteTopics, DeletedTopic, DirectoryAnswers, ElectLeaders, ElectionType,
    FeatureUpdate, FeatureUpgrade, HeartbeatAnswer, IsrAnswers, IsrChange, NewPartitions, NewTopic,
    ProducerIdBlock, ReassignableTopic, ReassignmentAnswers, ReplicaDirectories, TopicAnswers,
    TopicElections, TopicRef, UpdateFeatures,
};
pub use error::{
    AlterPartitionError, BrokerError, ConfigChangeError, ControllerError, DirectoryError, ElectionError,
    FeatureError, ReassignmentError, RegistrationError, StartError, TopicError, VoterError,
};
pub use handle::{Controller, ControllerConfig};
pub use liveness::Liveness;
pub use observing::ObserverConfig;
pub use peers::{Attendance, Peer, PeerAnswerFuture, PeerError, PeerTransport, Peers, VoteWish};
pub use publish::{MetadataSubscription, MetadataUpdate};
pub use raft::{QuorumStatus, ReplicaStatus};
#[doc(hidden)]
pub use raft::{fuzzing, simulated};
#[doc(hidden)]
pub use surroundings::Simulation;
pub use upkeep::Upkeep;

#[cfg(test)]
mod handle_tests;
