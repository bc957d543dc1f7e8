//! kafka-topics: create, list, describe, alter, delete, and wrong use.

use ottla_compat_tests::needs;
use ottla_compat_tests::tools::{Ran, TOPICS};

fn topics(args: &[&str]) -> Ran {
    crate::tool(TOPICS, args)
}

#[test]
fn create_list_describe_delete() {
    needs!(Broker, Tools);
    topics(&["--create", "--topic", "t-life", "--partitions", "3", "--replication-factor", "1"])
        .ok()
        .shows("Created topic t-life.");
    assert!(topics(&["--list"]).ok().lines().contains(&"t-life"));

    let described = topics(&["--describe", "--topic", "t-life"]).ok();
    assert_eq!(described.lines().len(), 4, "{described}");
    described
        .clone()
        .shows("Topic: t-life\tTopicId: ")
        // With the feature eligible.leader.replicas.version, Kafka shows `min.insync.replicas=1` behind it.
        .shows("PartitionCount: 3\tReplicationFactor: 1\tConfigs: ")
        .shows("\tTopic: t-life\tPartition: 0\tLeader: 1\tReplicas: 1\tIsr: 1\tElr: \tLastKnownElr: ");

    topics(&["--delete", "--topic", "t-life"]).ok();
    assert!(!topics(&["--list"]).ok().lines().contains(&"t-life"));
}

#[test]
fn create_with_configs_shows_them() {
    needs!(Broker, Tools);
    let configs = ["--config", "retention.ms=12345", "--config", "cleanup.policy=compact"];
    topics(&[&["--create", "--topic", "t-configs"], &configs[..]].concat()).ok();
    topics(&["--describe", "--topic", "t-configs"])
        .ok()
        .shows("retention.ms=12345")
        .shows("cleanup.policy=compact");
    topics(&["--describe", "--topics-with-overrides"]).ok().shows("t-configs");
}

#[test]
fn partitions_grow_and_never_shrink() {
    needs!(Broker, Tools);
    topics(&["--create", "--topic", "t-grow", "--partitions", "2"]).ok();
    topics(&["--alter", "--topic", "t-grow", "--partitions", "5"]).ok();
    topics(&["--describe", "--topic", "t-grow"]).ok().shows("PartitionCount: 5");
    topics(&["--alter", "--topic", "t-grow", "--partitions", "3"])
        .fails()
        .shows("The topic t-grow currently has 5 partition(s); 3 would not be an increase.");
    topics(&["--alter", "--topic", "t-grow", "--partitions", "5"])
        .fails()
        .shows("Topic already has 5 partition(s).");
}

#[test]
fn existing_topic_is_refused() {
    needs!(Broker, Tools);
    topics(&["--create", "--topic", "t-twice"]).ok();
    topics(&["--create", "--topic", "t-twice"]).fails().shows("Topic 't-twice' already exists.");
    topics(&["--create", "--topic", "t-twice", "--if-not-exists"]).ok();
}

#[test]
fn unknown_topic_is_refused() {
    needs!(Broker, Tools);
    let expected = "Topic 't-nowhere' does not exist as expected";
    topics(&["--describe", "--topic", "t-nowhere"]).fails().shows(expected);
    topics(&["--delete", "--topic", "t-nowhere"]).fails().shows(expected);
    topics(&["--alter", "--topic", "t-nowhere", "--partitions", "2"]).fails().shows(expected);
    topics(&["--delete", "--topic", "t-nowhere", "--if-exists"]).ok();
}

#[test]
fn bad_name_is_refused() {
    needs!(Broker, Tools);
    topics(&["--create", "--topic", "bad name"])
        .fails()
        .shows("Topic name is invalid: 'bad name' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'");
}

#[test]
fn bad_replication_factor_is_refused() {
    needs!(Broker, Tools);
    topics(&["--create", "--topic", "t-rf", "--replication-factor", "3"])
        .fails()
        .shows("Unable to replicate the partition 3 time(s): The target replication factor of 3 cannot be reached because only 1 broker(s) are registered or some brokers have all their log directories cordoned.");
}

#[test]
fn bad_config_value_is_refused() {
    needs!(Broker, Tools);
    topics(&["--create", "--topic", "t-bad-value", "--config", "retention.ms=soon"])
        .fails()
        .shows("Invalid value soon for configuration retention.ms: Not a number of type LONG");
    topics(&["--create", "--topic", "t-bad-key", "--config", "retention.seconds=1"]).fails();
    topics(&["--list"]).ok().hides("t-bad");
}

#[test]
fn collision_of_dot_and_underscore_is_refused() {
    needs!(Broker, Tools);
    topics(&["--create", "--topic", "t_collide"]).ok();
    topics(&["--create", "--topic", "t.collide"])
        .fails()
        .shows("Topic 't.collide' collides with existing topic: t_collide");
}
