use ottla_model::{BrokerId, LeaderEpoch, PartitionEpoch, ProducerId, TopicId};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::image::{ConfigResourceType, LeaderRecoveryState};

/// Made by `testdata/RecordVectors.java` with Kafka 4.4.0's own serialiser.
const VECTORS: &str = include_str!("../../testdata/records.txt");

const ID: TopicId = TopicId(Uuid::from_u128(0x0123_4567_89ab_cdef_1032_5476_98ba_dcfe));
const DIR: DirectoryId = DirectoryId(Uuid::from_u128(0x5_0000_0000_0000_0006));

fn brokers(ids: &[i32]) -> Vec<BrokerId> {
    ids.iter().copied().map(BrokerId).collect()
}

fn registration() -> RegisterBrokerRecord {
    RegisterBrokerRecord {
        broker_id: BrokerId(1),
        incarnation_id: ID.0,
        broker_epoch: 7,
        endpoints: vec![BrokerEndpoint {
            name: "PLAINTEXT".to_owned(),
            host: "h".to_owned(),
            port: 65_535,
            security_protocol: SecurityProtocol::Plaintext,
        }],
        features: vec![BrokerFeature {
            name: "f".to_owned(),
            min_supported_version: 1,
            max_supported_version: 2,
        }],
        rack: Some("r".to_owned()),
        fenced: true,
        in_controlled_shutdown: false,
        log_dirs: vec![DIR],
        cordoned_log_dirs: None,
    }
}

fn partition() -> PartitionRecord {
    PartitionRecord {
        partition_id: 3,
        topic_id: ID,
        replicas: brokers(&[1, 2]),
        isr: brokers(&[1]),
        removing_replicas: Vec::new(),
        adding_replicas: brokers(&[2]),
        leader: BrokerId(1),
        leader_recovery_state: LeaderRecoveryState::Recovered,
        leader_epoch: LeaderEpoch(4),
        partition_epoch: PartitionEpoch(5),
        directories: vec![DIR, DIR],
        elr: Vec::new(),
        last_known_elr: Vec::new(),
    }
}

fn config(resource_type: ConfigResourceType, resource_name: &str, value: Option<&str>) -> MetadataRecord {
    MetadataRecord::Config(ConfigRecord {
        resource_type,
        resource_name: resource_name.to_owned(),
        name: "n".to_owned(),
        value: value.map(str::to_owned),
    })
}

/// What `RecordVectors.java` calls by that name.
fn expected(name: &str) -> MetadataRecord {
    let (broker_id, broker_epoch) = (BrokerId(1), 7);
    let change = BrokerRegistrationChangeRecord::new(broker_id, broker_epoch);
    match name {
        "register-broker" => MetadataRecord::RegisterBroker(registration()),
        "register-broker-bare" => MetadataRecord::RegisterBroker(RegisterBrokerRecord {
            endpoints: Vec::new(),
            features: Vec::new(),
            rack: None,
            fenced: false,
            in_controlled_shutdown: true,
            log_dirs: Vec::new(),
            cordoned_log_dirs: Some(Vec::new()),
            ..registration()
        }),
        "unregister-broker" => {
            MetadataRecord::UnregisterBroker(UnregisterBrokerRecord { broker_id, broker_epoch })
        }
        "register-controller" => MetadataRecord::RegisterController(RegisterControllerRecord {
            controller_id: broker_id,
            incarnation_id: ID.0,
            endpoints: registration().endpoints,
            features: registration().features,
        }),
        "unregister-controller" => {
            MetadataRecord::UnregisterController(UnregisterControllerRecord { controller_id: broker_id })
        }
        "broker-change" => MetadataRecord::BrokerRegistrationChange(BrokerRegistrationChangeRecord {
            fenced: Some(false),
            ..change
        }),
        "broker-change-all" => MetadataRecord::BrokerRegistrationChange(BrokerRegistrationChangeRecord {
            fenced: Some(true),
            in_controlled_shutdown: true,
            log_dirs: vec![DIR],
            cordoned_log_dirs: Some(vec![DIR]),
            ..change
        }),
        "fence" => MetadataRecord::FenceBroker(FenceBrokerRecord { broker_id, broker_epoch }),
        "unfence" => MetadataRecord::UnfenceBroker(UnfenceBrokerRecord { broker_id, broker_epoch }),
        "topic" => MetadataRecord::Topic(TopicRecord { name: "t".to_owned(), topic_id: ID }),
        "partition" => MetadataRecord::Partition(partition()),
        "partition-elr" => MetadataRecord::Partition(PartitionRecord {
            adding_replicas: Vec::new(),
            leader: BrokerId::NONE,
            leader_recovery_state: LeaderRecoveryState::Recovering,
            elr: brokers(&[2]),
            last_known_elr: brokers(&[1]),
            ..partition()
        }),
        "partition-change" => MetadataRecord::PartitionChange(PartitionChangeRecord {
            leader: Some(BrokerId::NONE),
            ..PartitionChangeRecord::new(ID, 3)
        }),
        "partition-change-all" => MetadataRecord::PartitionChange(PartitionChangeRecord {
            partition_id: 3,
            topic_id: ID,
            isr: Some(brokers(&[1])),
            leader: Some(BrokerId(2)),
            replicas: Some(brokers(&[1])),
            removing_replicas: Some(Vec::new()),
            adding_replicas: Some(brokers(&[2])),
            leader_recovery_state: Some(LeaderRecoveryState::Recovered),
            directories: Some(vec![DIR]),
            elr: Some(brokers(&[2])),
            last_known_elr: Some(Vec::new()),
        }),
        "remove-topic" => MetadataRecord::RemoveTopic(RemoveTopicRecord { topic_id: ID }),
        "config" => config(ConfigResourceType::Topic, "t", Some("v")),
        "config-delete" => config(ConfigResourceType::Broker, "", None),
        "producer-ids" => MetadataRecord::ProducerIds(ProducerIdsRecord {
            broker_id,
            broker_epoch,
            next_producer_id: ProducerId(1_000),
        }),
        "feature" => MetadataRecord::FeatureLevel(FeatureLevelRecord {
            name: "metadata.version".to_owned(),
            feature_level: 33,
        }),
        "no-op" => MetadataRecord::NoOp,
        other => panic!("no record is called {other}"),
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digit).collect()
}

#[test]
fn records_are_kafkas_byte_for_byte() {
    let vectors: Vec<_> = VECTORS.lines().filter_map(|line| line.split_once(' ')).collect();
    assert_eq!(vectors.len(), 20);
    for (name, hex) in vectors {
        let (bytes, record) = (unhex(hex), expected(name));
        assert_eq!(MetadataRecord::decode(&bytes).as_ref(), Ok(&record), "{name}");
        assert_eq!(record.encode(), bytes, "{name}");
    }
}

#[test]
fn what_is_not_known_is_a_typed_error() {
    let cases = [
        (vec![2, 2, 0], RecordError::FrameVersion(2)),
        // A client quota (14), which later work brings.
        (vec![1, 14, 0, 0], RecordError::UnknownRecord { api_key: 14 }),
        (vec![1, 2, 1, 0], RecordError::UnknownVersion { api_key: 2, version: 1 }),
        (vec![1, 20, 0, 0, 9], RecordError::TrailingBytes(1)),
    ];
    for (bytes, error) in cases {
        assert_eq!(MetadataRecord::decode(&bytes), Err(error), "{bytes:?}");
    }
}

#[test]
fn older_versions_are_read() {
    // RegisterBroker v0: no migration flag, no controlled shutdown.
    let mut bytes = vec![1, 0, 0, 0, 0, 0, 1];
    bytes.extend([0; 16]);
    bytes.extend(7_i64.to_be_bytes());
    bytes.extend([1, 1, 0, 1, 0]);
    let MetadataRecord::RegisterBroker(record) = MetadataRecord::decode(&bytes).unwrap() else {
        panic!("another record");
    };
    assert_eq!((record.broker_id, record.broker_epoch, record.fenced), (BrokerId(1), 7, true));
}

proptest! {
    #[test]
    fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = MetadataRecord::decode(&bytes);
    }

    #[test]
    fn damaged_records_never_panic(which in 0_usize..18, at in any::<prop::sample::Index>(), with in any::<u8>()) {
        let (_, hex) = VECTORS.lines().nth(which).unwrap().split_once(' ').unwrap();
        let mut bytes = unhex(hex);
        let at = at.index(bytes.len());
        bytes[at] = with;
        if let Ok(record) = MetadataRecord::decode(&bytes) {
            let again = MetadataRecord::decode(&record.encode());
            prop_assert_eq!(again, Ok(record));
        }
    }
}
