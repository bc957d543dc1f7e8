//! kafka-broker-api-versions, kafka-cluster, kafka-features, kafka-log-dirs.

use ottla_compat_tests::needs;
use ottla_compat_tests::tools::{BROKER_API_VERSIONS, CLUSTER, FEATURES, LOG_DIRS};

use crate::{BROKER, create_topic, produce, tool};

/// `Name(key): range` as Kafka 4.4.0 advertises it, for what a single broker of ours serves.
const SERVED: [&str; 49] = [
    "Produce(0): 0 to 13 ",
    "Fetch(1): 4 to 18 ",
    "ListOffsets(2): 1 to 11 ",
    "Metadata(3): 0 to 13 ",
    "OffsetCommit(8): 2 to 10 ",
    "OffsetFetch(9): 1 to 10 ",
    "FindCoordinator(10): 0 to 6 ",
    "JoinGroup(11): 0 to 9 ",
    "Heartbeat(12): 0 to 4 ",
    "LeaveGroup(13): 0 to 5 ",
    "SyncGroup(14): 0 to 5 ",
    "DescribeGroups(15): 0 to 6 ",
    "ListGroups(16): 0 to 5 ",
    "ApiVersions(18): 0 to 5 ",
    "CreateTopics(19): 2 to 7 ",
    "DeleteTopics(20): 1 to 6 ",
    "DeleteRecords(21): 0 to 2 ",
    "InitProducerId(22): 0 to 5 ",
    "OffsetForLeaderEpoch(23): 2 to 4 ",
    "DescribeAcls(29): 1 to 3 ",
    "CreateAcls(30): 1 to 3 ",
    "DeleteAcls(31): 1 to 3 ",
    "DescribeConfigs(32): 1 to 4 ",
    "AlterConfigs(33): 0 to 2 ",
    "AlterReplicaLogDirs(34): 1 to 2 ",
    "DescribeLogDirs(35): 1 to 5 ",
    "CreatePartitions(37): 0 to 3 ",
    "CreateDelegationToken(38): 1 to 3 ",
    "RenewDelegationToken(39): 1 to 2 ",
    "ExpireDelegationToken(40): 1 to 2 ",
    "DescribeDelegationToken(41): 1 to 3 ",
    "DeleteGroups(42): 0 to 3 ",
    "ElectLeaders(43): 0 to 2 ",
    "IncrementalAlterConfigs(44): 0 to 1 ",
    "AlterPartitionReassignments(45): 0 to 1 ",
    "ListPartitionReassignments(46): 0 ",
    "OffsetDelete(47): 0 ",
    "DescribeClientQuotas(48): 0 to 1 ",
    "DescribeUserScramCredentials(50): 0 ",
    "DescribeQuorum(55): 0 to 2 ",
    "UpdateFeatures(57): 0 to 2 ",
    "DescribeCluster(60): 0 to 2 ",
    "DescribeProducers(61): 0 ",
    "UnregisterBroker(64): 0 ",
    "ConsumerGroupHeartbeat(68): 0 to 1 ",
    "ConsumerGroupDescribe(69): 0 to 1 ",
    "GetTelemetrySubscriptions(71): 0 ",
    "PushTelemetry(72): 0 ",
    "ListConfigResources(74): 0 to 1 ",
];

#[test]
fn broker_api_versions_shows_kafkas_ranges() {
    needs!(Broker, Tools);
    let shown = tool(BROKER_API_VERSIONS, &[]).ok();
    assert!(shown.lines()[0].starts_with(&format!("{} (id: ", BROKER.address())), "{shown}");
    let wrong: Vec<&&str> = SERVED.iter().filter(|range| !shown.out.contains(**range)).collect();
    assert!(wrong.is_empty(), "not shown: {wrong:?}\n{shown}");
}

#[test]
fn cluster_id_and_endpoints_are_shown() {
    needs!(Broker, Tools);
    let id = tools_bare(CLUSTER, "cluster-id").ok();
    let id = id.out.trim().strip_prefix("Cluster ID: ").expect("Cluster ID: ...").to_owned();
    assert_eq!(id.len(), 22, "a base64 UUID: {id}");
    let endpoints = tools_bare(CLUSTER, "list-endpoints").ok();
    let fields = endpoints.fields_of("127.0.0.1").join(" ");
    assert!(fields.contains(&BROKER.port().to_string()), "{endpoints}");
}

#[test]
fn features_are_described() {
    needs!(Broker, Tools);
    let shown = tools_bare(FEATURES, "describe").ok();
    let metadata = shown.fields_of("Feature: metadata.version").join(" ");
    // Level 33 is 4.4's; the tools of 4.3.1 have no name for it.
    assert!(metadata.contains("FinalizedVersionLevel: UNKNOWN 33"), "{shown}");
    let group = shown.fields_of("Feature: group.version").join(" ");
    assert!(group.contains("SupportedMaxVersion: 1 FinalizedVersionLevel: 1"), "{shown}");
}

#[test]
fn log_dirs_are_described_with_sizes() {
    needs!(Broker, Tools);
    create_topic("l-dirs", 2);
    produce("l-dirs", "some bytes\n");
    let shown = tool(LOG_DIRS, &["--describe", "--topic-list", "l-dirs"]).ok();
    shown.clone().shows("Querying brokers for log directories information");
    let json =
        shown.lines().into_iter().find(|line| line.starts_with('{')).expect("a line of JSON").to_owned();
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let dir = &json["brokers"][0]["logDirs"][0];
    assert_eq!(dir["error"], serde_json::Value::Null, "{shown}");
    assert_eq!(dir["logDir"].as_str(), BROKER.data_dir().to_str(), "{shown}");
    let partitions = dir["partitions"].as_array().expect("partitions");
    assert_eq!(partitions.len(), 2, "{shown}");
    let size: i64 = partitions.iter().filter_map(|p| p["size"].as_i64()).sum();
    assert!((70..200).contains(&size), "{shown}");
}

/// Tools of this kind take a subcommand before `--bootstrap-server`.
fn tools_bare(main_class: &str, subcommand: &str) -> ottla_compat_tests::tools::Ran {
    let address = BROKER.address();
    let args = match main_class {
        FEATURES => ["--bootstrap-server", &address, subcommand],
        _ => [subcommand, "--bootstrap-server", &address],
    };
    ottla_compat_tests::tools::run_bare(main_class, &args, "")
}
