//! The features (KIP-584) this build supports. A feature stands here only when what it promises works.

use crate::record::{FeatureLevelRecord, MetadataRecord};

/// The feature that says which metadata records a cluster may hold; level 33 is 4.4-IV2.
pub const METADATA_VERSION: &str = "metadata.version";
/// The feature that switches the consumer group protocol of KIP-848 on.
pub const GROUP_VERSION: &str = "group.version";

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
    FeatureDef { name: GROUP_VERSION, min_supported: 0, max_supported: 1, new_cluster_level: 1 },
    FeatureDef { name: METADATA_VERSION, min_supported: 33, max_supported: 33, new_cluster_level: 33 },
];

/// The feature of that name, if it is supported.
#[must_use]
pub fn feature(name: &str) -> Option<&'static FeatureDef> {
    FEATURES.iter().find(|def| def.name == name)
}

/// What a new cluster's log begins with: `metadata.version` first, as Kafka's does, then the others that are on.
#[must_use]
pub fn new_cluster_features() -> Vec<MetadataRecord> {
    let is_first = |def: &&FeatureDef| def.name == METADATA_VERSION;
    let first = FEATURES.iter().filter(is_first);
    let rest = FEATURES.iter().filter(|def| !is_first(def));
    first
        .chain(rest)
        .filter(|def| def.new_cluster_level > 0)
        .map(|def| FeatureLevelRecord { name: def.name.to_owned(), feature_level: def.new_cluster_level })
        .map(MetadataRecord::FeatureLevel)
        .collect()
}
