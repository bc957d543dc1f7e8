//! What a cluster of one answers to administrators of clusters.

use ottla_client::Client;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use ottla_protocol::messages::create_acls_request::AclCreation;
use ottla_protocol::messages::delete_acls_request::DeleteAclsFilter;
use ottla_protocol::messages::describe_quorum_request::{PartitionData, TopicData};
use ottla_protocol::messages::elect_leaders_request::TopicPartitions;
use ottla_protocol::messages::update_features_request::FeatureUpdateKey;
use ottla_protocol::messages::{
    AlterPartitionReassignmentsRequest, ApiVersionsRequest, ConsumerGroupHeartbeatRequest, CreateAclsRequest,
    DeleteAclsRequest, DescribeAclsRequest, DescribeClusterRequest, DescribeQuorumRequest,
    ElectLeadersRequest, FetchRequest, ListConfigResourcesRequest, ListPartitionReassignmentsRequest,
    StrBytes, UnregisterBrokerRequest, UpdateFeaturesRequest,
};

use crate::support::{Broker, batch, topic_name};

fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_authorizer_there_are_no_acls() {
    let broker = Broker::start().await;
    let client = broker.client().await;
    let any = DescribeAclsRequest::default()
        .with_resource_type_filter(1)
        .with_pattern_type_filter(1)
        .with_operation(1)
        .with_permission_type(1);
    let create = AclCreation::default()
        .with_resource_type(2)
        .with_resource_name(text("t"))
        .with_resource_pattern_type(3)
        .with_operation(3)
        .with_permission_type(3);
    let delete = DeleteAclsFilter::default()
        .with_resource_type_filter(1)
        .with_pattern_type_filter(1)
        .with_operation(1)
        .with_permission_type(1);
    for version in 1..=3 {
        let described = client.connection().call(&any, version).await.unwrap();
        assert_eq!(described.error_code, ErrorCode::SecurityDisabled.code());
        assert_eq!(described.error_message.as_deref(), Some("No Authorizer is configured on the broker"));
        let request = CreateAclsRequest::default().with_creations(vec![create.clone(); 2]);
        let created = client.connection().call(&request, version).await.unwrap();
        let refused = created.results.iter().filter(|result| {
            result.error_code == 54 && result.error_message.as_deref() == Some("No Authorizer is configured.")
        });
        assert_eq!((refused.count(), created.results.len()), (2, 2));
        let request = DeleteAclsRequest::default().with_filters(vec![delete.clone()]);
        let deleted = client.connection().call(&request, version).await.unwrap();
        assert_eq!(deleted.filter_results[0].error_code, 54);
    }
    // An element of type UNKNOWN: Kafka ends the connection.
    let unknown = any.with_operation(0);
    assert!(client.connection().call(&unknown, 3).await.is_err());
}

async fn elect(
    client: &Client,
    version: i16,
    timeout_ms: i32,
    kind: i8,
) -> (i16, Vec<(i16, Option<String>)>) {
    let topics = vec![
        TopicPartitions::default().with_topic(topic_name("t")).with_partitions(vec![0, 9]),
        TopicPartitions::default().with_topic(topic_name("nope")).with_partitions(vec![0]),
    ];
    let request = ElectLeadersRequest::default()
        .with_election_type(kind)
        .with_timeout_ms(timeout_ms)
        .with_topic_partitions(Some(topics));
    let answer = client.connection().call(&request, version).await.unwrap();
    let results = answer.replica_election_results.iter().flat_map(|topic| &topic.partition_result);
    let results =
        results.map(|result| (result.error_code, result.error_message.as_ref().map(ToString::to_string)));
    (answer.error_code, results.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn elections_are_answered_partition_by_partition() {
    let broker = Broker::start().await;
    broker.create("t", &[]).await;
    let client = broker.client().await;
    let expected = [
        (84, Some("Leader election not needed for topic partition.".to_owned())),
        (3, Some("No such partition as t-9".to_owned())),
        (3, Some("No such topic as nope".to_owned())),
    ];
    for (version, kind) in [(0, 0), (1, 1), (2, 0), (2, 1)] {
        assert_eq!(elect(&client, version, 5_000, kind).await, (0, expected.to_vec()), "v{version}");
    }
    let late = ErrorCode::RequestTimedOut.code();
    assert_eq!(elect(&client, 0, 0, 0).await, (0, vec![(late, None); 3]));
    assert_eq!(elect(&client, 2, -1, 0).await, (late, vec![(late, None); 3]));
    let unknown = (42, Some("Unknown election type 7".to_owned()));
    assert_eq!(elect(&client, 2, 5_000, 7).await, (42, vec![unknown; 3]));
    let all = ElectLeadersRequest::default().with_topic_partitions(None).with_timeout_ms(5_000);
    let all = client.connection().call(&all, 2).await.unwrap().replica_election_results;
    assert_eq!(all.len(), 1);
    assert!(all[0].partition_result.is_empty(), "who leads already is not listed: {all:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_moves_on_one_broker() {
    let broker = Broker::start().await;
    broker.create("t", &[]).await;
    let client = broker.client().await;
    let partition = |index: i32, replicas: Option<Vec<i32>>| {
        let replicas = replicas.map(|ids| ids.into_iter().map(Into::into).collect());
        ReassignablePartition::default().with_partition_index(index).with_replicas(replicas)
    };
    let partitions = vec![
        partition(0, Some(vec![1])),
        partition(0, None),
        partition(0, Some(vec![])),
        partition(0, Some(vec![9])),
        partition(5, None),
    ];
    let topic = ReassignableTopic::default().with_name(topic_name("t")).with_partitions(partitions);
    let request = AlterPartitionReassignmentsRequest::default()
        .with_timeout_ms(5_000)
        .with_allow_replication_factor_change(false)
        .with_topics(vec![topic]);
    let answer = client.connection().call(&request, 1).await.unwrap();
    assert!(!answer.allow_replication_factor_change && answer.error_code == 0);
    let codes: Vec<i16> = answer.responses[0].partitions.iter().map(|found| found.error_code).collect();
    assert_eq!(codes, [0, 85, 39, 39, 3]);
    assert_eq!(answer.responses[0].partitions[1].error_message, None);
    let late = client.connection().call(&request.with_timeout_ms(0), 1).await.unwrap();
    assert_eq!((late.error_code, late.responses[0].partitions[0].error_code), (7, 7));
    let list = ListPartitionReassignmentsRequest::default().with_topics(None);
    assert!(client.connection().call(&list, 0).await.unwrap().topics.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_quorum_is_this_broker() {
    let broker = Broker::start().await;
    let client = broker.client().await;
    let ask = |topic: &'static str, partitions: &[i32]| {
        let partitions = partitions.iter().map(|index| PartitionData::default().with_partition_index(*index));
        let topic =
            TopicData::default().with_topic_name(topic_name(topic)).with_partitions(partitions.collect());
        DescribeQuorumRequest::default().with_topics(vec![topic])
    };
    let quorum = client.connection().call(&ask("__cluster_metadata", &[0]), 2).await.unwrap();
    let partition = &quorum.topics[0].partitions[0];
    assert_eq!((quorum.error_code, partition.error_code, partition.leader_id.0), (0, 0, 1));
    assert!(partition.leader_epoch > 0 && partition.high_watermark > 0, "{partition:?}");
    let [voter] = partition.current_voters.as_slice() else { panic!("{partition:?}") };
    assert_eq!((voter.replica_id.0, voter.log_end_offset), (1, partition.high_watermark));
    assert!(voter.last_caught_up_timestamp > 0 && partition.observers.is_empty());
    assert_eq!(quorum.nodes[0].node_id.0, 1);
    for (topic, partitions) in
        [("__cluster_metadata", &[1][..]), ("__cluster_metadata", &[0, 1]), ("t", &[0])]
    {
        let answer = client.connection().call(&ask(topic, partitions), 2).await.unwrap();
        let codes = answer.topics[0].partitions.iter().map(|partition| partition.error_code);
        assert!(codes.eq(partitions.iter().map(|_| 3)), "{topic} {partitions:?}");
    }
}

async fn update_feature(client: &Client, level: i16, upgrade_type: i8) -> (i16, String) {
    let update = FeatureUpdateKey::default()
        .with_feature(text("group.version"))
        .with_max_version_level(level)
        .with_upgrade_type(upgrade_type);
    let request = UpdateFeaturesRequest::default().with_feature_updates(vec![update]);
    let answer = client.connection().call(&request, 2).await.unwrap();
    (answer.error_code, answer.error_message.map(|message| message.to_string()).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_feature_there_are_no_consumer_groups() {
    let broker = Broker::start().await;
    let client = broker.client().await;
    let (code, why) = update_feature(&client, 0, 1).await;
    assert_eq!(code, ErrorCode::InvalidUpdateVersion.code());
    assert_eq!(
        why,
        "The update failed for all features since the following feature had an error: Invalid update version 0 for \
         feature group.version. Can't downgrade the version of this feature without setting the upgrade type to \
         either safe or unsafe downgrade."
    );
    let features = async || {
        let request = ApiVersionsRequest {
            client_software_name: text("t"),
            client_software_version: text("1"),
            ..ApiVersionsRequest::default()
        };
        let found = client.connection().call(&request, 4).await.unwrap();
        let levels = found.finalized_features.iter();
        let levels: Vec<(String, i16)> =
            levels.map(|found| (found.name.to_string(), found.max_version_level)).collect();
        (found.finalized_features_epoch, levels)
    };
    let (epoch, levels) = features().await;
    let names: Vec<&str> = levels.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["eligible.leader.replicas.version", "group.version", "metadata.version"]);
    assert_eq!(update_feature(&client, 0, 2).await.0, 0);
    let (later, levels) = features().await;
    assert!(later > epoch && levels.iter().all(|(name, _)| name != "group.version"), "{levels:?}");
    let heartbeat = ConsumerGroupHeartbeatRequest::default()
        .with_group_id(ottla_protocol::messages::GroupId(text("g")))
        .with_member_id(text("AAAAAAAAAAAAAAAAAAAAAA"));
    let answer = client.connection().call(&heartbeat, 1).await.unwrap();
    assert_eq!(answer.error_code, ErrorCode::UnsupportedVersion.code());
    assert_eq!(update_feature(&client, 1, 1).await.0, 0);
    let answer = client.connection().call(&heartbeat, 1).await.unwrap();
    assert_ne!(answer.error_code, ErrorCode::UnsupportedVersion.code());
}

#[tokio::test(flavor = "multi_thread")]
async fn config_resources_are_listed_by_type() {
    let broker = Broker::start().await;
    broker.create("t", &[]).await;
    let client = broker.client().await;
    let list = async |version: i16, types: &[i8]| {
        let request = ListConfigResourcesRequest::default().with_resource_types(types.to_vec());
        let answer = client.connection().call(&request, version).await.unwrap();
        let resources = answer.config_resources.iter();
        let found: Vec<(i8, String)> =
            resources.map(|found| (found.resource_type, found.resource_name.to_string())).collect();
        (answer.error_code, found)
    };
    let here = |kind: i8, name: &str| (kind, name.to_owned());
    assert_eq!(list(1, &[]).await, (0, vec![here(8, "1"), here(4, "1"), here(2, "t")]));
    assert_eq!(list(1, &[2, 2]).await, (0, vec![here(2, "t")]));
    assert_eq!(list(0, &[]).await, (0, vec![]));
    for unknown in [0, 1, 64, -1] {
        assert_eq!(list(1, &[2, unknown]).await, (ErrorCode::UnsupportedVersion.code(), vec![]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_an_older_epoch_is_told_who_leads_now() {
    let broker = Broker::start().await;
    let topic_id = broker.create("t", &[]).await;
    let client = broker.client().await;
    client.produce("t", 0, batch(&["a"]), -1).await.unwrap();
    let forget = async |id: i32| {
        let request = UnregisterBrokerRequest::default().with_broker_id(id.into());
        let answer = client.connection().call(&request, 0).await.unwrap();
        (answer.error_code, answer.error_message.map(|message| message.to_string()))
    };
    let unknown = Some("Broker ID 9 is not currently registered".to_owned());
    assert_eq!(forget(9).await, (ErrorCode::BrokerIdNotRegistered.code(), unknown));
    // Whoever is forgotten leads nothing, until it starts again; each change is a new epoch.
    assert_eq!(forget(1).await, (0, None));
    let broker = broker.restart().await;
    let client = broker.client().await;
    let fetch = |version: i16, replica: i32, epoch: i32| {
        use ottla_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ReplicaState};
        let partition = FetchPartition {
            partition: 0,
            current_leader_epoch: epoch,
            partition_max_bytes: 1_000,
            ..FetchPartition::default()
        };
        let topic = FetchTopic { topic_id, partitions: vec![partition], ..FetchTopic::default() };
        let replica_state = ReplicaState { replica_id: replica.into(), ..ReplicaState::default() };
        let request = FetchRequest {
            max_bytes: 1_000,
            session_epoch: -1,
            replica_state,
            topics: vec![topic],
            ..FetchRequest::default()
        };
        (request, version)
    };
    let (request, version) = fetch(16, -1, 0);
    let answer = client.connection().call(&request, version).await.unwrap();
    let partition = &answer.responses[0].partitions[0];
    assert_eq!(partition.error_code, ErrorCode::FencedLeaderEpoch.code());
    assert_eq!((partition.current_leader.leader_id.0, partition.current_leader.leader_epoch), (1, 2));
    assert_eq!(answer.node_endpoints[0].node_id.0, 1);
    assert_eq!(format!("127.0.0.1:{}", answer.node_endpoints[0].port), broker.address());
    // A follower that is none is told who leads, and not where; the verification tool reads.
    let (request, version) = fetch(17, 5, -1);
    let answer = client.connection().call(&request, version).await.unwrap();
    let partition = &answer.responses[0].partitions[0];
    assert_eq!(partition.error_code, ErrorCode::NotLeaderOrFollower.code());
    assert_eq!((partition.current_leader.leader_id.0, answer.node_endpoints.len()), (1, 0));
    let (request, version) = fetch(18, -2, -1);
    let answer = client.connection().call(&request, version).await.unwrap();
    let partition = &answer.responses[0].partitions[0];
    assert_eq!((partition.error_code, partition.high_watermark), (0, 1));
    assert!(partition.records.as_ref().is_some_and(|records| !records.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_looks_for_another_cluster_starts_over() {
    let broker = Broker::start().await;
    let client = broker.client().await;
    let cluster_id = client
        .connection()
        .call(&DescribeClusterRequest::default().with_endpoint_type(1), 2)
        .await
        .unwrap()
        .cluster_id
        .to_string();
    let ask = async |cluster_id: Option<&str>, node_id: i32| {
        let request = ApiVersionsRequest {
            client_software_name: text("t"),
            client_software_version: text("1"),
            cluster_id: cluster_id.map(|id| StrBytes::from_string(id.to_owned())),
            node_id,
        };
        let answer = client.connection().call(&request, 5).await.unwrap();
        assert_eq!(answer.api_keys.is_empty(), answer.error_code != 0);
        answer.error_code
    };
    assert_eq!(ask(None, -1).await, 0);
    assert_eq!(ask(Some(&cluster_id), 1).await, 0);
    for (cluster_id, node_id, code) in [
        (Some(cluster_id.as_str()), -1, 42),
        (None, 1, 42),
        (Some("other"), 1, 129),
        (Some(cluster_id.as_str()), 2, 129),
        (Some(cluster_id.as_str()), -2, 129),
        (Some(""), 1, 129),
    ] {
        assert_eq!(ask(cluster_id, node_id).await, code, "{cluster_id:?} {node_id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_known_has_no_quotas_credentials_or_tokens() {
    use ottla_protocol::messages::describe_user_scram_credentials_request::UserName;
    use ottla_protocol::messages::{
        CreateDelegationTokenRequest, DescribeClientQuotasRequest, DescribeDelegationTokenRequest,
        DescribeUserScramCredentialsRequest, ExpireDelegationTokenRequest, RenewDelegationTokenRequest,
    };
    let broker = Broker::start().await;
    let client = broker.client().await;
    let quotas = client.connection().call(&DescribeClientQuotasRequest::default(), 1).await.unwrap();
    assert_eq!((quotas.error_code, quotas.entries), (0, Some(Vec::new())));
    let users = ["b", "a", "b"].map(|name| UserName::default().with_name(text(name))).to_vec();
    let request = DescribeUserScramCredentialsRequest::default().with_users(Some(users));
    let described = client.connection().call(&request, 0).await.unwrap();
    let codes: Vec<(String, i16)> =
        described.results.iter().map(|found| (found.user.to_string(), found.error_code)).collect();
    let (unknown, twice) = (ErrorCode::ResourceNotFound.code(), ErrorCode::DuplicateResource.code());
    assert_eq!(codes, [("a".to_owned(), unknown), ("b".to_owned(), twice)]);
    let refused = ErrorCode::DelegationTokenRequestNotAllowed.code();
    for version in 1..=3 {
        let created =
            client.connection().call(&CreateDelegationTokenRequest::default(), version).await.unwrap();
        assert_eq!((created.error_code, created.principal_name.as_str()), (refused, "ANONYMOUS"));
        let described =
            client.connection().call(&DescribeDelegationTokenRequest::default(), version).await.unwrap();
        assert_eq!(described.error_code, refused);
    }
    for version in 1..=2 {
        let renewed =
            client.connection().call(&RenewDelegationTokenRequest::default(), version).await.unwrap();
        let expired =
            client.connection().call(&ExpireDelegationTokenRequest::default(), version).await.unwrap();
        assert_eq!((renewed.error_code, expired.error_code), (refused, refused));
    }
}
