//! Static voters that become dynamic ones (`kraft.version` from 0 to 1), by the official tools.

use ottla_compat_tests::tools::{self, FEATURES, METADATA_QUORUM, Ran};
use ottla_compat_tests::{Cluster, FoundBy, Role, needs};
use ottla_model::TopicId;
use ottla_protocol::ErrorCode;

use super::controllers::{controllers, registered_become};
use super::voters::{file_of, ids_become, produce, voters};
use super::{PATIENCE, create, described};

fn features(address: &str, args: &[&str]) -> Ran {
    let all: Vec<&str> = ["--bootstrap-server", address].into_iter().chain(args.iter().copied()).collect();
    tools::run_bare(FEATURES, &all, "")
}

fn quorum(address: &str, args: &[&str]) -> Ran {
    let all: Vec<&str> = ["--bootstrap-server", address].into_iter().chain(args.iter().copied()).collect();
    tools::run_bare(METADATA_QUORUM, &all, "")
}

fn kraft_version(address: &str) -> String {
    let described = features(address, &["describe"]).ok();
    let line = described.out.lines().find(|line| line.contains("kraft.version")).expect("the feature");
    line.split("FinalizedVersionLevel:")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next())
        .expect("a level")
        .to_owned()
}

const UPGRADE: [&str; 3] = ["upgrade", "--feature", "kraft.version=1"];

#[tokio::test]
async fn static_voters_are_upgraded_and_may_then_change() {
    needs!(Broker, Tools);
    let mut cluster = Cluster::start_as(&[Role::Combined; 3], FoundBy::Voters, &[]);
    let addresses = cluster.addresses();
    let address = addresses[0].as_str();
    let all = controllers(address).await;
    registered_become(&all[0].1, &all).await;
    assert_eq!(create(address, "kept", 3).await.expect("is answered"), ErrorCode::None);
    assert_eq!(produce(&addresses, "kept", "before").await.get(), 0);
    assert_eq!(kraft_version(address), "0");
    let unnamed = voters(address).await;
    assert!(unnamed.iter().all(|(_, directory)| directory.starts_with("00000000")), "{unnamed:?}");
    let any = TopicId(TopicId::METADATA.0).to_string();
    quorum(address, &["remove-controller", "--controller-id", "3", "--controller-directory-id", &any])
        .fails()
        .shows("kraft.version feature is 0");

    // Each voter has to say which disk it has.
    cluster.kill(3);
    features(address, &UPGRADE).fails().shows("Directory id must be known for all of the voters");
    cluster.restart(3);
    features(address, &UPGRADE).ok().shows("kraft.version was upgraded to 1.");
    assert_eq!(kraft_version(address), "1");
    let named = ids_become(address, &[1, 2, 3]).await;
    assert!(named.iter().all(|(_, directory)| !directory.starts_with("00000000")), "{named:?}");
    features(address, &["downgrade", "--feature", "kraft.version=0"])
        .fails()
        .shows("Can't downgrade the version of this feature.");

    // The files still name the voters; the log knows better.
    cluster.kill_all();
    cluster.launch_all();
    assert_eq!(ids_become(address, &[1, 2, 3]).await, named);
    assert_eq!(kraft_version(address), "1");
    assert_eq!(produce(&addresses, "kept", "after").await.get(), 1, "nothing is lost");

    let quorum_now = described(address).await;
    let third = quorum_now.current_voters.iter().find(|voter| voter.replica_id.0 == 3).expect("the third");
    let directory = TopicId(third.replica_directory_id).to_string();
    quorum(address, &["remove-controller", "--controller-id", "3", "--controller-directory-id", &directory])
        .ok()
        .shows("controller 3 with directory id");
    cluster.kill(3);
    cluster.restart(3);
    assert_eq!(ids_become(&addresses[2], &[1, 2]).await, named[..2]);
    let file = file_of(cluster.node(3), 3, &all[2].1);
    tools::run_bare(
        METADATA_QUORUM,
        &["--command-config", &file, "--bootstrap-server", address, "add-controller"],
        "",
    )
    .ok()
    .shows("Added controller 3");
    assert_eq!(ids_become(address, &[1, 2, 3]).await, named);

    let leader = usize::try_from(described(address).await.leader_id.0).expect("a node");
    cluster.kill(leader);
    let rest: Vec<String> = (1..=3).filter(|id| *id != leader).map(|id| cluster.node(id).address()).collect();
    assert_eq!(create(&rest[0], "later", 2).await.expect("is answered"), ErrorCode::None);
    cluster.restart(leader);
    assert_eq!(ids_become(&addresses[leader - 1], &[1, 2, 3]).await, named);

    // An emptied disk is no voter's, and does not take itself for one.
    cluster.kill(leader);
    cluster.node(leader).empty_disk();
    cluster.node_mut(leader).launch();
    let status = cluster.node_mut(leader).wait_exit(PATIENCE);
    let said = cluster.node(leader).stderr();
    assert!(!status.success() && said.contains("controller.quorum.bootstrap.servers"), "{status}: {said}");
    assert_eq!(create(&rest[1], "without-it", 2).await.expect("is answered"), ErrorCode::None);
}
