//! kafka-leader-election, kafka-reassign-partitions, kafka-metadata-quorum, kafka-features' updates, kafka-cluster's
//! unregister, kafka-acls: what a real Kafka 4.4.0 of one node lets them print.

use std::fs;

use ottla_compat_tests::layout::scratch_dir;
use ottla_compat_tests::needs;
use ottla_compat_tests::tools::{
    ACLS, CLUSTER, FEATURES, LEADER_ELECTION, METADATA_QUORUM, REASSIGN_PARTITIONS, Ran, run_bare,
};

use crate::{BROKER, create_topic, node_id, tool};

/// Tools that take `--bootstrap-server` before their subcommand.
#[track_caller]
fn at_broker(main_class: &str, args: &[&str]) -> Ran {
    let address = BROKER.address();
    let all: Vec<&str> =
        ["--bootstrap-server", address.as_str()].into_iter().chain(args.iter().copied()).collect();
    run_bare(main_class, &all, "")
}

#[test]
fn an_election_that_is_not_needed_is_told() {
    needs!(Broker, Tools);
    create_topic("el-t", 2);
    let one = ["--election-type", "preferred", "--topic", "el-t", "--partition", "0"];
    tool(LEADER_ELECTION, &one).ok().shows("Valid replica already elected for partitions el-t-0");
    let all = ["--election-type", "preferred", "--all-topic-partitions"];
    let all = tool(LEADER_ELECTION, &all).ok();
    assert!(all.lines().is_empty(), "nothing needs one: {all}");
    let unknown = ["--election-type", "unclean", "--topic", "el-nope", "--partition", "0"];
    tool(LEADER_ELECTION, &unknown).fails().shows("No such topic as el-nope");
}

#[test]
fn a_reassignment_to_where_it_is_completes_at_once() {
    needs!(Broker, Tools);
    create_topic("re-t", 1);
    let (dir, node) = (scratch_dir("reassign"), node_id());
    let plan = |name: &str, topic: &str, broker: &str| {
        let file = dir.join(name);
        let json = format!(
            r#"{{"version":1,"partitions":[{{"topic":"{topic}","partition":0,"replicas":[{broker}]}}]}}"#
        );
        fs::write(&file, json).expect("write a plan");
        file.to_str().expect("a path in UTF-8").to_owned()
    };
    let here = plan("here.json", "re-t", &node);
    let execute = |file: &str| tool(REASSIGN_PARTITIONS, &["--reassignment-json-file", file, "--execute"]);
    execute(&here).ok().shows("Successfully started partition reassignment for re-t-0");
    let verify = ["--reassignment-json-file", &here, "--verify"];
    tool(REASSIGN_PARTITIONS, &verify).ok().shows("Reassignment of partition re-t-0 is completed.");
    tool(REASSIGN_PARTITIONS, &["--list"]).ok().shows("No partition reassignments found.");
    let cancel = ["--reassignment-json-file", &here, "--cancel"];
    tool(REASSIGN_PARTITIONS, &cancel).ok().shows("None of the specified partition moves are active.");
    execute(&plan("away.json", "re-t", "77")).fails().shows("Unknown broker id 77");
    fs::remove_dir_all(&dir).expect("remove the plans");
}

#[test]
fn the_quorum_is_described() {
    needs!(Broker, Tools);
    let status = at_broker(METADATA_QUORUM, &["describe", "--status"]).ok();
    let node = node_id();
    assert_eq!(status.fields_of("LeaderId:"), ["LeaderId:", node.as_str()], "{status}");
    assert_eq!(status.fields_of("MaxFollowerLag:"), ["MaxFollowerLag:", "0"], "{status}");
    assert!(status.out.contains(&format!("\"id\": {node},")), "{status}");
    let replication = at_broker(METADATA_QUORUM, &["describe", "--replication"]).ok();
    assert!(
        replication.out.lines().any(|line| line.starts_with(&node) && line.contains("Leader")),
        "{replication}"
    );
}

#[test]
fn features_are_not_lowered_without_saying_so() {
    needs!(Broker, Tools);
    at_broker(FEATURES, &["upgrade", "--feature", "group.version=1"])
        .ok()
        .shows("group.version was upgraded to 1.");
    at_broker(FEATURES, &["upgrade", "--feature", "metadata.version=21"])
        .fails()
        .shows("Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe");
    at_broker(FEATURES, &["upgrade", "--feature", "group.version=0"])
        .fails()
        .shows("The upgradeType flag should be set to SAFE_DOWNGRADE or UNSAFE_DOWNGRADE");
    at_broker(FEATURES, &["downgrade", "--feature", "metadata.version=20"]).fails();
}

#[test]
fn an_unknown_broker_is_not_unregistered() {
    needs!(Broker, Tools);
    let address = BROKER.address();
    let args = ["unregister", "--bootstrap-server", &address, "--id", "77"];
    run_bare(CLUSTER, &args, "").fails().shows("Broker ID 77 is not currently registered");
}

#[test]
fn acls_need_an_authorizer() {
    needs!(Broker, Tools);
    at_broker(ACLS, &["--list"]).fails().shows("No Authorizer is configured on the broker");
    let add = ["--add", "--allow-principal", "User:a", "--operation", "Read", "--topic", "acl-t"];
    at_broker(ACLS, &add).fails().shows("No Authorizer is configured on the broker");
}
