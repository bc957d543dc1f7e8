//! Finalized features and the counter of producer ids.

use std::collections::BTreeMap;

use ottla_model::{BrokerId, ProducerId};

use crate::feature::METADATA_VERSION;
use crate::record::{FeatureLevelRecord, MetadataRecord, ProducerIdsRecord};

/// The finalized level of each feature that is on (KIP-584). Their epoch is the image's offset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeaturesImage {
    finalized: BTreeMap<String, i16>,
}

impl FeaturesImage {
    /// The finalized level; 0 if the feature is off.
    #[must_use]
    pub fn level(&self, name: &str) -> i16 {
        self.finalized.get(name).copied().unwrap_or(0)
    }

    /// Every feature that is on, with its level, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, i16)> {
        self.finalized.iter().map(|(name, level)| (name.as_str(), *level))
    }

    pub(super) fn apply(&mut self, record: &FeatureLevelRecord) {
        if record.feature_level == 0 {
            self.finalized.remove(&record.name);
        } else {
            self.finalized.insert(record.name.clone(), record.feature_level);
        }
    }

    pub(super) fn write_records(&self, out: &mut Vec<MetadataRecord>) {
        let record = |name: &str, feature_level: i16| {
            MetadataRecord::FeatureLevel(FeatureLevelRecord { name: name.to_owned(), feature_level })
        };
        let metadata_version = self.level(METADATA_VERSION);
        if metadata_version != 0 {
            out.push(record(METADATA_VERSION, metadata_version));
        }
        out.extend(
            self.iter()
                .filter(|(name, _)| *name != METADATA_VERSION)
                .map(|(name, level)| record(name, level)),
        );
    }
}

/// Which producer ids have been given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerIdsImage {
    /// The first id of the next block.
    pub next_producer_id: ProducerId,
}

impl Default for ProducerIdsImage {
    fn default() -> Self {
        Self { next_producer_id: ProducerId(0) }
    }
}

impl ProducerIdsImage {
    pub(super) fn write_records(self, out: &mut Vec<MetadataRecord>) {
        if self.next_producer_id > ProducerId(0) {
            out.push(MetadataRecord::ProducerIds(ProducerIdsRecord {
                broker_id: BrokerId::NONE,
                broker_epoch: -1,
                next_producer_id: self.next_producer_id,
            }));
        }
    }
}
