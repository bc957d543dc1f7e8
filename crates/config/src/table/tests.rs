use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// What a fresh Kafka 4.4.0 broker describes: key, type, default, rw or ro, sensitive.
const FACTS: [(Scope, &str); 4] = [
    (Scope::Broker, include_str!("../../testdata/broker-configs.tsv")),
    (Scope::Topic, include_str!("../../testdata/topic-configs.tsv")),
    (Scope::Group, include_str!("../../testdata/group-configs.tsv")),
    (Scope::ClientMetrics, include_str!("../../testdata/client-metrics-configs.tsv")),
];
/// Made by `testdata/ValidationVectors.java`.
const VALIDATION: &str = include_str!("../../testdata/validation.tsv");

#[test]
fn every_row_is_indexed_once() {
    let rows: usize = BROKER.iter().map(|rows| rows.len()).sum();
    assert_eq!(rows, definitions(Scope::Broker).count());
}

#[test]
fn the_table_is_what_kafka_describes() {
    for (scope, facts) in FACTS {
        let mut described = BTreeSet::new();
        for line in facts.lines().skip(1) {
            let fields: Vec<&str> = line.split('\t').collect();
            let [key, config_type, default, update, sensitive, ..] = fields[..] else { panic!("{line}") };
            let ours = definition(scope, key).unwrap_or_else(|| panic!("{key} is not in the table"));
            assert_eq!(ours.config_type.name(), config_type, "{key}");
            assert!(!ours.internal, "{key}");
            assert_eq!(ours.update != UpdateMode::ReadOnly, update == "rw", "{key}");
            assert_eq!(ours.is_sensitive(), sensitive == "sensitive", "{key}");
            // A group's assignor has no default of its own: the broker's first assignor stands for it.
            if key != "streams.assignor.name" {
                assert_eq!(default_as_described(ours), default, "{key}");
            }
            described.insert(key);
        }
        let visible: BTreeSet<&str> = definitions(scope)
            .map(|d| (d.internal, d.name))
            .filter_map(|(internal, name)| (!internal && !name.starts_with("ottla.")).then_some(name))
            .collect();
        assert_eq!(visible, described, "{scope:?}");
    }
}

fn default_as_described(definition: &Definition) -> &str {
    match definition.default {
        DefaultValue::Text("/tmp/kafka-logs") => "(system temporary directory)/kafka-logs",
        DefaultValue::Text(text) => text,
        DefaultValue::Null | DefaultValue::Required => "(null)",
    }
}

#[test]
fn defaults_are_allowed() {
    for (scope, _) in FACTS {
        for definition in definitions(scope) {
            if let DefaultValue::Text(text) = definition.default {
                assert!(definition.parse(text).is_ok(), "{}={text}", definition.name);
            }
        }
    }
}

#[test]
fn values_are_judged_as_kafka_judges_them() {
    let scopes = BTreeMap::from([
        ("broker", Scope::Broker),
        ("topic", Scope::Topic),
        ("group", Scope::Group),
        ("client-metrics", Scope::ClientMetrics),
    ]);
    let mut judged = 0;
    for line in VALIDATION.lines() {
        let fields: Vec<String> = line.split('\t').map(unescape).collect();
        let [scope, key, value, verdict] = &fields[..] else { panic!("{line}") };
        let ours =
            definition(scopes[scope.as_str()], key).unwrap_or_else(|| panic!("{key} is not in the table"));
        let said = match ours.parse(value) {
            Ok(_) => "ok".to_owned(),
            Err(error) => error.to_string(),
        };
        assert_eq!(&said, verdict, "{key}={value:?}");
        judged += 1;
    }
    assert!(judged > 1_500);
}

fn unescape(field: &str) -> String {
    field.replace("\\n", "\n").replace("\\t", "\t").replace("\\\\", "\\")
}
