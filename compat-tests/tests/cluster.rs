//! Three real processes as one cluster.

#[path = "cluster/controllers.rs"]
mod controllers;
#[path = "cluster/emptied.rs"]
mod emptied;
#[path = "cluster/named.rs"]
mod named;
#[path = "cluster/voters.rs"]
mod voters;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use ottla_client::{Client, ConnectionConfig};
use ottla_compat_tests::{Cluster, FoundBy, Role};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::create_topics_request::CreatableTopic;
use ottla_protocol::messages::{
    CreateTopicsRequest, DescribeQuorumRequest, DescribeQuorumResponse, MetadataRequest, MetadataResponse,
    StrBytes, TopicName, describe_quorum_request, describe_quorum_response,
};

/// What a busy machine may take; figures are printed.
const PATIENCE: Duration = Duration::from_secs(30);

async fn client(address: &str) -> Result<Client, ottla_client::ClientError> {
    let config = ConnectionConfig { timeout: Duration::from_secs(20), ..ConnectionConfig::default() };
    Client::connect(address, config).await
}

async fn create(address: &str, name: &str, replicas: i16) -> Result<ErrorCode, ottla_client::ClientError> {
    let topic = CreatableTopic::default()
        .with_name(TopicName(StrBytes::from_string(name.to_owned())))
        .with_num_partitions(3)
        .with_replication_factor(replicas);
    let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(20_000);
    let answer = client(address).await?.call(&request).await?;
    Ok(ErrorCode::from_code(answer.topics[0].error_code).expect("a code of Kafka's"))
}

async fn metadata(address: &str) -> Result<MetadataResponse, ottla_client::ClientError> {
    client(address).await?.call(&MetadataRequest::default().with_topics(None)).await
}

fn topics(metadata: &MetadataResponse) -> BTreeSet<String> {
    metadata.topics.iter().filter_map(|topic| Some(topic.name.as_ref()?.to_string())).collect()
}

/// The quorum as DescribeQuorum tells.
async fn described(address: &str) -> describe_quorum_response::PartitionData {
    quorum_answer(address).await.topics[0].partitions[0].clone()
}

async fn quorum_answer(address: &str) -> DescribeQuorumResponse {
    let partition = describe_quorum_request::PartitionData::default().with_partition_index(0);
    let topic = describe_quorum_request::TopicData::default()
        .with_topic_name(TopicName(StrBytes::from_static_str("__cluster_metadata")))
        .with_partitions(vec![partition]);
    let request = DescribeQuorumRequest::default().with_topics(vec![topic]);
    client(address).await.expect("connects").call(&request).await.expect("answers")
}

/// The leader of the quorum, its epoch and its voters.
async fn quorum(address: &str) -> (i32, i32, Vec<i32>) {
    let partition = described(address).await;
    let voters = partition.current_voters.iter().map(|voter| voter.replica_id.0).collect();
    (partition.leader_id.0, partition.leader_epoch, voters)
}

/// Waits until every node at `addresses` shows these topics and these brokers.
async fn agree(addresses: &[String], names: &BTreeSet<String>, brokers: &[i32]) {
    for address in addresses {
        let began = Instant::now();
        loop {
            let seen = metadata(address).await.expect("answers");
            let mut there: Vec<i32> = seen.brokers.iter().map(|broker| broker.node_id.0).collect();
            there.sort_unstable();
            if topics(&seen) == *names && there == brokers {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "{address}: {there:?} {:?}", topics(&seen));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test]
async fn three_nodes_are_one_cluster_and_outlive_their_controller() {
    let mut cluster = Cluster::start_with::<3>(&[("broker.session.timeout.ms", "1500")]);
    let addresses = cluster.addresses();
    let mut names = BTreeSet::new();
    for (i, address) in addresses.iter().enumerate() {
        let name = format!("by-{i}");
        assert_eq!(create(address, &name, 3).await.expect("is answered"), ErrorCode::None);
        names.insert(name);
    }
    agree(&addresses, &names, &[1, 2, 3]).await;
    let (leader, epoch, mut voters) = quorum(&addresses[0]).await;
    voters.sort_unstable();
    assert_eq!(voters, [1, 2, 3]);
    for address in &addresses {
        assert_eq!(quorum(address).await.0, leader, "all tell the same");
    }

    let leader = usize::try_from(leader).expect("a node");
    cluster.kill(leader);
    let others: Vec<String> =
        (1..=3).filter(|id| *id != leader).map(|id| cluster.node(id).address()).collect();
    let killed = Instant::now();
    assert_eq!(create(&others[0], "after", 2).await.expect("is answered"), ErrorCode::None);
    println!("first admin answer {} ms after kill -9 of the active controller", killed.elapsed().as_millis());
    names.insert("after".to_owned());
    let next = quorum(&others[1]).await;
    assert!(next.0 != i32::try_from(leader).expect("small") && next.1 > epoch, "{next:?}");
    // It is fenced once its session is over.
    let gone = i32::try_from(leader).expect("small");
    let rest: Vec<i32> = [1, 2, 3].into_iter().filter(|id| *id != gone).collect();
    agree(&others, &names, &rest).await;

    cluster.restart(leader);
    agree(&addresses, &names, &[1, 2, 3]).await;
    assert_eq!(
        create(&addresses[leader - 1], "by-the-old-one", 3).await.expect("is answered"),
        ErrorCode::None
    );
    names.insert("by-the-old-one".to_owned());
    agree(&addresses, &names, &[1, 2, 3]).await;
    for id in 1..=3 {
        let (status, took) = cluster.node_mut(id).terminate(PATIENCE);
        assert!(status.success(), "node {id}: {status} after {took:?}");
    }
}

/// From the answer to CreateTopics until every node shows the topic, over some topics: the shortest, the median, the longest.
async fn spread(addresses: &[String], topics: usize) -> [Duration; 3] {
    let mut took = Vec::new();
    let mut clients = Vec::new();
    for address in addresses {
        clients.push(client(address).await.expect("connects"));
    }
    for n in 0..topics {
        let name = format!("spread-{n}");
        assert_eq!(create(&addresses[0], &name, 1).await.expect("is answered"), ErrorCode::None);
        let answered = Instant::now();
        for client in &mut clients {
            while !topics_of(client).await.contains(&name) {
                assert!(answered.elapsed() < PATIENCE, "{name} is not shown");
            }
        }
        took.push(answered.elapsed());
    }
    took.sort_unstable();
    [took[0], took[took.len() / 2], took[took.len() - 1]]
}

async fn topics_of(client: &mut Client) -> BTreeSet<String> {
    topics(&client.call(&MetadataRequest::default().with_topics(None)).await.expect("answers"))
}

/// What `--replication` of kafka-metadata-quorum is made of: voters and observers, with their log end offsets and times.
async fn replicas(
    address: &str,
) -> (Vec<describe_quorum_response::ReplicaState>, Vec<describe_quorum_response::ReplicaState>) {
    let partition = described(address).await;
    (partition.current_voters, partition.observers)
}

fn ids(states: &[describe_quorum_response::ReplicaState]) -> Vec<i32> {
    let mut ids: Vec<i32> = states.iter().map(|state| state.replica_id.0).collect();
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn roles_apart_brokers_watch_controllers_that_serve_no_clients() {
    let roles = [Role::Controller, Role::Controller, Role::Controller, Role::Broker, Role::Broker];
    let mut cluster = Cluster::start_as(&roles, FoundBy::Voters, &[]);
    let brokers = [cluster.node(4).address(), cluster.node(5).address()];
    assert_eq!(create(&brokers[0], "first", 2).await.expect("is answered"), ErrorCode::None);
    let mut names = BTreeSet::from(["first".to_owned()]);
    agree(&brokers, &names, &[4, 5]).await;
    let (voters, observers) = replicas(&brokers[1]).await;
    assert_eq!((ids(&voters), ids(&observers)), (vec![1, 2, 3], vec![4, 5]));
    for state in voters.iter().chain(&observers) {
        assert!(state.log_end_offset > 0 && state.last_fetch_timestamp > 0, "{state:?}");
        assert!(state.last_caught_up_timestamp > 0, "{state:?}");
    }

    let [shortest, median, longest] = spread(&brokers, 20).await;
    println!(
        "a metadata change is on every broker {median:?} after its answer (median), {longest:?} at the longest"
    );
    // The others are what a busy machine makes of it.
    assert!(shortest < Duration::from_millis(50), "{shortest:?}");
    names.extend((0..20).map(|n| format!("spread-{n}")));

    // The active controller goes: the brokers follow the next one.
    let leader = usize::try_from(quorum(&brokers[0]).await.0).expect("a node");
    cluster.kill(leader);
    let killed = Instant::now();
    assert_eq!(create(&brokers[1], "after", 2).await.expect("is answered"), ErrorCode::None);
    println!("first admin answer {} ms after kill -9 of the active controller", killed.elapsed().as_millis());
    names.insert("after".to_owned());
    agree(&brokers, &names, &[4, 5]).await;
    cluster.restart(leader);

    // A broker that goes is noticed by its closed connection, long before its session of 9 s is over.
    let killed = Instant::now();
    cluster.kill(5);
    agree(&brokers[..1], &names, &[4]).await;
    println!("a broker is fenced {} ms after kill -9", killed.elapsed().as_millis());
    assert!(killed.elapsed() < Duration::from_secs(5), "{:?}", killed.elapsed());
    cluster.restart(5);
    agree(&brokers, &names, &[4, 5]).await;
    for id in (1..=5).rev() {
        let (status, took) = cluster.node_mut(id).terminate(PATIENCE);
        assert!(status.success(), "node {id}: {status} after {took:?}");
    }
}

#[tokio::test]
async fn bootstrap_servers_are_enough_to_form_a_cluster() {
    let roles = [Role::Combined, Role::Combined, Role::Combined, Role::Broker];
    let mut cluster = Cluster::start_as(&roles, FoundBy::BootstrapServers, &[]);
    let addresses = cluster.addresses();
    assert_eq!(create(&addresses[3], "first", 3).await.expect("is answered"), ErrorCode::None);
    let mut names = BTreeSet::from(["first".to_owned()]);
    agree(&addresses, &names, &[1, 2, 3, 4]).await;
    let (voters, observers) = replicas(&addresses[0]).await;
    assert_eq!((ids(&voters), ids(&observers)), (vec![1, 2, 3], vec![4]));
    for id in [2, 3, 1] {
        cluster.kill(id);
        cluster.restart(id);
        let name = format!("after-{id}");
        assert_eq!(create(&addresses[id - 1], &name, 2).await.expect("is answered"), ErrorCode::None);
        names.insert(name);
        agree(&addresses, &names, &[1, 2, 3, 4]).await;
    }
}
