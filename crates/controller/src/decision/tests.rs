mod controllers;
mod elections;
mod leadership;
mod membership;

use std::collections::BTreeSet;

use ottla_metadata::{
    BrokerEndpoint, BrokerFeature, ConfigResource, DirectoryId, FEATURES, SecurityProtocol,
    new_cluster_records,
};
use ottla_model::{TopicId, TopicIdPartition};
use proptest::prelude::*;

use super::*;
use crate::command::{
    AlterConfigOp, AlterConfigs, BrokerRegistrationRequest, ConfigAlteration, ConfigChange, ConfigOp,
    CreatePartitions, CreateTopics, DeleteTopics, ElectionType, NewPartitions, NewTopic, ReplicaDirectories,
    TopicRef,
};
use crate::error::{BrokerError, ConfigChangeError, DirectoryError, TopicError};

/// Numbers that look random and repeat.
struct Sequence(u128);

impl Randomness for Sequence {
    fn uuid(&mut self) -> Uuid {
        self.0 += 1;
        Uuid::from_u128(self.0 << 64 | self.0)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 += 1;
        usize::try_from(self.0 * 7_919 % 104_729).unwrap() % bound
    }
}

/// A cluster that replays what it decides.
struct Cluster {
    image: MetadataImage,
    settings: Settings,
    random: Sequence,
}

impl Cluster {
    fn new() -> Self {
        let file = [("node.id", "1"), ("num.partitions", "2")];
        let file = file.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let broker = BrokerConfig::from_static(file.into()).unwrap();
        let mut cluster = Self {
            image: MetadataImage::new("c"),
            settings: Settings { node_id: BrokerId(1), broker: Arc::new(broker), dynamic_voters: true },
            random: Sequence(0),
        };
        cluster.replay(&new_cluster_records("1", 1));
        cluster
    }

    fn with_brokers(brokers: &[(i32, Option<&str>)]) -> Self {
        let mut cluster = Self::new();
        for (id, rack) in brokers {
            cluster.register(*id, *rack, false).unwrap();
        }
        cluster
    }

    fn replay(&mut self, records: &[MetadataRecord]) {
        for record in records {
            self.image.replay(record).unwrap();
            let mut provenance = self.image.provenance();
            provenance.offset = provenance.offset.plus(1);
            self.image.set_provenance(provenance);
        }
    }

    fn decide<A>(&mut self, decide: impl FnOnce(&mut Context<'_>) -> Decision<A>) -> A {
        let mut context = Context { image: &self.image, settings: &self.settings, random: &mut self.random };
        let decision = decide(&mut context);
        self.replay(&decision.records);
        decision.answer
    }

    fn register(&mut self, id: i32, rack: Option<&str>, fenced: bool) -> Result<i64, BrokerError> {
        let request = registration(id, rack, fenced, self.random.uuid());
        self.decide(|context| register_broker(&request, |_| false, context))
    }

    fn create(&mut self, topic: NewTopic) -> Result<crate::CreatedTopic, TopicError> {
        let request = CreateTopics { topics: vec![topic], validate_only: false };
        self.decide(|context| create_topics(&request, context)).remove(0)
    }

    fn add(
        &mut self,
        name: &str,
        count: i32,
        assignments: Option<Vec<Vec<BrokerId>>>,
    ) -> Result<(), TopicError> {
        let topics = vec![NewPartitions { name: name.to_owned(), count, assignments }];
        let request = CreatePartitions { topics, validate_only: false };
        self.decide(|context| create_partitions(&request, context)).remove(0)
    }

    fn alter(&mut self, resource: ConfigResource, ops: Vec<ConfigOp>) -> Result<(), ConfigChangeError> {
        let resources = vec![ConfigAlteration { resource, change: ConfigChange::Operations(ops) }];
        let request = AlterConfigs { resources, validate_only: false };
        self.decide(|context| alter_configs(&request, context)).remove(0)
    }
}

fn registration(
    id: i32,
    rack: Option<&str>,
    fenced: bool,
    incarnation_id: Uuid,
) -> BrokerRegistrationRequest {
    BrokerRegistrationRequest {
        broker_id: BrokerId(id),
        incarnation_id,
        endpoints: vec![BrokerEndpoint {
            name: "PLAINTEXT".to_owned(),
            host: "h".to_owned(),
            port: 1,
            security_protocol: SecurityProtocol::Plaintext,
        }],
        features: FEATURES
            .iter()
            .map(|def| BrokerFeature {
                name: def.name.to_owned(),
                min_supported_version: def.min_supported,
                max_supported_version: def.max_supported,
            })
            .collect(),
        rack: rack.map(str::to_owned),
        log_dirs: vec![DirectoryId(Uuid::from_u128(u128::from(id.unsigned_abs()) + 100))],
        previous_broker_epoch: -1,
        fenced,
    }
}

fn new_topic(name: &str, partition_count: i32, replication_factor: i16) -> NewTopic {
    NewTopic { partition_count, replication_factor, ..NewTopic::named(name) }
}

fn with_config(name: &str, config: &str, value: Option<&str>) -> NewTopic {
    let configs = vec![(config.to_owned(), value.map(str::to_owned))];
    NewTopic { configs, ..NewTopic::named(name) }
}

fn assigned(name: &str, assignments: &[(i32, &[i32])]) -> NewTopic {
    let assignments = assignments.iter().map(|(partition, ids)| (*partition, brokers(ids))).collect();
    NewTopic { assignments, ..NewTopic::named(name) }
}

fn brokers(ids: &[i32]) -> Vec<BrokerId> {
    ids.iter().copied().map(BrokerId).collect()
}

fn op(name: &str, op: AlterConfigOp, value: Option<&str>) -> ConfigOp {
    ConfigOp { name: name.to_owned(), op, value: value.unwrap_or_default().to_owned() }
}

#[test]
fn create_topics_refuses_in_kafkas_words() {
    let mut cluster = Cluster::with_brokers(&[(1, None)]);
    cluster.create(NewTopic::named("a.b")).unwrap();
    let cases = [
        (new_topic("", 1, 1), "Topic name is invalid: the empty string is not allowed"),
        (NewTopic::named("a.b"), "Topic 'a.b' already exists."),
        (NewTopic::named("a_b"), "Topic 'a_b' collides with existing topic: a.b"),
        (
            NewTopic::named("__cluster_metadata"),
            "Creation of internal topic __cluster_metadata is prohibited.",
        ),
        (
            new_topic("t", 1, 2),
            "Unable to replicate the partition 2 time(s): The target replication factor of 2 cannot be reached because \
             only 1 broker(s) are registered or some brokers have all their log directories cordoned.",
        ),
        (new_topic("t", 1, 0), "Replication factor must be larger than 0, or -1 to use the default value."),
        (new_topic("t", 0, 1), "Number of partitions was set to an invalid non-positive value."),
        (new_topic("t", 10_001, 1), "Excessively large number of partitions per request."),
        (with_config("t", "nonsense", Some("1")), "Unknown topic config name: nonsense"),
        (with_config("t", "retention.ms", None), "Null value not supported for topic configs: retention.ms"),
        (
            NewTopic { replication_factor: 1, ..assigned("t", &[(0, &[1])]) },
            "A manual partition assignment was specified, but replication factor was not set to -1.",
        ),
        (
            NewTopic { partition_count: 1, ..assigned("t", &[(0, &[1])]) },
            "A manual partition assignment was specified, but numPartitions was not set to -1.",
        ),
        (assigned("t", &[(0, &[])]), "The manual partition assignment includes an empty replica list."),
        (
            assigned("t", &[(0, &[7])]),
            "The manual partition assignment includes broker 7, but no such broker is registered.",
        ),
        (
            assigned("t", &[(0, &[1, 1])]),
            "The manual partition assignment includes the broker 1 more than once.",
        ),
        (assigned("t", &[(1, &[1])]), "partitions should be a consecutive 0-based integer sequence"),
        (
            assigned("t", &[(0, &[1]), (0, &[1])]),
            "Found multiple manual partition assignments for partition 0",
        ),
    ];
    for (topic, why) in cases {
        let before = cluster.image.clone();
        let error = cluster.create(topic.clone()).unwrap_err();
        assert_eq!(error.to_string(), why, "{topic:?}");
        assert_eq!(cluster.image, before);
    }
}

#[test]
fn a_topic_takes_the_brokers_defaults() {
    let mut cluster = Cluster::with_brokers(&[(1, None)]);
    let created = cluster.create(with_config("t", "retention.ms", Some("5"))).unwrap();
    assert_eq!((created.partition_count, created.replication_factor), (2, 1));
    let topic = cluster.image.topic("t").unwrap();
    assert_eq!((topic.id, topic.partition_count()), (created.topic_id, 2));
    let partition = topic.partition(0).unwrap();
    assert_eq!((partition.leader, &partition.isr), (BrokerId(1), &brokers(&[1])));
    assert_eq!(partition.directory(BrokerId(1)), Some(DirectoryId(Uuid::from_u128(101))));
    assert_eq!(cluster.image.configs().get(ConfigResourceType::Topic, "t", "retention.ms"), Some("5"));
}

#[test]
fn one_refused_topic_does_not_hold_back_another() {
    let mut cluster = Cluster::with_brokers(&[(1, None)]);
    let names = ["a", "twice", "twice", "b c", "d"];
    let request = CreateTopics { topics: names.map(NewTopic::named).into(), validate_only: false };
    let answers = cluster.decide(|context| create_topics(&request, context));
    let good: Vec<bool> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(good, [true, false, false, false, true]);
    assert_eq!(answers[1], Err(TopicError::InvalidRequest("Duplicate topic name.".to_owned())));
    assert_eq!(cluster.image.topics().len(), 2);
}

#[test]
fn validate_only_changes_nothing() {
    let mut cluster = Cluster::with_brokers(&[(1, None)]);
    let before = cluster.image.clone();
    let request = CreateTopics { topics: vec![NewTopic::named("t")], validate_only: true };
    assert!(cluster.decide(|context| create_topics(&request, context))[0].is_ok());
    assert_eq!(cluster.image, before);
}

#[test]
fn nothing_is_placed_on_fenced_brokers_alone() {
    let mut cluster = Cluster::new();
    let epoch = cluster.register(1, None, true).unwrap();
    let error = cluster.create(new_topic("t", 1, 1)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Unable to replicate the partition 1 time(s): All brokers are currently fenced, or have all their log \
         directories cordoned."
    );
    cluster.decide(|context| unfence_broker(BrokerId(1), epoch, context)).unwrap();
    cluster.create(new_topic("t", 1, 1)).unwrap();
}

#[test]
fn replicas_are_spread_over_racks() {
    let racks =
        [(1, Some("a")), (2, Some("a")), (3, Some("b")), (4, Some("b")), (5, Some("c")), (6, Some("c"))];
    let mut cluster = Cluster::with_brokers(&racks);
    cluster.create(new_topic("t", 60, 3)).unwrap();
    let rack = |id: &BrokerId| cluster.image.brokers().get(*id).unwrap().rack.clone();
    let mut leaders = [0; 7];
    for (partition, registration) in cluster.image.topic("t").unwrap().partitions() {
        let racks: BTreeSet<_> = registration.replicas.iter().map(rack).collect();
        assert_eq!(racks.len(), 3, "partition {partition}: {:?}", registration.replicas);
        leaders[usize::try_from(registration.leader.get()).unwrap()] += 1;
    }
    assert!(leaders[1..].iter().all(|count| (5..=15).contains(count)), "{leaders:?}");
}

#[test]
fn topics_are_deleted_by_name_and_by_id() {
    let mut cluster = Cluster::with_brokers(&[(1, None)]);
    let a = cluster.create(NewTopic::named("a")).unwrap();
    let b = cluster.create(NewTopic::named("b")).unwrap();
    let c = cluster.create(NewTopic::named("c")).unwrap();
    let name = |name: &str| TopicRef::Name(name.to_owned());
    let unknown = TopicId(Uuid::from_u128(1));
    let topics = vec![
        name("a"),
        TopicRef::Id(b.topic_id),
        name("nope"),
        TopicRef::Id(unknown),
        name("c"),
        TopicRef::Id(c.topic_id),
        name("twice"),
        name("twice"),
    ];
    let request = DeleteTopics { topics };
    let answers = cluster.decide(|context| delete_topics(&request, context));
    let both = TopicError::NameAndId { name: "c".into(), topic_id: c.topic_id };
    assert_eq!(answers[0].as_ref().unwrap().topic_id, a.topic_id);
    assert_eq!(&*answers[1].as_ref().unwrap().name, "b");
    assert_eq!(answers[2], Err(TopicError::UnknownName));
    assert_eq!(answers[3], Err(TopicError::UnknownId(unknown)));
    assert_eq!(answers[4], Err(both.clone()));
    assert_eq!(answers[5], Err(both));
    assert_eq!(answers[6], Err(TopicError::InvalidRequest("Duplicate topic name.".to_owned())));
    let left: Vec<_> = cluster.image.topics().iter().map(|topic| topic.name.to_string()).collect();
    assert_eq!(left, ["c"]);
    let again = cluster.create(NewTopic::named("a")).unwrap();
    assert_ne!(again.topic_id, a.topic_id);
}

#[test]
fn partitions_only_grow() {
    let mut cluster = Cluster::with_brokers(&[(1, None), (2, None)]);
    cluster.create(new_topic("t", 2, 2)).unwrap();
    assert_eq!(cluster.add("nope", 3, None), Err(TopicError::UnknownName));
    let cases = [
        (2, None, "Topic already has 2 partition(s)."),
        (1, None, "The topic t currently has 2 partition(s); 1 would not be an increase."),
        (20_000, None, "Excessively large number of additional partitions per request."),
        (
            4,
            Some(vec![brokers(&[1, 2])]),
            "Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified.",
        ),
        (
            3,
            Some(vec![brokers(&[1])]),
            "The manual partition assignment includes a partition with 1 replica(s), but this is not consistent with \
             previous partitions, which have 2 replica(s).",
        ),
    ];
    for (count, assignments, why) in cases {
        assert_eq!(cluster.add("t", count, assignments).unwrap_err().to_string(), why);
    }
    cluster.add("t", 3, None).unwrap();
    cluster.add("t", 4, Some(vec![brokers(&[2, 1])])).unwrap();
    let topic = cluster.image.topic("t").unwrap();
    assert_eq!(topic.partition_count(), 4);
    assert_eq!(topic.partition(3).unwrap().leader, BrokerId(2));
}

#[test]
fn incremental_changes_follow_kip_339() {
    let mut cluster = Cluster::with_brokers(&[(1, None)]);
    cluster.create(NewTopic::named("t")).unwrap();
    let topic = || ConfigResource::topic("t");
    let value = |cluster: &Cluster, name: &str| {
        cluster.image.configs().get(ConfigResourceType::Topic, "t", name).map(str::to_owned)
    };
    cluster.alter(topic(), vec![op("retention.ms", AlterConfigOp::Set, Some("9"))]).unwrap();
    assert_eq!(value(&cluster, "retention.ms").as_deref(), Some("9"));
    cluster.alter(topic(), vec![op("cleanup.policy", AlterConfigOp::Append, Some("compact"))]).unwrap();
    assert_eq!(value(&cluster, "cleanup.policy").as_deref(), Some("delete,compact"));
    cluster.alter(topic(), vec![op("cleanup.policy", AlterConfigOp::Subtract, Some("delete"))]).unwrap();
    assert_eq!(value(&cluster, "cleanup.policy").as_deref(), Some("compact"));
    cluster.alter(topic(), vec![op("retention.ms", AlterConfigOp::Delete, None)]).unwrap();
    assert_eq!(value(&cluster, "retention.ms"), None);

    let set = |name: &str, value: &str| vec![op(name, AlterConfigOp::Set, Some(value))];
    let long = "x".repeat(32_768);
    let cases = [
        (
            topic(),
            vec![op("retention.ms", AlterConfigOp::Append, Some("1"))],
            "Can't APPEND to key retention.ms because its type is not LIST.",
        ),
        (topic(), set("nonsense", "1"), "Unknown topic config name: nonsense"),
        (
            topic(),
            set("follower.replication.throttled.replicas", &long),
            "The configuration value cannot be added because it exceeds the maximum value size of 32767 bytes.",
        ),
        (ConfigResource::topic("nope"), set("retention.ms", "1"), "The topic 'nope' does not exist."),
        (ConfigResource::topic(""), set("retention.ms", "1"), "Default topic resources are not allowed."),
        (
            ConfigResource::new(ConfigResourceType::Broker, "9"),
            set("message.max.bytes", "2000"),
            "No node with id 9 found.",
        ),
        (
            ConfigResource::new(ConfigResourceType::Group, ""),
            set("consumer.session.timeout.ms", "50000"),
            "Default group resources are not allowed.",
        ),
    ];
    for (resource, ops, why) in cases {
        let before = cluster.image.clone();
        assert_eq!(cluster.alter(resource, ops).unwrap_err().to_string(), why);
        assert_eq!(cluster.image, before);
    }
}

#[test]
fn the_older_alteration_replaces() {
    let mut cluster = Cluster::with_brokers(&[(1, None)]);
    cluster.create(with_config("t", "retention.ms", Some("9"))).unwrap();
    let resource = ConfigResource::topic("t");
    let configs = [("segment.bytes".to_owned(), "2000000".to_owned())].into();
    let replacement = ConfigAlteration { resource, change: ConfigChange::Replacement(configs) };
    let request = AlterConfigs { resources: vec![replacement], validate_only: false };
    cluster.decide(|context| alter_configs(&request, context)).remove(0).unwrap();
    let left = cluster.image.configs().topic("t").unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(left, ["segment.bytes"]);
}

#[test]
fn a_broker_leaves_and_comes_back() {
    let mut cluster = Cluster::with_brokers(&[(1, None), (2, None)]);
    cluster.create(assigned("shared", &[(0, &[1, 2])])).unwrap();
    cluster.create(assigned("alone", &[(0, &[1])])).unwrap();
    let epoch = cluster.image.brokers().get(BrokerId(1)).unwrap().epoch;
    cluster.decide(|context| fence_broker(BrokerId(1), epoch, context)).unwrap();
    let shared = cluster.image.partition("shared", 0).unwrap();
    assert_eq!((shared.leader, &shared.isr), (BrokerId(2), &brokers(&[2])));
    let alone = cluster.image.partition("alone", 0).unwrap();
    assert_eq!((alone.leader, &alone.isr, &alone.elr), (BrokerId::NONE, &brokers(&[]), &brokers(&[1])));

    let stale = cluster.decide(|context| unfence_broker(BrokerId(1), epoch - 1, context));
    assert_eq!(stale, Err(BrokerError::StaleEpoch { current: epoch, given: epoch - 1 }));
    let next = cluster.register(1, None, false).unwrap();
    assert!(next > epoch);
    let alone = cluster.image.partition("alone", 0).unwrap();
    assert_eq!((alone.leader, &alone.isr, &alone.elr), (BrokerId(1), &brokers(&[1]), &brokers(&[])));
    assert_eq!(cluster.image.partition("shared", 0).unwrap().leader, BrokerId(2));
}

#[test]
fn a_restarted_broker_leads_in_a_new_epoch() {
    let mut cluster = Cluster::with_brokers(&[(1, None), (2, None)]);
    cluster.create(assigned("own", &[(0, &[1])])).unwrap();
    cluster.create(assigned("others", &[(0, &[2])])).unwrap();
    let epochs = |cluster: &Cluster| {
        ["own", "others"].map(|topic| cluster.image.partition(topic, 0).unwrap().leader_epoch.get())
    };
    assert_eq!(epochs(&cluster), [0, 0]);
    cluster.register(1, None, false).unwrap();
    assert_eq!(epochs(&cluster), [1, 0]);
    let own = cluster.image.partition("own", 0).unwrap();
    assert_eq!((own.leader, &own.isr), (BrokerId(1), &brokers(&[1])));
}

#[test]
fn a_broker_must_support_what_is_finalized() {
    let mut cluster = Cluster::new();
    let mut request = registration(1, None, false, Uuid::from_u128(9));
    request.features.retain(|feature| feature.name != "metadata.version");
    let answer = cluster.decide(|context| register_broker(&request, |_| false, context));
    assert!(matches!(answer, Err(BrokerError::UnsupportedFeature { level: 33, .. })), "{answer:?}");
}

#[test]
fn a_replica_in_a_log_dir_that_does_not_work_leads_nothing_until_the_dir_is_back() {
    let (first, second) = (DirectoryId(Uuid::from_u128(201)), DirectoryId(Uuid::from_u128(202)));
    let mut cluster = Cluster::new();
    let register = |cluster: &mut Cluster, log_dirs: &[DirectoryId]| {
        let incarnation = cluster.random.uuid();
        let request = BrokerRegistrationRequest {
            log_dirs: log_dirs.to_vec(),
            ..registration(1, None, false, incarnation)
        };
        cluster.decide(|context| register_broker(&request, |_| false, context)).unwrap()
    };
    let broker_epoch = register(&mut cluster, &[first, second]);
    let topic_id = cluster.create(new_topic("t", 2, 1)).unwrap().topic_id;
    let partition =
        |cluster: &Cluster, index| cluster.image.topic("t").unwrap().partition(index).unwrap().clone();
    assert_eq!(partition(&cluster, 0).directories, [DirectoryId::UNASSIGNED], "the broker chooses");
    let id = |partition| TopicIdPartition { topic_id, partition };
    let directories = vec![(id(0), first), (id(1), second), (id(7), first)];
    let request = ReplicaDirectories { broker_id: BrokerId(1), broker_epoch, directories };
    let answers = cluster.decide(|context| assign_replicas_to_dirs(&request, context)).unwrap();
    assert_eq!(answers, [Ok(()), Ok(()), Err(DirectoryError::UnknownPartition)]);
    assert_eq!(partition(&cluster, 1).directories, [second]);
    let offset = cluster.image.provenance().offset;
    cluster.decide(|context| assign_replicas_to_dirs(&request, context)).unwrap();
    assert_eq!(cluster.image.provenance().offset, offset, "nothing new");
    let leaders = |cluster: &Cluster| [0, 1].map(|index| partition(cluster, index).leader.get());

    cluster.decide(|context| set_online_log_dirs(BrokerId(1), broker_epoch, &[first], context)).unwrap();
    assert_eq!(leaders(&cluster), [1, -1]);
    let offline = partition(&cluster, 1);
    assert_eq!((&offline.isr[..], &offline.elr[..]), (&[][..], &[BrokerId(1)][..]));
    register(&mut cluster, &[first, second]);
    assert_eq!(leaders(&cluster), [1, 1]);
    register(&mut cluster, &[second]);
    assert_eq!(leaders(&cluster), [-1, 1]);
    register(&mut cluster, &[first, second]);
    assert_eq!(leaders(&cluster), [1, 1]);
    let stale = cluster.decide(|context| assign_replicas_to_dirs(&request, context));
    assert!(matches!(stale, Err(BrokerError::StaleEpoch { .. })), "{stale:?}");
}

#[test]
fn a_broker_with_all_its_log_dirs_cordoned_takes_no_replicas() {
    let mut cluster = Cluster::with_brokers(&[(1, None)]);
    let cordon = op("cordoned.log.dirs", AlterConfigOp::Set, Some("*"));
    cluster.alter(ConfigResource::new(ConfigResourceType::Broker, "1"), vec![cordon]).unwrap();
    let error = cluster.create(new_topic("t", 1, 1)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Unable to replicate the partition 1 time(s): All brokers are currently fenced, or have all their log \
         directories cordoned."
    );
}

#[test]
fn producer_id_blocks_never_overlap() {
    let mut cluster = Cluster::with_brokers(&[(1, None)]);
    let epoch = cluster.image.brokers().get(BrokerId(1)).unwrap().epoch;
    for n in 0..5 {
        let block = cluster.decide(|context| allocate_producer_ids(BrokerId(1), epoch, context)).unwrap();
        assert_eq!(block.ids, n * 1_000..(n + 1) * 1_000);
    }
    let other = cluster.decide(|context| allocate_producer_ids(BrokerId(2), 0, context));
    assert_eq!(other, Err(BrokerError::NotRegistered(BrokerId(2))));
}

#[derive(Clone, Debug)]
enum Step {
    Register(i32, bool),
    Fence(i32),
    Unfence(i32),
    Create(u8, i32, i16, bool),
    Delete(u8),
    Grow(u8, i32),
    Alter(u8, u8, bool),
    Ids(i32),
    Elect(ElectionType, u8),
    Reassign(u8, Option<Vec<i32>>),
    Unregister(i32),
}

fn any_step() -> impl Strategy<Value = Step> {
    let (broker, topic) = (1_i32..5, 0_u8..6);
    prop_oneof![
        (broker.clone(), any::<bool>()).prop_map(|(id, fenced)| Step::Register(id, fenced)),
        broker.clone().prop_map(Step::Fence),
        broker.clone().prop_map(Step::Unfence),
        (topic.clone(), -1_i32..5, -1_i16..4, any::<bool>())
            .prop_map(|(t, n, rf, only)| Step::Create(t, n, rf, only)),
        topic.clone().prop_map(Step::Delete),
        (topic.clone(), 0_i32..8).prop_map(|(t, n)| Step::Grow(t, n)),
        (topic.clone(), 0_u8..3, any::<bool>()).prop_map(|(t, c, delete)| Step::Alter(t, c, delete)),
        broker.clone().prop_map(Step::Ids),
        (any::<bool>(), topic.clone()).prop_map(|(unclean, t)| {
            Step::Elect(if unclean { ElectionType::Unclean } else { ElectionType::Preferred }, t)
        }),
        (topic, proptest::option::of(proptest::collection::vec(1_i32..5, 1..4)))
            .prop_map(|(t, to)| Step::Reassign(t, to)),
        broker.prop_map(Step::Unregister),
    ]
}

/// Runs a step; whatever it answers, its records must replay.
fn run(cluster: &mut Cluster, step: &Step) {
    let epoch = |cluster: &Cluster, id: i32| cluster.image.brokers().get(BrokerId(id)).map_or(0, |b| b.epoch);
    match step {
        Step::Register(id, fenced) => drop(cluster.register(*id, None, *fenced)),
        Step::Fence(id) => {
            let epoch = epoch(cluster, *id);
            drop(cluster.decide(|context| fence_broker(BrokerId(*id), epoch, context)));
        }
        Step::Unfence(id) => {
            let epoch = epoch(cluster, *id);
            drop(cluster.decide(|context| unfence_broker(BrokerId(*id), epoch, context)));
        }
        Step::Create(t, partitions, replication_factor, validate_only) => {
            let topics = vec![new_topic(&format!("t{t}"), *partitions, *replication_factor)];
            let request = CreateTopics { topics, validate_only: *validate_only };
            drop(cluster.decide(|context| create_topics(&request, context)));
        }
        Step::Delete(t) => {
            let request = DeleteTopics { topics: vec![TopicRef::Name(format!("t{t}"))] };
            drop(cluster.decide(|context| delete_topics(&request, context)));
        }
        Step::Grow(t, count) => drop(cluster.add(&format!("t{t}"), *count, None)),
        Step::Alter(t, which, delete) => {
            let (name, value) = [("retention.ms", "1"), ("segment.bytes", "x"), ("max.message.bytes", "5")]
                [usize::from(*which)];
            let op = if *delete {
                op(name, AlterConfigOp::Delete, None)
            } else {
                op(name, AlterConfigOp::Set, Some(value))
            };
            drop(cluster.alter(ConfigResource::topic(format!("t{t}")), vec![op]));
        }
        Step::Ids(id) => {
            let epoch = epoch(cluster, *id);
            drop(cluster.decide(|context| allocate_producer_ids(BrokerId(*id), epoch, context)));
        }
        Step::Elect(kind, t) => drop(cluster.elect(*kind, &format!("t{t}"), 0)),
        Step::Reassign(t, to) => drop(cluster.reassign(&format!("t{t}"), to.as_deref())),
        Step::Unregister(id) => drop(cluster.decide(|context| unregister_broker(BrokerId(*id), context))),
    }
}

/// What must hold of every image that decisions make.
fn check(image: &MetadataImage) {
    for topic in image.topics().iter() {
        let indexes: Vec<i32> = topic.partitions().map(|(index, _)| index).collect();
        let count = i32::try_from(topic.partition_count()).unwrap();
        assert!(count > 0 && indexes == (0..count).collect::<Vec<_>>(), "{}: {indexes:?}", topic.name);
        for (index, partition) in topic.partitions() {
            let replicas: BTreeSet<_> = partition.replicas.iter().collect();
            let place = format!("{}-{index}: {partition:?}", topic.name);
            assert_eq!(replicas.len(), partition.replicas.len(), "{place}");
            assert_eq!(partition.directories.len(), partition.replicas.len(), "{place}");
            // Whoever was in sync last is in the ISR, or stays eligible (KIP-966).
            // One that may have lost what it had is remembered as the last that led, if it did.
            let last_known = !partition.last_known_elr.is_empty();
            assert!(!partition.isr.is_empty() || !partition.elr.is_empty() || last_known, "{place}");
            for ids in
                [&partition.isr, &partition.elr, &partition.adding_replicas, &partition.removing_replicas]
            {
                assert!(ids.iter().all(|id| replicas.contains(id)), "{place}");
            }
            assert!(partition.isr.iter().all(|id| !partition.elr.contains(id)), "{place}");
            if partition.has_leader() {
                assert!(partition.isr.contains(&partition.leader), "{place}");
                assert!(!image.brokers().get(partition.leader).unwrap().fenced, "{place}");
            }
        }
    }
    for (name, overrides) in image.configs().resources(ConfigResourceType::Topic) {
        assert!(image.topic(name).is_some() && !overrides.is_empty(), "configs of {name}");
    }
}

proptest! {
    #[test]
    fn every_image_is_sound(steps in proptest::collection::vec(any_step(), 1..60)) {
        let mut cluster = Cluster::new();
        for step in &steps {
            run(&mut cluster, step);
            check(&cluster.image);
        }
    }
}
