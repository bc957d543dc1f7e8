use super::*;

fn text(map: &[(&str, &str)]) -> ConfigMap {
    map.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn broker(fixed: &[(&str, &str)]) -> BrokerConfig {
    BrokerConfig::from_static(text(fixed)).expect("builds")
}

fn entry(entries: &[ConfigEntry], name: &str) -> ConfigEntry {
    entries.iter().find(|entry| entry.name == name).unwrap_or_else(|| panic!("{name}")).clone()
}

/// `source:name` pairs, as the facts write them.
fn sources(entry: &ConfigEntry) -> String {
    let word = |source| match source {
        ConfigSource::Topic => "topic",
        ConfigSource::DynamicBroker => "broker",
        ConfigSource::DynamicDefaultBroker => "default-broker",
        ConfigSource::StaticBroker => "static",
        ConfigSource::Default => "default",
        ConfigSource::ClientMetrics => "client-metrics",
        ConfigSource::Group => "group",
    };
    let pairs: Vec<String> =
        entry.synonyms.iter().map(|synonym| format!("{}:{}", word(synonym.source), synonym.name)).collect();
    pairs.join(",")
}

/// The file of the broker that the facts were read from, and the dynamic default that ELR makes there.
fn reference() -> BrokerConfig {
    let fixed = [
        ("advertised.listeners", "PLAINTEXT://localhost:9092"),
        ("broker.id", "1"),
        ("controller.listener.names", "CONTROLLER"),
        ("controller.quorum.voters", "1@localhost:9093"),
        ("group.initial.rebalance.delay.ms", "0"),
        ("inter.broker.listener.name", "PLAINTEXT"),
        ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"),
        ("listeners", "PLAINTEXT://:9092,CONTROLLER://:9093"),
        ("log.dirs", "/data"),
        ("node.id", "1"),
        ("offsets.topic.replication.factor", "1"),
        ("process.roles", "broker,controller"),
        ("share.coordinator.state.topic.min.isr", "1"),
        ("share.coordinator.state.topic.replication.factor", "1"),
        ("transaction.state.log.min.isr", "1"),
        ("transaction.state.log.replication.factor", "1"),
    ];
    broker(&fixed).with_dynamic(text(&[("min.insync.replicas", "1")]), ConfigMap::new()).expect("builds")
}

#[test]
fn synonyms_stand_in_kafkas_order() {
    let reference = reference();
    let none = ConfigMap::new();
    for (facts, entries) in [
        (include_str!("../../testdata/broker-configs.tsv"), describe_broker(&reference)),
        (include_str!("../../testdata/topic-configs.tsv"), describe_topic(&none, &reference)),
        (include_str!("../../testdata/group-configs.tsv"), describe_group(&none, &reference)),
        (include_str!("../../testdata/client-metrics-configs.tsv"), describe_client_metrics(&none)),
    ] {
        let kafkas = entries.iter().filter(|entry| !entry.name.starts_with("ottla."));
        assert_eq!(kafkas.count(), facts.lines().count() - 1);
        for line in facts.lines().skip(1) {
            let fields: Vec<&str> = line.split('\t').collect();
            let [name, _, _, update, _, _, synonyms] = fields[..] else { panic!("{line}") };
            let entry = entry(&entries, name);
            let expected = match crate::DIFFERENCES.iter().find(|difference| difference.name == name) {
                // Ottla has a default where Kafka has none.
                Some(_) if !synonyms.contains("default:") => format!("{synonyms},default:{name}"),
                _ => synonyms.to_owned(),
            };
            assert_eq!(sources(&entry), expected, "{name}");
            assert_eq!(entry.read_only, update == "ro", "{name}");
        }
    }
}

#[test]
fn a_topic_inherits_layer_by_layer() {
    let base = broker(&[("log.retention.hours", "2"), ("log.segment.bytes", "2000000")]);
    let none = ConfigMap::new();
    let of = |broker: &BrokerConfig, overrides: &ConfigMap, name| {
        let entry = entry(&describe_topic(overrides, broker), name);
        (entry.value.clone().unwrap_or_default(), entry.source, sources(&entry))
    };
    // Kafka's quirk: hours decide the value, but only `log.retention.ms` counts as a synonym.
    let retention = of(&base, &none, "retention.ms");
    assert_eq!(retention, ("7200000".to_owned(), ConfigSource::Default, String::new()));

    let dynamic = base
        .with_dynamic(text(&[("log.segment.bytes", "3000000")]), text(&[("log.segment.bytes", "4000000")]))
        .expect("builds");
    let overrides = text(&[("segment.bytes", " 5000000 ")]);
    let all = "broker:log.segment.bytes,default-broker:log.segment.bytes,static:log.segment.bytes,\
               default:log.segment.bytes";
    let segment = of(&dynamic, &none, "segment.bytes");
    assert_eq!(segment, ("4000000".to_owned(), ConfigSource::DynamicBroker, all.to_owned()));
    let segment = of(&dynamic, &overrides, "segment.bytes");
    assert_eq!(segment, ("5000000".to_owned(), ConfigSource::Topic, format!("topic:segment.bytes,{all}")));
}

#[test]
fn secrets_and_strangers_show_no_value() {
    let broker = broker(&[("ssl.keystore.password", "secret"), ("my.plugin.token", "secret")]);
    let entries = describe_broker(&broker);
    for name in ["ssl.keystore.password", "my.plugin.token"] {
        let entry = entry(&entries, name);
        assert!(entry.sensitive && entry.value.is_none(), "{entry:?}");
        assert!(entry.synonyms.iter().all(|synonym| synonym.value.is_none()), "{entry:?}");
        assert_eq!(entry.source, ConfigSource::StaticBroker);
    }
    assert!(!format!("{entries:?}").contains("\"secret\""));
}

#[test]
fn the_cluster_default_describes_only_what_is_set() {
    let broker = broker(&[("message.max.bytes", "5")])
        .with_dynamic(text(&[("message.max.bytes", "7")]), text(&[("message.max.bytes", "9")]))
        .expect("builds");
    let entries = describe_cluster_default(&broker);
    let [entry] = &entries[..] else { panic!("{entries:?}") };
    assert_eq!(entry.value.as_deref(), Some("7"));
    assert_eq!(sources(entry), "default-broker:message.max.bytes");
}
