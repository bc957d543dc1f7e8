use ottla_model::{LeaderEpoch, PartitionEpoch, ProducerId};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::delta::MetadataDelta;
use crate::record::{
    BrokerRegistrationChangeRecord, ConfigRecord, DirectoryId, FeatureLevelRecord, FenceBrokerRecord,
    PartitionChangeRecord, PartitionRecord, ProducerIdsRecord, RegisterBrokerRecord,
    RegisterControllerRecord, RemoveTopicRecord, TopicRecord, UnfenceBrokerRecord, UnregisterBrokerRecord,
    UnregisterControllerRecord,
};

fn id(n: u8) -> TopicId {
    TopicId(Uuid::from_u128(u128::from(n) + 1_000))
}

fn topic(n: u8) -> MetadataRecord {
    MetadataRecord::Topic(TopicRecord { name: format!("t{n}"), topic_id: id(n) })
}

fn partition(topic: u8, partition_id: i32) -> MetadataRecord {
    MetadataRecord::Partition(PartitionRecord {
        partition_id,
        topic_id: id(topic),
        replicas: vec![BrokerId(1)],
        isr: vec![BrokerId(1)],
        removing_replicas: Vec::new(),
        adding_replicas: Vec::new(),
        leader: BrokerId(1),
        leader_recovery_state: LeaderRecoveryState::Recovered,
        leader_epoch: LeaderEpoch(0),
        partition_epoch: PartitionEpoch(0),
        directories: vec![DirectoryId::UNASSIGNED],
        elr: Vec::new(),
        last_known_elr: Vec::new(),
    })
}

fn config(topic: u8, name: &str, value: Option<&str>) -> MetadataRecord {
    MetadataRecord::Config(ConfigRecord {
        resource_type: ConfigResourceType::Topic,
        resource_name: format!("t{topic}"),
        name: name.to_owned(),
        value: value.map(str::to_owned),
    })
}

fn image_of(records: &[MetadataRecord]) -> MetadataImage {
    let mut image = MetadataImage::new("c");
    for record in records {
        image.replay(record).unwrap();
    }
    image
}

#[test]
fn a_change_counts_epochs() {
    let mut image = image_of(&[topic(1), partition(1, 0)]);
    let mut change = PartitionChangeRecord::new(id(1), 0);
    change.isr = Some(vec![BrokerId(1), BrokerId(2)]);
    image.replay(&MetadataRecord::PartitionChange(change.clone())).unwrap();
    change.leader = Some(BrokerId(2));
    image.replay(&MetadataRecord::PartitionChange(change)).unwrap();
    let registration = image.partition("t1", 0).unwrap();
    assert_eq!(registration.leader_epoch, LeaderEpoch(1));
    assert_eq!(registration.partition_epoch, PartitionEpoch(2));
    assert_eq!(registration.leader, BrokerId(2));
    assert_eq!(registration.directory(BrokerId(1)), Some(DirectoryId::UNASSIGNED));
}

#[test]
fn a_removed_topic_takes_its_configs_along() {
    let image = image_of(&[
        topic(1),
        config(1, "retention.ms", Some("1")),
        MetadataRecord::RemoveTopic(RemoveTopicRecord { topic_id: id(1) }),
    ]);
    assert!(image.configs().topic("t1").is_none());
    assert_eq!(image, MetadataImage::new("c"));
}

#[test]
fn what_does_not_fit_leaves_the_image_alone() {
    let image = image_of(&[topic(1), partition(1, 0)]);
    let unknown = PartitionChangeRecord::new(id(1), 9);
    let cases = [
        (topic(1), ReplayError::TopicExists { name: "t1".to_owned(), existing: id(1) }),
        (partition(2, 0), ReplayError::UnknownTopicId(id(2))),
        (
            MetadataRecord::PartitionChange(unknown),
            ReplayError::UnknownPartition { topic_id: id(1), partition: 9 },
        ),
        (
            MetadataRecord::FenceBroker(FenceBrokerRecord { broker_id: BrokerId(3), broker_epoch: 1 }),
            ReplayError::UnknownBroker(BrokerId(3)),
        ),
    ];
    for (record, error) in cases {
        let mut tried = image.clone();
        assert_eq!(tried.replay(&record), Err(error));
        assert_eq!(tried, image);
    }
}

#[test]
fn topics_are_paged_by_name() {
    let image = image_of(&[topic(3), topic(1), topic(2)]);
    let names: Vec<&str> = image.topics().from_name("t2").map(|topic| &*topic.name).collect();
    assert_eq!(names, ["t2", "t3"]);
}

fn any_record() -> impl Strategy<Value = MetadataRecord> {
    let topics = 0_u8..4;
    let brokers = 1_i32..4;
    let (broker, epoch) = (brokers.clone().prop_map(BrokerId), 0_i64..3);
    prop_oneof![
        topics.clone().prop_map(topic),
        (topics.clone(), 0_i32..3).prop_map(|(t, p)| partition(t, p)),
        (topics.clone(), 0_i32..3, proptest::option::of(brokers.clone())).prop_map(|(t, p, leader)| {
            let mut change = PartitionChangeRecord::new(id(t), p);
            change.leader = leader.map(BrokerId);
            change.elr = Some(vec![BrokerId(p)]);
            MetadataRecord::PartitionChange(change)
        }),
        topics.clone().prop_map(|t| MetadataRecord::RemoveTopic(RemoveTopicRecord { topic_id: id(t) })),
        (topics, 0_u8..2, proptest::option::of(0_u8..2)).prop_map(|(t, name, value)| {
            config(t, &format!("n{name}"), value.map(|value| value.to_string()).as_deref())
        }),
        (broker.clone(), epoch.clone(), any::<bool>()).prop_map(|(broker_id, broker_epoch, fenced)| {
            MetadataRecord::RegisterBroker(RegisterBrokerRecord {
                broker_id,
                incarnation_id: Uuid::nil(),
                broker_epoch,
                endpoints: Vec::new(),
                features: Vec::new(),
                rack: None,
                fenced,
                in_controlled_shutdown: false,
                log_dirs: Vec::new(),
                cordoned_log_dirs: None,
            })
        }),
        (broker.clone(), epoch.clone(), 0_u8..4).prop_map(|(broker_id, broker_epoch, what)| match what {
            0 => MetadataRecord::FenceBroker(FenceBrokerRecord { broker_id, broker_epoch }),
            1 => MetadataRecord::UnfenceBroker(UnfenceBrokerRecord { broker_id, broker_epoch }),
            2 => MetadataRecord::UnregisterBroker(UnregisterBrokerRecord { broker_id, broker_epoch }),
            _ => MetadataRecord::BrokerRegistrationChange(BrokerRegistrationChangeRecord {
                in_controlled_shutdown: true,
                ..BrokerRegistrationChangeRecord::new(broker_id, broker_epoch)
            }),
        }),
        (broker.clone(), any::<u8>()).prop_map(|(controller_id, incarnation)| {
            MetadataRecord::RegisterController(RegisterControllerRecord {
                controller_id,
                incarnation_id: Uuid::from_u128(u128::from(incarnation)),
                endpoints: Vec::new(),
                features: Vec::new(),
            })
        }),
        broker.clone().prop_map(|controller_id| {
            MetadataRecord::UnregisterController(UnregisterControllerRecord { controller_id })
        }),
        (0_i64..5).prop_map(|n| MetadataRecord::ProducerIds(ProducerIdsRecord {
            broker_id: BrokerId(1),
            broker_epoch: 0,
            next_producer_id: ProducerId(n * 1_000),
        })),
        (0_u8..3, 0_i16..3).prop_map(|(name, feature_level)| {
            MetadataRecord::FeatureLevel(FeatureLevelRecord { name: format!("f{name}"), feature_level })
        }),
        Just(MetadataRecord::NoOp),
    ]
}

proptest! {
    /// Whatever records make of an image, its own records make the same of a new one; and the noted delta names
    /// everything that a comparison finds.
    #[test]
    fn an_image_is_its_records(records in proptest::collection::vec(any_record(), 0..60), split in 0_usize..60) {
        let mut image = MetadataImage::new("c");
        let mut before = image.clone();
        let mut delta = MetadataDelta::default();
        for (i, record) in records.iter().enumerate() {
            if i == split {
                before = image.clone();
                delta = MetadataDelta::default();
            }
            let mut noted = MetadataDelta::default();
            noted.note(&image, record);
            if image.replay(record).is_ok() {
                delta.merge(&noted);
            }
        }
        prop_assert_eq!(&image_of(&image.to_records()), &image);

        let found = MetadataDelta::between(&before, &image);
        let mut both = delta.clone();
        both.merge(&found);
        prop_assert_eq!(both, delta);
    }
}
