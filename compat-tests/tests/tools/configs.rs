//! kafka-configs: describe and alter topics, brokers and groups.

use ottla_compat_tests::Target;
use ottla_compat_tests::needs;
use ottla_compat_tests::needs::only_on;
use ottla_compat_tests::tools::{CONFIGS, Ran};

use crate::create_topic;

fn configs(args: &[&str]) -> Ran {
    crate::tool(CONFIGS, args)
}

#[test]
fn topic_config_is_set_shown_and_removed() {
    needs!(Broker, Tools);
    create_topic("c-topic", 1);
    let entity = ["--entity-type", "topics", "--entity-name", "c-topic"];
    configs(
        &[&["--alter", "--add-config", "retention.ms=60000,max.message.bytes=2000"], &entity[..]].concat(),
    )
    .ok()
    .shows("Completed updating config for topic c-topic.");
    configs(&[&["--describe"], &entity[..]].concat())
        .ok()
        .shows("Dynamic configs for topic c-topic are:")
        .shows("  retention.ms=60000 sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:retention.ms=60000}")
        .shows("  max.message.bytes=2000 sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:max.message.bytes=2000, DEFAULT_CONFIG:message.max.bytes=1048588}");
    configs(&[&["--alter", "--delete-config", "retention.ms"], &entity[..]].concat()).ok();
    configs(&[&["--describe"], &entity[..]].concat())
        .ok()
        .hides("retention.ms")
        .shows("max.message.bytes=2000");
}

#[test]
fn all_topic_configs_have_kafkas_defaults() {
    needs!(Broker, Tools);
    create_topic("c-defaults", 1);
    configs(&["--describe", "--all", "--entity-type", "topics", "--entity-name", "c-defaults"])
        .ok()
        .shows("  cleanup.policy=delete sensitive=false synonyms={DEFAULT_CONFIG:log.cleanup.policy=delete}")
        .shows("  compression.type=producer sensitive=false synonyms={DEFAULT_CONFIG:compression.type=producer}")
        .shows("  segment.bytes=1073741824 sensitive=false synonyms={DEFAULT_CONFIG:log.segment.bytes=1073741824}")
        .shows("  retention.ms=604800000 sensitive=false synonyms={}")
        .shows("  min.insync.replicas=1 sensitive=false synonyms={");
}

#[test]
fn bad_values_and_names_are_refused() {
    needs!(Broker, Tools);
    create_topic("c-bad", 1);
    let entity = ["--entity-type", "topics", "--entity-name", "c-bad"];
    let add = |config: &str| configs(&[&["--alter", "--add-config", config], &entity[..]].concat());
    add("retention.ms=soon")
        .fails()
        .shows("Invalid value soon for configuration retention.ms: Not a number of type LONG");
    add("cleanup.policy=shred").fails().shows("Invalid value shred for configuration cleanup.policy");
    add("segment.bytes=1").fails().shows("Invalid value 1 for configuration segment.bytes");
    add("no.such.key=1").fails().shows("no.such.key");
}

#[test]
fn unknown_topic_is_refused() {
    needs!(Broker, Tools);
    configs(&[
        "--alter",
        "--add-config",
        "retention.ms=1",
        "--entity-type",
        "topics",
        "--entity-name",
        "c-nowhere",
    ])
    .fails()
    .shows("The topic 'c-nowhere' does not exist.");
}

#[test]
fn list_valued_config_is_appended_to() {
    needs!(Broker, Tools);
    create_topic("c-list", 1);
    let entity = ["--entity-type", "topics", "--entity-name", "c-list"];
    configs(&[&["--alter", "--add-config", "cleanup.policy=[compact,delete]"], &entity[..]].concat()).ok();
    configs(&[&["--describe"], &entity[..]].concat())
        .ok()
        .shows("  cleanup.policy=compact,delete sensitive=false");
}

#[test]
fn broker_config_is_described() {
    needs!(Broker, Tools);
    let node = crate::node_id();
    configs(&["--describe", "--all", "--entity-type", "brokers", "--entity-name", &node])
        .ok()
        .shows("log.retention.hours=168")
        .shows("num.partitions=1")
        .shows("group.initial.rebalance.delay.ms=0");
}

#[test]
fn broker_config_is_altered_for_one_and_for_all() {
    needs!(Broker, Tools);
    let node = crate::node_id();
    let one = ["--entity-type", "brokers", "--entity-name", &node];
    configs(&[&["--alter", "--add-config", "message.max.bytes=2000000"], &one[..]].concat()).ok();
    configs(&[&["--describe"], &one[..]].concat()).ok().shows("message.max.bytes=2000000");
    configs(&[&["--alter", "--delete-config", "message.max.bytes"], &one[..]].concat()).ok();
    let all = ["--entity-type", "brokers", "--entity-default"];
    configs(&[&["--alter", "--add-config", "log.retention.ms=123456789"], &all[..]].concat())
        .ok()
        .shows("Completed updating default config for brokers in the cluster.");
    configs(&[&["--describe"], &all[..]].concat()).ok().shows("log.retention.ms=123456789");
    configs(&[&["--alter", "--delete-config", "log.retention.ms"], &all[..]].concat()).ok();
}

#[test]
fn read_only_broker_config_is_refused() {
    needs!(Broker, Tools);
    let node = crate::node_id();
    configs(&[
        "--alter",
        "--add-config",
        "log.dirs=/elsewhere",
        "--entity-type",
        "brokers",
        "--entity-name",
        &node,
    ])
    .fails()
    .shows("log.dirs");
}

#[test]
fn group_config_is_set_and_shown() {
    needs!(Broker, Tools);
    let entity = ["--entity-type", "groups", "--entity-name", "c-group"];
    configs(&[&["--alter", "--add-config", "consumer.session.timeout.ms=50000"], &entity[..]].concat()).ok();
    configs(&[&["--describe"], &entity[..]].concat()).ok().shows("consumer.session.timeout.ms=50000");
    configs(&[&["--alter", "--add-config", "consumer.session.timeout.ms=1"], &entity[..]].concat()).fails();
}

#[test]
fn log_levels_are_shown_and_changed() {
    needs!(Broker, Tools);
    if !only_on(Target::Ottla) {
        return;
    }
    let node = crate::node_id();
    let entity = ["--entity-type", "broker-loggers", "--entity-name", &node];
    configs(&[&["--describe"], &entity[..]].concat())
        .ok()
        .shows("  root=INFO sensitive=false synonyms={}")
        .shows("  ottla_storage=INFO sensitive=false synonyms={}");
    configs(&[&["--alter", "--add-config", "ottla_storage=DEBUG"], &entity[..]].concat())
        .ok()
        .shows(&format!("Completed updating config for broker-logger {node}."));
    configs(&[&["--describe"], &entity[..]].concat()).ok().shows("  ottla_storage=DEBUG");
    configs(&[&["--alter", "--delete-config", "ottla_storage"], &entity[..]].concat()).ok();
    configs(&[&["--describe"], &entity[..]].concat()).ok().shows("  ottla_storage=INFO");
}

#[test]
fn what_is_not_built_yet_is_refused() {
    needs!(Broker, Tools);
    if !only_on(Target::Ottla) {
        return;
    }
    create_topic("c-not-yet", 1);
    let entity = ["--entity-type", "topics", "--entity-name", "c-not-yet"];
    configs(&[&["--alter", "--add-config", "local.retention.ms=5"], &entity[..]].concat()).fails().shows(
        "Invalid value 5 for configuration local.retention.ms: tiered storage is not supported yet; remove it, or set it \
         to -2",
    );
}
