//! Nodes whose disks were emptied: each comes back under a new directory id, and none as the voter that it was.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use ottla_compat_tests::process::eventually;
use ottla_compat_tests::{Broker, Cluster, FoundBy, Role, needs};
use ottla_protocol::ErrorCode;

use super::voters::{ids_become, joining, lone, produce, voters};
use super::{PATIENCE, agree, create, described, metadata};

/// The directory id that the node's data directory has.
fn directory(node: &Broker) -> String {
    let file = node.data_dir().join("meta.properties");
    let text = std::fs::read_to_string(file).expect("meta.properties");
    let line = text.lines().find_map(|line| line.strip_prefix("directory.id="));
    line.expect("a directory id").to_owned()
}

async fn cluster_id(address: &str) -> String {
    metadata(address).await.expect("answers").cluster_id.expect("a cluster").to_string()
}

fn uuid_of(base64: &str) -> String {
    ottla_model::TopicId::from_base64(base64).expect("an id").0.to_string()
}

#[tokio::test]
async fn a_static_voter_with_an_emptied_disk_learns_which_cluster_it_is_in() {
    let mut cluster = Cluster::start_as(&[Role::Combined; 3], FoundBy::Voters, &[]);
    let addresses = cluster.addresses();
    assert_eq!(create(&addresses[0], "kept", 3).await.expect("is answered"), ErrorCode::None);
    produce(&addresses, "kept", "before").await;
    let (id, old) = (cluster_id(&addresses[1]).await, directory(cluster.node(1)));
    cluster.kill(1);
    cluster.node(1).empty_disk();
    cluster.restart(1);
    assert_ne!(directory(cluster.node(1)), old);
    assert_eq!(cluster_id(&addresses[0]).await, id);
    agree(&addresses, &BTreeSet::from(["kept".to_owned()]), &[1, 2, 3]).await;
    cluster.await_identical(&[1, 2, 3], "kept", 0, PATIENCE);
    // It has a vote again: with another one gone there is a majority.
    cluster.kill(2);
    assert_eq!(create(&addresses[0], "later", 2).await.expect("is answered"), ErrorCode::None);
}

#[tokio::test]
async fn a_voter_of_bootstrap_servers_with_an_emptied_disk_only_watches() {
    let mut cluster = Cluster::start_as(&[Role::Combined; 3], FoundBy::BootstrapServers, &[]);
    let addresses = cluster.addresses();
    assert_eq!(create(&addresses[0], "kept", 3).await.expect("is answered"), ErrorCode::None);
    let id = cluster_id(&addresses[1]).await;
    // The voters' directories are noted once they are there.
    let began = Instant::now();
    while voters(&addresses[0]).await.iter().any(|(_, directory)| directory.starts_with("00000000")) {
        assert!(began.elapsed() < PATIENCE, "{:?}", voters(&addresses[0]).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let before = voters(&addresses[0]).await;
    assert_eq!(before[0].1, uuid_of(&directory(cluster.node(1))));
    cluster.kill(1);
    cluster.node(1).empty_disk();
    cluster.restart(1);
    let new = uuid_of(&directory(cluster.node(1)));
    assert_ne!(new, before[0].1);
    assert_eq!(cluster_id(&addresses[0]).await, id);
    agree(&addresses, &BTreeSet::from(["kept".to_owned()]), &[1, 2, 3]).await;
    assert_eq!(
        voters(&addresses[1]).await,
        before,
        "the disk that is gone has the vote until somebody takes it"
    );
    let observers = described(&addresses[1]).await.observers;
    let observers = observers.iter().map(|one| (one.replica_id.0, one.replica_directory_id.to_string()));
    assert_eq!(observers.collect::<Vec<_>>(), [(1, new)]);
}

#[tokio::test]
async fn a_founder_with_an_emptied_disk_is_told_of_the_cluster_that_it_was_in() {
    needs!(Broker);
    let (mut first, _) = lone();
    first.restart();
    let (mut second, mut third) = (joining(&first.address()), joining(&first.address()));
    for node in [&mut second, &mut third] {
        node.restart();
    }
    let before = ids_become(&second.address(), &[1, 2, 3]).await;
    assert_eq!(create(&second.address(), "kept", 3).await.expect("is answered"), ErrorCode::None);
    let id = cluster_id(&second.address()).await;

    // Nothing on its disk nor in its file says that there are others: it begins a cluster, which is not theirs.
    first.kill_9();
    first.empty_disk();
    first.restart();
    assert_ne!(cluster_id(&first.address()).await, id);
    eventually("a word of the other cluster", PATIENCE, || {
        first.stderr().contains("another cluster takes this node for one of its own").then_some(())
    });
    assert!(first.stderr().contains(&id), "{}", first.log_tail());
    assert_eq!(voters(&second.address()).await, before);
    assert_eq!(cluster_id(&third.address()).await, id);

    // What the line says does it.
    first.kill_9();
    first.empty_disk();
    first.option("--join", &second.address());
    first.set("node.id", "1");
    first.restart();
    assert_eq!(cluster_id(&first.address()).await, id);
    let began = Instant::now();
    let new = uuid_of(&directory(&first));
    while ids_become(&second.address(), &[1, 2, 3]).await[0].1 != new {
        assert!(began.elapsed() < PATIENCE, "the old disk's voter stays");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for node in [&mut first, &mut second, &mut third] {
        node.kill_9();
    }
}
