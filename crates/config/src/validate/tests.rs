use super::*;

fn text(map: &[(&str, &str)]) -> ConfigMap {
    map.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn broker() -> BrokerConfig {
    BrokerConfig::from_static(ConfigMap::new()).expect("defaults build")
}

fn verdict(result: Result<(), ConfigError>) -> String {
    result.map_or_else(|error| error.to_string(), |()| "ok".to_owned())
}

#[test]
fn topics() {
    let broker = broker();
    for (overrides, expected) in [
        (text(&[("retention.ms", "-1"), ("cleanup.policy", "compact,delete")]), "ok"),
        (text(&[("retention.msx", "1"), ("retention.ms", "x")]), "Unknown topic config name: retention.msx"),
        (
            text(&[("retention.ms", "x")]),
            "Invalid value x for configuration retention.ms: Not a number of type LONG",
        ),
        (
            text(&[("min.compaction.lag.ms", "5"), ("max.compaction.lag.ms", "4")]),
            "conflict topic config setting min.compaction.lag.ms (5) > max.compaction.lag.ms (4)",
        ),
        (
            text(&[("remote.storage.enable", "true")]),
            "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage.",
        ),
    ] {
        assert_eq!(verdict(validate_topic(&overrides, &broker)), expected);
    }
}

/// Made by `testdata/GroupVectors.java`.
const GROUPS: &str = include_str!("../../testdata/groups.tsv");

#[test]
fn groups_are_judged_as_kafka_judges_them() {
    let broker = broker();
    assert!(GROUPS.lines().count() > 20);
    for line in GROUPS.lines() {
        let (overrides, expected) = line.split_once('\t').expect(line);
        let overrides: ConfigMap = overrides
            .split(' ')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let said = verdict(validate_group(&overrides, &broker));
        if expected == "ok" && overrides.keys().any(|name| name.starts_with("errors.deadletterqueue.")) {
            assert!(said.contains("the dead letter queue of share groups is not supported yet"), "{said}");
        } else {
            assert_eq!(said, expected, "{overrides:?}");
        }
    }
}

#[test]
fn dynamic_broker_settings() {
    use BrokerResource::{All, One};
    let broker = broker();
    for (overrides, resource, expected) in [
        (text(&[("log.retention.ms", "5")]), All, "ok"),
        (text(&[("leader.replication.throttled.rate", "5")]), One, "ok"),
        (
            text(&[("node.id", "2"), ("log.retention.ms", "5")]),
            One,
            "Cannot update these configs dynamically: [node.id]",
        ),
        (
            text(&[("sasl.enabled.mechanisms", "GSSAPI")]),
            All,
            "Cannot update these configs at default cluster level, broker id must be specified: [sasl.enabled.mechanisms]",
        ),
        (
            text(&[("log.segment.bytes", "5")]),
            All,
            "Invalid value 5 for configuration log.segment.bytes: Value must be at least 1048576",
        ),
        (text(&[("no.such", "5")]), All, "Unknown broker config name: no.such"),
        (text(&[("max.connections", "5")]), All, "ok"),
        (
            text(&[("listeners", "PLAINTEXT://:1")]),
            One,
            "Invalid value PLAINTEXT://:1 for configuration listeners: a change while the broker runs is not supported \
             yet; remove it",
        ),
        (
            text(&[("sasl.jaas.config", "secret")]),
            One,
            "Invalid value [hidden] for configuration sasl.jaas.config: SASL is not supported yet; remove it",
        ),
        (
            text(&[("listener.name.a.sasl.jaas.config", "secret")]),
            One,
            "Invalid value [hidden] for configuration listener.name.a.sasl.jaas.config: a setting of one listener is not \
             supported yet; set it for all of them",
        ),
    ] {
        assert_eq!(verdict(validate_broker(&overrides, resource, &broker)), expected);
    }
}

#[test]
fn lists_grow_and_shrink() {
    let list = definition(Scope::Topic, "cleanup.policy").expect("known");
    assert_eq!(
        change_list(list, Some("delete"), "compact,delete", ListChange::Append).as_deref(),
        Ok("delete,compact")
    );
    assert_eq!(
        change_list(list, Some("delete,compact"), "delete", ListChange::Subtract).as_deref(),
        Ok("compact")
    );
    assert_eq!(change_list(list, None, "compact", ListChange::Append).as_deref(), Ok("compact"));
    assert_eq!(
        change_list(list, Some("delete"), "compact,delete,compact", ListChange::AppendAll).as_deref(),
        Ok("delete,compact,compact")
    );
    let number = definition(Scope::Topic, "retention.ms").expect("known");
    assert!(change_list(number, None, "1", ListChange::Append).is_err());
}
