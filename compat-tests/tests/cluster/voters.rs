//! Nodes that come to vote and go: by `--join`, and by the official tools.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_client::ClientError;
use ottla_compat_tests::tools::{self, CLUSTER, FEATURES, METADATA_QUORUM, Ran};
use ottla_compat_tests::{Broker, free_ports, needs};
use ottla_model::batch::BatchBuilder;
use ottla_model::{Offset, TimestampMs, TopicId};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::update_raft_voter_request::{KRaftVersionFeature, Listener};
use ottla_protocol::messages::{StrBytes, UpdateRaftVoterRequest};

use super::{PATIENCE, agree, client, create, described, metadata};

/// A lone broker as `ottla` starts it, but for its ports.
pub(super) fn lone() -> (Broker, u16) {
    let [port] = free_ports();
    (Broker::prepared(&[("listeners", &format!("CONTROLLER://127.0.0.1:{port}"))]), port)
}

/// A broker without configuration that joins.
pub(super) fn joining(address: &str) -> Broker {
    let (mut broker, _) = lone();
    broker.option("--join", address);
    broker
}

/// Voters by id and directory, as the node at `address` has them told.
pub(super) async fn voters(address: &str) -> Vec<(i32, String)> {
    let partition = described(address).await;
    let voters = partition.current_voters.iter();
    let mut voters: Vec<_> =
        voters.map(|voter| (voter.replica_id.0, voter.replica_directory_id.to_string())).collect();
    voters.sort_unstable();
    voters
}

pub(super) async fn ids_become(address: &str, expected: &[i32]) -> Vec<(i32, String)> {
    let began = Instant::now();
    loop {
        let voters = voters(address).await;
        if voters.iter().map(|(id, _)| *id).eq(expected.iter().copied()) {
            return voters;
        }
        assert!(began.elapsed() < PATIENCE, "{voters:?}, not {expected:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn produce_once(address: &str, topic: &str, value: &str) -> Result<Offset, ClientError> {
    let mut batch = BatchBuilder::new(Offset::ZERO);
    batch.push(TimestampMs(1_700_000_000_000), None, Some(value.as_bytes()), &[]);
    let batch = Bytes::from(batch.build().expect("a batch"));
    Ok(client(address).await?.produce(topic, 0, batch, -1).await?.base_offset)
}

/// What `add-controller` reads: the new controller's own file, and its directory by it.
pub(super) fn file_of(node: &Broker, id: i32, controller: &str) -> String {
    let file = node.dir().join("controller.properties");
    let properties = format!(
        "node.id={id}\nprocess.roles=broker,controller\ncontroller.listener.names=CONTROLLER\n\
         listeners=PLAINTEXT://{at},CONTROLLER://{controller}\nadvertised.listeners=PLAINTEXT://{at},CONTROLLER://{controller}\n\
         controller.quorum.bootstrap.servers={controller}\nlog.dirs={}\n",
        node.data_dir().display(),
        at = node.address(),
    );
    std::fs::write(&file, properties).expect("a file");
    file.display().to_string()
}

/// Writes with acks=all to whichever of these leads, until one acknowledges.
pub(super) async fn produce(addresses: &[String], topic: &str, value: &str) -> Offset {
    let began = Instant::now();
    loop {
        for address in addresses {
            if let Ok(offset) = produce_once(address, topic, value).await {
                return offset;
            }
        }
        assert!(began.elapsed() < PATIENCE, "{value} is not acknowledged");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn nodes_join_a_single_broker_and_become_voters() {
    needs!(Broker);
    let (mut first, _) = lone();
    first.restart();
    let mut second = joining(&first.address());
    second.restart();
    let alone = voters(&first.address()).await;
    assert_eq!(alone.len(), 1, "two voters bear no more than one");
    let observers = described(&second.address()).await.observers;
    assert_eq!(observers.iter().map(|one| one.replica_id.0).collect::<Vec<_>>(), [2]);
    let mut third = joining(&second.address());
    third.restart();
    let three = ids_become(&third.address(), &[1, 2, 3]).await;
    assert!(
        three.contains(&alone[0]) && three.iter().all(|(_, directory)| !directory.starts_with("00000000")),
        "{three:?}"
    );

    let all = [first.address(), second.address(), third.address()];
    assert_eq!(create(&all[1], "kept", 3).await.expect("is answered"), ErrorCode::None);
    produce(&all, "kept", "before").await;
    first.kill_9();
    let killed = Instant::now();
    let after = produce(&all[1..], "kept", "after").await;
    println!("first acknowledged write {} ms after kill -9 of the first node", killed.elapsed().as_millis());
    assert_eq!(after, Offset(1), "nothing is lost");
    assert_eq!(create(&all[2], "later", 2).await.expect("is answered"), ErrorCode::None);

    // Without --join it finds the others by its log.
    first.restart();
    assert_eq!(ids_become(&first.address(), &[1, 2, 3]).await, three);

    // With an emptied disk it is another voter: in the place of the old one, because it is started to join.
    third.kill_9();
    third.empty_disk();
    third.set("node.id", "3");
    third.restart();
    let began = Instant::now();
    let replaced = loop {
        let voters = ids_become(&second.address(), &[1, 2, 3]).await;
        if voters[2] != three[2] {
            break voters;
        }
        assert!(began.elapsed() < PATIENCE, "the old disk's voter stays: {voters:?}");
    };
    assert_eq!(replaced[..2], three[..2]);
    for node in [&mut first, &mut second, &mut third] {
        node.kill_9();
    }
}

#[tokio::test]
async fn nodes_that_join_at_the_same_moment_have_ids_of_their_own() {
    needs!(Broker);
    let (mut first, _) = lone();
    first.restart();
    let mut joined: Vec<Broker> = (0..5).map(|_| joining(&first.address())).collect();
    joined.iter_mut().for_each(Broker::launch);
    joined.iter_mut().for_each(Broker::await_answer);
    let addresses: Vec<String> = std::iter::once(&first).chain(&joined).map(Broker::address).collect();
    agree(&addresses, &BTreeSet::new(), &[1, 2, 3, 4, 5, 6]).await;
    let there = metadata(&addresses[0]).await.expect("answers");
    let ports: BTreeSet<i32> = there.brokers.iter().map(|broker| broker.port).collect();
    assert_eq!(ports.len(), 6, "{there:?}");
    let began = Instant::now();
    while voters(&addresses[0]).await.len() < 3 {
        assert!(began.elapsed() < PATIENCE, "an odd number votes");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Who says that it is one of them gets neither its vote nor its place while that one lives.
    let before = voters(&addresses[0]).await;
    let mut intruder = joining(&addresses[0]);
    intruder.set("node.id", &before[1].0.to_string());
    intruder.launch();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(4) {
        assert_eq!(voters(&addresses[0]).await, before);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(
        intruder.stderr().contains("waits until its last process is known to be gone"),
        "{}",
        intruder.log_tail()
    );
    intruder.kill_9();
    joined.iter_mut().chain([&mut first]).for_each(Broker::kill_9);
}

#[tokio::test]
async fn the_official_tools_change_the_voters() {
    needs!(Broker, Tools);
    let (mut first, first_controller) = lone();
    first.restart();
    let [second_controller] = free_ports();
    let listeners = format!("CONTROLLER://127.0.0.1:{second_controller}");
    let bootstrap = format!("127.0.0.1:{first_controller}");
    let mut second = Broker::prepared(&[
        ("node.id", "2"),
        ("process.roles", "broker,controller"),
        ("listeners", &listeners),
        ("controller.listener.names", "CONTROLLER"),
        ("controller.quorum.bootstrap.servers", &bootstrap),
    ]);
    second.restart();
    let address = first.address();
    let quorum = |args: &[&str]| -> Ran {
        let all: Vec<&str> =
            ["--bootstrap-server", address.as_str()].into_iter().chain(args.iter().copied()).collect();
        tools::run_bare(METADATA_QUORUM, &all, "")
    };
    let voters_of = |status: &Ran| status.fields_of("CurrentVoters:").join(" ");
    let status = quorum(&["describe", "--status"]).ok();
    assert!(!voters_of(&status).contains("\"id\": 2"), "{status}");
    assert!(status.fields_of("CurrentObservers:").join(" ").contains("\"id\": 2"), "{status}");
    tools::run_bare(FEATURES, &["--bootstrap-server", &address, "describe"], "")
        .ok()
        .shows("kraft.version")
        .shows("FinalizedVersionLevel: 1");

    // KIP-919: the same, asked of the controllers.
    let at_controller = |tool, args: &[&str]| -> Ran {
        let all: Vec<&str> =
            ["--bootstrap-controller", bootstrap.as_str()].into_iter().chain(args.iter().copied()).collect();
        tools::run_bare(tool, &all, "")
    };
    let status = at_controller(METADATA_QUORUM, &["describe", "--status"]).ok();
    assert!(voters_of(&status).contains("\"id\": 1"), "{status}");
    at_controller(METADATA_QUORUM, &["describe", "--replication"]).ok().shows("Leader");
    at_controller(FEATURES, &["describe"]).ok().shows("kraft.version");
    tools::run_bare(CLUSTER, &["cluster-id", "--bootstrap-controller", &bootstrap], "")
        .ok()
        .shows("Cluster ID:");

    let file = file_of(&second, 2, &format!("127.0.0.1:{second_controller}"));
    let all = ["--command-config", &file, "--bootstrap-server", &address, "add-controller"];
    tools::run_bare(METADATA_QUORUM, &all, "").ok().shows("Added controller 2");
    let status = quorum(&["describe", "--status"]).ok();
    assert!(voters_of(&status).contains(&listeners), "{status}");
    tools::run_bare(METADATA_QUORUM, &all, "").fails().shows("already part of the set of voters");
    let replication = quorum(&["describe", "--replication"]).ok();
    let line = replication.out.lines().find(|line| line.starts_with("2 ")).expect("the second controller");
    assert!(line.contains("Follower"), "{replication}");
    let directory = line.split_whitespace().nth(1).expect("its directory").to_owned();

    update_voter(&bootstrap, second_controller, &directory).await;

    let remove = ["remove-controller", "--controller-id", "2", "--controller-directory-id", &directory];
    quorum(&remove).ok().shows("controller 2 with directory id");
    let status = quorum(&["describe", "--status"]).ok();
    assert!(!voters_of(&status).contains("\"id\": 2"), "{status}");
    let replication = quorum(&["describe", "--replication"]).ok();
    let line = replication.out.lines().find(|line| line.starts_with("2 ")).expect("it still follows");
    assert!(line.contains("Observer") && line.contains(&directory), "{replication}");
    quorum(&remove).fails().shows("Cannot remove voter");

    second.terminate(PATIENCE);
    tools::run_bare(CLUSTER, &["unregister", "--bootstrap-server", &address, "--id", "2"], "")
        .ok()
        .shows("no longer registered");
    first.kill_9();
}

/// UpdateRaftVoter, as a controller of Kafka's sends it: the second controller's, at `port`.
async fn update_voter(controller: &str, port: u16, directory: &str) {
    let text = |text: &str| StrBytes::from_string(text.to_owned());
    let client = client(controller).await.expect("connects");
    let quorum = described(controller).await;
    let directory_id = TopicId::from_base64(directory).expect("an id").0;
    let listener =
        Listener::default().with_name(text("CONTROLLER")).with_host(text("127.0.0.1")).with_port(port);
    let features = KRaftVersionFeature::default().with_min_supported_version(0).with_max_supported_version(1);
    let right = UpdateRaftVoterRequest::default()
        .with_cluster_id(None)
        .with_current_leader_epoch(quorum.leader_epoch)
        .with_voter_id(2)
        .with_voter_directory_id(directory_id)
        .with_listeners(vec![listener])
        .with_k_raft_version_feature(features);
    let epoch = |by: i32| right.clone().with_current_leader_epoch(quorum.leader_epoch + by);
    for (request, wanted) in [
        (right.clone(), ErrorCode::None),
        (right.clone().with_cluster_id(Some(text("another"))), ErrorCode::InconsistentClusterId),
        (epoch(-1), ErrorCode::FencedLeaderEpoch),
        (epoch(1), ErrorCode::UnknownLeaderEpoch),
        (right.clone().with_voter_id(-1), ErrorCode::InvalidRequest),
        (right.clone().with_listeners(Vec::new()), ErrorCode::InvalidRequest),
        (right.clone().with_voter_id(7), ErrorCode::VoterNotFound),
        (right.clone().with_voter_directory_id(TopicId::METADATA.0), ErrorCode::VoterNotFound),
    ] {
        let answer = client.call(&request).await.expect("is answered");
        assert_eq!(ErrorCode::from_code(answer.error_code), Some(wanted), "{request:?}");
        if wanted != ErrorCode::InconsistentClusterId {
            let leader = &answer.current_leader;
            assert_eq!((leader.leader_id, leader.leader_epoch), (quorum.leader_id, quorum.leader_epoch));
        }
    }
}
