//! The features (KIP-584) this build supports. A feature stands here only when what it promises works.
//!
//! So these of Kafka 4.4 are not here: `transaction.version` (a producer that is told of level 2 leaves out
//! AddPartitionsToTxn and trusts Produce v12 with it), `share.version` and `streams.version` (their groups are refused).

use crate::image::ConfigResourceType;
use crate::record::{ConfigRecord, FeatureLevelRecord, MetadataRecord};

/// The feature that says which metadata records a cluster may hold; level 33 is 4.4-IV2.
pub const METADATA_VERSION: &str = "metadata.version";
/// The feature that switches the consumer group protocol of KIP-848 on.
pub const GROUP_VERSION: &str = "group.version";
/// The feature that keeps who may lead without loss when an ISR shrinks below `min.insync.replicas` (KIP-966).
pub const ELIGIBLE_LEADER_REPLICAS_VERSION: &str = "eligible.leader.replicas.version";
/// The feature that lets voters be added and removed (KIP-853): 1 where the log says who votes, 0 where the file does.
pub const KRAFT_VERSION: &str = "kraft.version";
/// The `metadata.version` from which on controllers register (KIP-919): 3.7-IV0.
pub const CONTROLLER_REGISTRATION_LEVEL: i16 = 15;
/// That from which on they are unregistered: 4.4-IV2.
pub const CONTROLLER_UNREGISTRATION_LEVEL: i16 = 33;
/// The config that eligible leaders are counted by: with them on it is set for the cluster, and not by broker.
pub const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";

/// One feature: the levels that work here, both ends inclusive, and the level a new cluster finalizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeatureDef {
    pub name: &'static str,
    pub min_supported: i16,
    pub max_supported: i16,
    /// 0 leaves the feature off.
    pub new_cluster_level: i16,
}

/// Every feature that works, by name.
pub const FEATURES: &[FeatureDef] = &[
    FeatureDef {
        name: ELIGIBLE_LEADER_REPLICAS_VERSION,
        min_supported: 0,
        max_supported: 1,
        new_cluster_level: 1,
    },
    FeatureDef { name: GROUP_VERSION, min_supported: 0, max_supported: 1, new_cluster_level: 1 },
    // What it begins with is the voters' matter.
    FeatureDef { name: KRAFT_VERSION, min_supported: 0, max_supported: 1, new_cluster_level: 0 },
    // As Kafka 4.4, which reads the records of each level from 7 on, and refuses to go below 33 once it is there.
    FeatureDef { name: METADATA_VERSION, min_supported: 7, max_supported: 33, new_cluster_level: 33 },
];

/// The feature of that name, if it is supported.
#[must_use]
pub fn feature(name: &str) -> Option<&'static FeatureDef> {
    FEATURES.iter().find(|def| def.name == name)
}

/// What a new cluster's log begins with: `metadata.version` first, as Kafka's does, then the others that are on, and
/// the config that eligible leaders need. `min_insync_replicas` is what the broker's file says, as text; `kraft_version` is the
/// level of that feature.
#[must_use]
pub fn new_cluster_records(min_insync_replicas: &str, kraft_version: i16) -> Vec<MetadataRecord> {
    let level =
        |def: &FeatureDef| if def.name == KRAFT_VERSION { kraft_version } else { def.new_cluster_level };
    let is_first = |def: &&FeatureDef| def.name == METADATA_VERSION;
    let first = FEATURES.iter().filter(is_first);
    let rest = FEATURES.iter().filter(|def| !is_first(def));
    first
        .chain(rest)
        .filter(|def| level(def) > 0)
        .map(|def| FeatureLevelRecord { name: def.name.to_owned(), feature_level: level(def) })
        .map(MetadataRecord::FeatureLevel)
        .chain([cluster_min_insync_replicas(min_insync_replicas)])
        .collect()
}

/// The record that sets `min.insync.replicas` for the whole cluster.
#[must_use]
pub fn cluster_min_insync_replicas(value: &str) -> MetadataRecord {
    MetadataRecord::Config(ConfigRecord {
        resource_type: ConfigResourceType::Broker,
        resource_name: String::new(),
        name: MIN_INSYNC_REPLICAS.to_owned(),
        value: Some(value.to_owned()),
    })
}
