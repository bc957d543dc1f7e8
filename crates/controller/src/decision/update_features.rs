//! UpdateFeatures (KIP-584): which levels of the features the cluster holds to. All updates of a request, or none.

use std::collections::BTreeMap;

use ottla_metadata::{
    BrokerFeature, ConfigRecord, ConfigResourceType, ELIGIBLE_LEADER_REPLICAS_VERSION, FeatureLevelRecord,
    KRAFT_VERSION, METADATA_VERSION, MIN_INSYNC_REPLICAS, MetadataRecord, cluster_min_insync_replicas,
    feature,
};
use ottla_model::BrokerId;

use super::{Context, Decision};
use crate::command::{FeatureUpdate, FeatureUpgrade, UpdateFeatures};
use crate::error::FeatureError;

/// Sets the features' levels, or says what speaks against the first one that cannot be set.
pub fn update_features(
    request: &UpdateFeatures,
    context: &Context<'_>,
) -> Decision<Result<(), FeatureError>> {
    // A feature that is named twice counts as it is named last.
    let last: BTreeMap<&str, &FeatureUpdate> =
        request.updates.iter().map(|update| (update.feature.as_str(), update)).collect();
    let once = request.updates.iter().filter(|update| std::ptr::eq(last[update.feature.as_str()], *update));
    let mut records = Vec::new();
    for update in once {
        match check(update, context) {
            Ok(()) => records.extend(apply(update, context)),
            Err(error) => return Decision::answer_only(Err(error)),
        }
    }
    if request.validate_only {
        records.clear();
    }
    Decision { records, answer: Ok(()) }
}

fn check(update: &FeatureUpdate, context: &Context<'_>) -> Result<(), FeatureError> {
    let FeatureUpdate { feature: name, level, upgrade } = update;
    let invalid = |why: &str| {
        let message = format!("Invalid update version {level} for feature {name}. {why}");
        Err(FeatureError::InvalidUpdateVersion(message))
    };
    let Some(upgrade) = upgrade else {
        return invalid("The controller does not support the given upgrade type.");
    };
    let current = context.image.features().level(name);
    if *level < 0 {
        return invalid("A feature version cannot be less than 0.");
    }
    if let Some(why) = reason_not_supported(name, *level, context) {
        return invalid(&why);
    }
    if *level < current && *upgrade == FeatureUpgrade::Upgrade {
        return invalid(
            "Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe \
             downgrade.",
        );
    }
    if *level > current && *upgrade != FeatureUpgrade::Upgrade {
        return invalid("Can't downgrade to a newer version.");
    }
    if name == KRAFT_VERSION && *level < current {
        return invalid("Can't downgrade the version of this feature.");
    }
    if name == METADATA_VERSION && *level < current {
        return Err(metadata_downgrade(current, *level, *upgrade));
    }
    if feature(name).is_none() {
        return invalid(&format!("Feature {name} not found."));
    }
    Ok(())
}

/// No level below the newest has room for what the newest keeps.
fn metadata_downgrade(from: i16, to: i16, upgrade: FeatureUpgrade) -> FeatureError {
    let why = match upgrade {
        FeatureUpgrade::UnsafeDowngrade => "Unsafe metadata downgrade is not supported in this version.",
        _ => "Refusing to perform the requested downgrade because it might delete metadata information.",
    };
    let message = format!("Unsupported {METADATA_VERSION} downgrade from {from} to {to}. {why}");
    FeatureError::InvalidUpdateVersion(message)
}

/// Who does not support the level: the controller itself, a registered broker or controller, or one that the file names and nobody
/// knows. Level 0, which is "off", needs no support of a feature that is not known.
fn reason_not_supported(name: &str, level: i16, context: &Context<'_>) -> Option<String> {
    let local = feature(name).map(|def| (def.min_supported, def.max_supported));
    let who = format!("Local controller {}", context.settings.node_id);
    let (own, controllers) = (context.settings.node_id, context.image.controllers());
    let brokers = context.image.brokers().iter();
    let brokers = brokers.map(|broker| (format!("Broker {}", broker.id), range_of(&broker.features, name)));
    let others = controllers.iter().filter(|controller| controller.id != own);
    let others = others
        .map(|controller| (format!("Controller {}", controller.id), range_of(&controller.features, name)));
    let refused =
        [(who, local)].into_iter().chain(brokers).chain(others).find_map(|(who, range)| match range {
            None => (level != 0).then(|| format!("{who} does not support this feature.")),
            Some((min, max)) => {
                let range = if min == max { min.to_string() } else { format!("{min}-{max}") };
                (level < min || level > max).then(|| format!("{who} only supports versions {range}"))
            }
        });
    let is_known = |id: BrokerId| id == own || controllers.get(id).is_some();
    let voters = context.settings.broker.controller.voters.iter();
    refused.or_else(|| {
        let unknown = voters.map(|voter| voter.id).find(|id| !is_known(*id));
        unknown.map(|id| format!("controller {id} has not registered, and may not support this feature"))
    })
}

fn range_of(features: &[BrokerFeature], name: &str) -> Option<(i16, i16)> {
    let range = features.iter().find(|range| range.name == name)?;
    Some((range.min_supported_version, range.max_supported_version))
}

fn apply(update: &FeatureUpdate, context: &Context<'_>) -> Vec<MetadataRecord> {
    if context.image.features().level(&update.feature) == update.level {
        return Vec::new();
    }
    let level = FeatureLevelRecord { name: update.feature.clone(), feature_level: update.level };
    let mut records = vec![MetadataRecord::FeatureLevel(level)];
    if update.feature == ELIGIBLE_LEADER_REPLICAS_VERSION {
        records.extend(if update.level > 0 { one_min_isr(context) } else { Vec::new() });
    }
    records
}

/// Eligible leaders are counted by one `min.insync.replicas`: set for the cluster, and for no broker of its own.
fn one_min_isr(context: &Context<'_>) -> Vec<MetadataRecord> {
    let configs = context.image.configs();
    let set = configs.get(ConfigResourceType::Broker, "", MIN_INSYNC_REPLICAS);
    let cluster = set.is_none().then(|| cluster_min_insync_replicas(&context.settings.min_insync_replicas()));
    let own = configs
        .resources(ConfigResourceType::Broker)
        .filter(|(name, overrides)| !name.is_empty() && overrides.contains_key(MIN_INSYNC_REPLICAS));
    let removed = own.map(|(name, _)| {
        MetadataRecord::Config(ConfigRecord {
            resource_type: ConfigResourceType::Broker,
            resource_name: name.to_string(),
            name: MIN_INSYNC_REPLICAS.to_owned(),
            value: None,
        })
    });
    cluster.into_iter().chain(removed).collect()
}
