//! Who leads, where partitions are, and which features hold: the answers of a real Kafka 4.4.0, and what must hold of
//! several brokers.

use ottla_metadata::{
    ELIGIBLE_LEADER_REPLICAS_VERSION, GROUP_VERSION, LeaderRecoveryState, PartitionChangeRecord,
    PartitionRegistration,
};

use super::*;
use crate::command::{
    AlterPartitionReassignments, ElectLeaders, ElectionType, FeatureUpdate, FeatureUpgrade,
    ReassignableTopic, UpdateFeatures,
};
use crate::error::{ElectionError, ReassignmentError};

impl Cluster {
    fn partition(&self, topic: &str) -> PartitionRegistration {
        self.image.partition(topic, 0).unwrap().as_ref().clone()
    }

    pub(super) fn elect(
        &mut self,
        election: ElectionType,
        topic: &str,
        partition: i32,
    ) -> Result<(), ElectionError> {
        let topics = Some(vec![(topic.to_owned(), vec![partition])]);
        let request = ElectLeaders { election, topics };
        let elections = self.decide(|context| elect_leaders(&request, context));
        elections[0].partitions[0].1.clone()
    }

    pub(super) fn reassign(&mut self, topic: &str, to: Option<&[i32]>) -> Result<(), ReassignmentError> {
        self.reassign_with(topic, 0, to, true)
    }

    fn reassign_with(
        &mut self,
        topic: &str,
        partition: i32,
        to: Option<&[i32]>,
        allow_replication_factor_change: bool,
    ) -> Result<(), ReassignmentError> {
        let partitions = vec![(partition, to.map(brokers))];
        let topics = vec![ReassignableTopic { name: topic.to_owned(), partitions }];
        let request = AlterPartitionReassignments { allow_replication_factor_change, topics };
        self.decide(|context| alter_partition_reassignments(&request, context)).remove(0).remove(0)
    }

    fn fence(&mut self, id: i32) {
        let epoch = self.image.brokers().get(BrokerId(id)).unwrap().epoch;
        self.decide(|context| fence_broker(BrokerId(id), epoch, context)).unwrap();
    }

    fn unfence(&mut self, id: i32) {
        let epoch = self.image.brokers().get(BrokerId(id)).unwrap().epoch;
        self.decide(|context| unfence_broker(BrokerId(id), epoch, context)).unwrap();
    }

    fn feature(&mut self, name: &str, level: i16, upgrade: Option<FeatureUpgrade>) -> Result<(), String> {
        let updates = vec![FeatureUpdate { feature: name.to_owned(), level, upgrade }];
        let request = UpdateFeatures { updates, validate_only: false };
        self.decide(|context| update_features(&request, context)).map_err(|error| error.to_string())
    }
}

#[test]
fn an_election_on_one_broker_is_not_needed() {
    let mut cluster = Cluster::with_brokers(&[(1, None)]);
    cluster.create(new_topic("t", 1, 1)).unwrap();
    for kind in [ElectionType::Preferred, ElectionType::Unclean] {
        assert_eq!(cluster.elect(kind, "t", 0), Err(ElectionError::NotNeeded));
        let unknown = cluster.elect(kind, "nope", 0).unwrap_err();
        assert_eq!(unknown.to_string(), "No such topic as nope");
        assert_eq!(cluster.elect(kind, "t", -1).unwrap_err().to_string(), "No such partition as t--1");
    }
    let request = ElectLeaders { election: ElectionType::Preferred, topics: None };
    let all = cluster.decide(|context| elect_leaders(&request, context));
    assert_eq!(all.len(), 1);
    assert!(all[0].name == "t" && all[0].partitions.is_empty(), "{all:?}");
}

#[test]
fn leadership_goes_back_to_the_preferred_replica() {
    let mut cluster = Cluster::with_brokers(&[(1, None), (2, None)]);
    cluster.create(assigned("t", &[(0, &[1, 2])])).unwrap();
    cluster.fence(1);
    assert_eq!(cluster.partition("t").leader, BrokerId(2));
    let answer = cluster.elect(ElectionType::Preferred, "t", 0);
    assert_eq!(answer, Err(ElectionError::PreferredNotAvailable));
    cluster.unfence(1);
    // It is there, and not in sync yet.
    let answer = cluster.elect(ElectionType::Preferred, "t", 0);
    assert_eq!(answer, Err(ElectionError::PreferredNotAvailable));
    let mut joined = PartitionChangeRecord::new(cluster.image.topic("t").unwrap().id, 0);
    joined.isr = Some(brokers(&[1, 2]));
    cluster.replay(&[MetadataRecord::PartitionChange(joined)]);
    let epoch = cluster.partition("t").leader_epoch;
    cluster.elect(ElectionType::Preferred, "t", 0).unwrap();
    let after = cluster.partition("t");
    assert_eq!((after.leader, after.leader_epoch.get()), (BrokerId(1), epoch.get() + 1));
}

#[test]
fn an_unclean_election_is_marked() {
    let mut cluster = Cluster::with_brokers(&[(1, None), (2, None)]);
    cluster.feature(ELIGIBLE_LEADER_REPLICAS_VERSION, 0, Some(FeatureUpgrade::SafeDowngrade)).unwrap();
    cluster.create(assigned("t", &[(0, &[1, 2])])).unwrap();
    cluster.fence(2);
    cluster.fence(1);
    assert_eq!(cluster.elect(ElectionType::Unclean, "t", 0), Err(ElectionError::NobodyAvailable));
    cluster.unfence(2);
    assert_eq!(cluster.partition("t").leader, BrokerId::NONE);
    cluster.elect(ElectionType::Unclean, "t", 0).unwrap();
    let after = cluster.partition("t");
    assert_eq!((after.leader, after.isr), (BrokerId(2), brokers(&[2])));
    assert_eq!(after.leader_recovery_state, LeaderRecoveryState::Recovering);
}

#[test]
fn who_left_an_isr_below_the_minimum_may_lead_again() {
    let mut cluster = Cluster::with_brokers(&[(1, None), (2, None)]);
    let configs = vec![("min.insync.replicas".to_owned(), Some("2".to_owned()))];
    cluster.create(NewTopic { configs, ..assigned("t", &[(0, &[1, 2])]) }).unwrap();
    cluster.fence(2);
    let partition = cluster.partition("t");
    assert_eq!((partition.isr, partition.elr), (brokers(&[1]), brokers(&[2])));
    cluster.fence(1);
    let partition = cluster.partition("t");
    assert_eq!((partition.isr.as_slice(), partition.elr), ([].as_slice(), brokers(&[1, 2])));
    assert_eq!((partition.leader, partition.last_known_elr), (BrokerId::NONE, brokers(&[1])));
    // The other one has everything that was acknowledged: nothing is lost, nothing is unclean.
    cluster.unfence(2);
    let partition = cluster.partition("t");
    assert_eq!((partition.leader, partition.isr, partition.elr), (BrokerId(2), brokers(&[2]), brokers(&[1])));
    assert_eq!(partition.leader_recovery_state, LeaderRecoveryState::Recovered);
    assert!(partition.last_known_elr.is_empty());
}

#[test]
fn reassignments_are_refused_in_kafkas_words() {
    let mut cluster = Cluster::with_brokers(&[(1, None)]);
    cluster.create(new_topic("t", 1, 1)).unwrap();
    let before = cluster.image.clone();
    let cases: [(&str, i32, Option<&[i32]>, &str); 8] = [
        ("nope", 0, Some(&[1]), "Unable to find a topic named nope."),
        ("nope", 0, None, "Unable to find a topic named nope."),
        ("t", 9, Some(&[1]), "Unable to find partition t:9."),
        ("t", 0, None, "No partition reassignment is in progress."),
        ("t", 0, Some(&[]), "The manual partition assignment includes an empty replica list."),
        ("t", 0, Some(&[1, 1, 9]), "The manual partition assignment includes the broker 1 more than once."),
        (
            "t",
            0,
            Some(&[9, 1, 9]),
            "The manual partition assignment includes broker 9, but no such broker is registered.",
        ),
        (
            "t",
            0,
            Some(&[-1]),
            "The manual partition assignment includes broker -1, but no such broker is registered.",
        ),
    ];
    for (topic, partition, to, why) in cases {
        let error = cluster.reassign_with(topic, partition, to, false).unwrap_err();
        assert_eq!(error.to_string(), why);
    }
    cluster.reassign("t", Some(&[1])).unwrap();
    assert_eq!(cluster.image, before, "the same replicas are a success that changes nothing");
}

#[test]
fn a_reassignment_ends_when_the_new_replicas_are_in_sync() {
    let mut cluster = Cluster::with_brokers(&[(1, None), (2, None), (3, None)]);
    cluster.create(assigned("t", &[(0, &[1, 2])])).unwrap();
    let error = cluster.reassign_with("t", 0, Some(&[3]), false).unwrap_err();
    assert_eq!(error.to_string(), "The replication factor is changed from 2 to 1");
    cluster.reassign_with("t", 0, Some(&[3, 2]), false).unwrap();
    let moving = cluster.partition("t");
    assert_eq!(moving.replicas, brokers(&[3, 2, 1]));
    assert_eq!((moving.adding_replicas, moving.removing_replicas), (brokers(&[3]), brokers(&[1])));
    assert_eq!((moving.leader, moving.isr), (BrokerId(1), brokers(&[1, 2])));

    cluster.reassign("t", None).unwrap();
    let back = cluster.partition("t");
    assert_eq!((back.replicas, back.isr), (brokers(&[2, 1]), brokers(&[1, 2])));
    assert!(back.adding_replicas.is_empty() && back.removing_replicas.is_empty());
}

#[test]
fn a_later_reassignment_says_who_comes_and_who_goes() {
    let mut cluster = Cluster::with_brokers(&[(1, None), (2, None), (3, None), (4, None)]);
    cluster.create(assigned("t", &[(0, &[1, 2])])).unwrap();
    let lists = |cluster: &Cluster| {
        let partition = cluster.partition("t");
        (partition.replicas, partition.adding_replicas, partition.removing_replicas)
    };
    cluster.reassign("t", Some(&[3, 2])).unwrap();
    for _ in 0..2 {
        cluster.reassign("t", Some(&[2, 1, 3])).unwrap();
        assert_eq!(lists(&cluster), (brokers(&[2, 1, 3]), brokers(&[3]), brokers(&[])), "1 stays after all");
    }
    cluster.reassign("t", Some(&[2, 4])).unwrap();
    assert_eq!(lists(&cluster), (brokers(&[2, 4, 1, 3]), brokers(&[4]), brokers(&[1, 3])));
    cluster.reassign("t", Some(&[2, 1])).unwrap();
    assert_eq!(lists(&cluster), (brokers(&[2, 1]), brokers(&[]), brokers(&[])), "all who stay are in sync");
}

#[test]
fn replicas_in_sync_are_reordered_and_removed_at_once() {
    let mut cluster = Cluster::with_brokers(&[(1, None), (2, None)]);
    cluster.create(assigned("t", &[(0, &[1, 2])])).unwrap();
    cluster.reassign("t", Some(&[2, 1])).unwrap();
    let after = cluster.partition("t");
    assert_eq!((&after.replicas, after.leader), (&brokers(&[2, 1]), BrokerId(1)));
    assert_eq!(after.directory(BrokerId(2)), Some(DirectoryId(Uuid::from_u128(102))));
    let epoch = after.leader_epoch;
    cluster.reassign("t", Some(&[2])).unwrap();
    let after = cluster.partition("t");
    assert_eq!((after.replicas, after.isr, after.leader), (brokers(&[2]), brokers(&[2]), BrokerId(2)));
    assert!(after.leader_epoch > epoch && after.removing_replicas.is_empty());
}

#[test]
fn an_unregistered_broker_is_forgotten() {
    let mut cluster = Cluster::with_brokers(&[(1, None), (2, None)]);
    cluster.create(assigned("t", &[(0, &[1, 2])])).unwrap();
    let answer = cluster.decide(|context| unregister_broker(BrokerId(9), context));
    assert_eq!(answer.unwrap_err().to_string(), "Broker ID 9 is not currently registered");
    cluster.decide(|context| unregister_broker(BrokerId(1), context)).unwrap();
    assert!(cluster.image.brokers().get(BrokerId(1)).is_none());
    let partition = cluster.partition("t");
    assert_eq!((partition.leader, partition.isr), (BrokerId(2), brokers(&[2])));
    assert_eq!(cluster.image.offline_replicas(&cluster.partition("t")), brokers(&[1]));
}

#[test]
fn features_move_in_kafkas_words() {
    use FeatureUpgrade::{SafeDowngrade, UnsafeDowngrade, Upgrade};
    let mut cluster = Cluster::with_brokers(&[(1, None)]);
    let set_upgrade_type = "Can't downgrade the version of this feature without setting the upgrade type to either \
                            safe or unsafe downgrade.";
    let cases = [
        (GROUP_VERSION, 2, Some(Upgrade), "Local controller 1 only supports versions 0-1"),
        (GROUP_VERSION, -1, Some(Upgrade), "A feature version cannot be less than 0."),
        (GROUP_VERSION, 1, None, "The controller does not support the given upgrade type."),
        (GROUP_VERSION, 0, Some(Upgrade), set_upgrade_type),
        ("nope.version", 1, Some(Upgrade), "Local controller 1 does not support this feature."),
        ("nope.version", 0, Some(SafeDowngrade), "Feature nope.version not found."),
        ("", 1, Some(Upgrade), "Local controller 1 does not support this feature."),
        ("metadata.version", 34, Some(Upgrade), "Local controller 1 only supports versions 7-33"),
        ("metadata.version", 0, Some(SafeDowngrade), "Local controller 1 only supports versions 7-33"),
        ("metadata.version", 32, Some(Upgrade), set_upgrade_type),
    ];
    for (name, level, upgrade, why) in cases {
        let error = cluster.feature(name, level, upgrade).unwrap_err();
        assert_eq!(error, format!("Invalid update version {level} for feature {name}. {why}"));
    }
    let downgrades = [
        (
            SafeDowngrade,
            "Refusing to perform the requested downgrade because it might delete metadata information.",
        ),
        (UnsafeDowngrade, "Unsafe metadata downgrade is not supported in this version."),
    ];
    for (upgrade, why) in downgrades {
        let error = cluster.feature("metadata.version", 32, Some(upgrade)).unwrap_err();
        assert_eq!(error, format!("Unsupported metadata.version downgrade from 33 to 32. {why}"));
    }
    cluster.feature("metadata.version", 33, Some(Upgrade)).unwrap();
    cluster.feature(GROUP_VERSION, 0, Some(SafeDowngrade)).unwrap();
    assert_eq!(cluster.image.features().level(GROUP_VERSION), 0);
    let error = cluster.feature(GROUP_VERSION, 1, Some(SafeDowngrade)).unwrap_err();
    assert!(error.ends_with("Can't downgrade to a newer version."), "{error}");
    cluster.feature(GROUP_VERSION, 1, Some(Upgrade)).unwrap();
}

#[test]
fn one_feature_that_cannot_be_set_holds_back_the_others() {
    let mut cluster = Cluster::with_brokers(&[(1, None)]);
    let before = cluster.image.clone();
    let update =
        |feature: &str, level, upgrade| FeatureUpdate { feature: feature.to_owned(), level, upgrade };
    let down = Some(FeatureUpgrade::SafeDowngrade);
    let updates = vec![update(GROUP_VERSION, 0, down), update("nope", 1, Some(FeatureUpgrade::Upgrade))];
    let request = UpdateFeatures { updates, validate_only: false };
    assert!(cluster.decide(|context| update_features(&request, context)).is_err());
    let updates = vec![update(GROUP_VERSION, 0, down)];
    let request = UpdateFeatures { updates, validate_only: true };
    cluster.decide(|context| update_features(&request, context)).unwrap();
    assert_eq!(cluster.image, before);
    // Named twice: as it is named last.
    let updates =
        vec![update(GROUP_VERSION, 0, down), update(GROUP_VERSION, 1, Some(FeatureUpgrade::Upgrade))];
    let request = UpdateFeatures { updates, validate_only: false };
    cluster.decide(|context| update_features(&request, context)).unwrap();
    assert_eq!(cluster.image.features().level(GROUP_VERSION), 1);
}

#[test]
fn eligible_leaders_are_counted_by_one_min_isr() {
    let mut cluster = Cluster::with_brokers(&[(1, None)]);
    let min_isr = |cluster: &Cluster, broker: &str| {
        let value = cluster.image.configs().get(ConfigResourceType::Broker, broker, "min.insync.replicas");
        value.map(str::to_owned)
    };
    assert_eq!(min_isr(&cluster, "").as_deref(), Some("1"));
    let resource = |name: &str| ConfigResource::new(ConfigResourceType::Broker, name);
    let set = |value| vec![op("min.insync.replicas", AlterConfigOp::Set, Some(value))];
    let delete = vec![op("min.insync.replicas", AlterConfigOp::Delete, None)];
    let refused = |answer: Result<(), ConfigChangeError>| match answer {
        Err(ConfigChangeError::InvalidConfig(why)) => why,
        other => panic!("{other:?}"),
    };
    let own = "Broker-level min.insync.replicas cannot be altered while ELR is enabled.";
    assert_eq!(refused(cluster.alter(resource("1"), set("2"))), own);
    let removed = "Cluster-level min.insync.replicas cannot be removed while ELR is enabled.";
    assert_eq!(refused(cluster.alter(resource(""), delete.clone())), removed);
    cluster.alter(resource(""), set("2")).unwrap();

    cluster.feature(ELIGIBLE_LEADER_REPLICAS_VERSION, 0, Some(FeatureUpgrade::SafeDowngrade)).unwrap();
    cluster.alter(resource(""), delete).unwrap();
    cluster.replay(&[MetadataRecord::Config(ottla_metadata::ConfigRecord {
        resource_type: ConfigResourceType::Broker,
        resource_name: "1".to_owned(),
        name: "min.insync.replicas".to_owned(),
        value: Some("3".to_owned()),
    })]);
    cluster.feature(ELIGIBLE_LEADER_REPLICAS_VERSION, 1, Some(FeatureUpgrade::Upgrade)).unwrap();
    assert_eq!((min_isr(&cluster, "").as_deref(), min_isr(&cluster, "1")), (Some("1"), None));
}
