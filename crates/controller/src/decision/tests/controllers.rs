//! Controllers that register.

use ottla_metadata::{FeatureLevelRecord, KRAFT_VERSION, METADATA_VERSION, RegisterControllerRecord};

use super::*;
use crate::command::{FeatureUpdate, FeatureUpgrade, UpdateFeatures};
use crate::error::{FeatureError, RegistrationError};

fn introduced(id: i32, incarnation: u128) -> RegisterControllerRecord {
    RegisterControllerRecord {
        controller_id: BrokerId(id),
        incarnation_id: Uuid::from_u128(incarnation),
        endpoints: Vec::new(),
        features: Vec::new(),
    }
}

#[test]
fn a_controller_registers_once_for_each_process() {
    let mut cluster = Cluster::new();
    let mut register = |incarnation| {
        let before = cluster.image.provenance().offset;
        let own = introduced(3, incarnation);
        let answer = cluster.decide(|context| register_controller(&own, context));
        let registered = cluster.image.controllers().get(BrokerId(3)).map(|known| known.incarnation_id);
        (answer, registered, cluster.image.provenance().offset.get() - before.get())
    };
    let (first, second) = (Uuid::from_u128(1), Uuid::from_u128(2));
    assert_eq!(register(1), (Ok(()), Some(first), 1));
    assert_eq!(register(1), (Ok(()), Some(first), 0), "it asks again");
    assert_eq!(register(2), (Ok(()), Some(second), 1), "it was started again");
}

#[test]
fn no_controller_registers_where_the_records_are_not_known() {
    let mut cluster = Cluster::new();
    let level = |feature_level| {
        MetadataRecord::FeatureLevel(FeatureLevelRecord { name: METADATA_VERSION.to_owned(), feature_level })
    };
    for (feature_level, answer) in [(14, Err(RegistrationError::Unsupported)), (15, Ok(()))] {
        cluster.replay(&[level(feature_level)]);
        assert_eq!(cluster.decide(|context| register_controller(&introduced(3, 1), context)), answer);
    }
}

#[test]
fn a_controller_is_unregistered_by_another() {
    let mut cluster = Cluster::new();
    for id in [1, 3] {
        let own = introduced(id, 1);
        cluster.decide(|context| register_controller(&own, context)).unwrap();
    }
    let mut unregister = |id| {
        let answer = cluster.decide(|context| unregister_controller(BrokerId(id), context));
        (answer, cluster.image.controllers().iter().map(|known| known.id.get()).collect::<Vec<_>>())
    };
    assert_eq!(unregister(1), (Err(RegistrationError::Active), vec![1, 3]));
    assert_eq!(unregister(2), (Err(RegistrationError::NotRegistered(BrokerId(2))), vec![1, 3]));
    assert_eq!(unregister(3), (Ok(()), vec![1]));
    assert_eq!(unregister(3), (Err(RegistrationError::NotRegistered(BrokerId(3))), vec![1]));
}

/// Of a level of `kraft.version`, in a cluster whose file names the voters 1 and 3.
fn raise(cluster: &mut Cluster) -> Result<(), FeatureError> {
    let feature = KRAFT_VERSION.to_owned();
    let updates = vec![FeatureUpdate { feature, level: 1, upgrade: Some(FeatureUpgrade::Upgrade) }];
    let request = UpdateFeatures { updates, validate_only: false };
    cluster.decide(|context| update_features(&request, context))
}

#[test]
fn every_controller_must_be_known_to_support_a_feature() {
    let mut cluster = Cluster::new();
    let file = [
        ("node.id", "1"),
        ("listeners", "PLAINTEXT://a:2,CONTROLLER://a:1"),
        ("controller.listener.names", "CONTROLLER"),
        ("controller.quorum.voters", "1@a:1,3@c:3"),
    ];
    let file = file.map(|(name, value)| (name.to_owned(), value.to_owned()));
    cluster.settings.broker = Arc::new(BrokerConfig::from_static(file.into()).unwrap());
    let none = FeatureLevelRecord { name: KRAFT_VERSION.to_owned(), feature_level: 0 };
    cluster.replay(&[MetadataRecord::FeatureLevel(none)]);
    let refused = |why: &str| {
        let message = format!("Invalid update version 1 for feature kraft.version. {why}");
        Err(FeatureError::InvalidUpdateVersion(message))
    };
    assert_eq!(
        raise(&mut cluster),
        refused("controller 3 has not registered, and may not support this feature")
    );
    let mut third = introduced(3, 1);
    cluster.decide(|context| register_controller(&third, context)).unwrap();
    assert_eq!(raise(&mut cluster), refused("Controller 3 does not support this feature."));
    let range = |max_supported_version| BrokerFeature {
        name: KRAFT_VERSION.to_owned(),
        min_supported_version: 0,
        max_supported_version,
    };
    for (max, answer) in [(0, refused("Controller 3 only supports versions 0")), (1, Ok(()))] {
        third.features = vec![range(max)];
        cluster.decide(|context| register_controller(&third, context)).unwrap();
        assert_eq!(raise(&mut cluster), answer);
    }
    assert_eq!(cluster.image.features().level(KRAFT_VERSION), 1);
}
