//! The replicated cluster state as values: metadata records in Kafka's own framing, the image that replaying them
//! builds, what a replay changed, and the table of features.
//!
//! Owns: [`MetadataRecord`] and its bytes, [`MetadataImage`] with the queries a broker needs, [`MetadataDelta`],
//! [`FEATURES`].
//! Never: time, I/O, randomness, openraft, decisions (those are the controller's).
//! Invariants: an image changes only by [`MetadataImage::replay`]; an image and the records of
//! [`MetadataImage::to_records`] are two forms of the same value.

mod delta;
mod feature;
mod image;
mod record;

pub use delta::{ChangedTopic, MetadataDelta};
pub use feature::{
    CONTROLLER_REGISTRATION_LEVEL, CONTROLLER_UNREGISTRATION_LEVEL, ELIGIBLE_LEADER_REPLICAS_VERSION,
    FEATURES, FeatureDef, GROUP_VERSION, KRAFT_VERSION, METADATA_VERSION, MIN_INSYNC_REPLICAS,
    cluster_min_insync_replicas, feature, new_cluster_records,
};
pub use image::{
    BrokerRegistration, BrokersImage, ConfigOverrides, ConfigResource, ConfigResourceType, ConfigsImage,
    ControllerRegistration, ControllersImage, FeaturesImage, LeaderRecoveryState, MetadataImage,
    PartitionRegistration, ProducerIdsImage, Provenance, ReplayError, TopicImage, TopicsImage,
};
pub use record::{
    BrokerEndpoint, BrokerFeature, BrokerRegistrationChangeRecord, ConfigRecord, DirectoryId,
    FeatureLevelRecord, FenceBrokerRecord, MetadataRecord, PartitionChangeRecord, PartitionRecord,
    ProducerIdsRecord, RecordError, RegisterBrokerRecord, RegisterControllerRecord, RemoveTopicRecord,
    SecurityProtocol, TopicRecord, UnfenceBrokerRecord, UnregisterBrokerRecord, UnregisterControllerRecord,
};
