use super::*;
use crate::{ConfigType, Definition, Effect, TopicConfig, definitions};

fn text(map: &[(&str, &str)]) -> ConfigMap {
    map.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn refused(map: &[(&str, &str)]) -> String {
    match BrokerConfig::load(text(map)) {
        Ok((config, _)) => panic!("{map:?} builds {config:?}"),
        Err(error) => error.to_string(),
    }
}

fn listener(name: &str, host: &str, port: u16) -> Listener {
    Listener { name: name.to_owned(), host: host.to_owned(), port }
}

#[test]
fn nothing_set_is_a_node_on_the_loopback() {
    let (config, warnings) = BrokerConfig::load(ConfigMap::new()).expect("builds");
    assert_eq!(warnings, []);
    assert_eq!(config.node.node_id.get(), 1);
    assert_eq!(config.net.listeners, [listener("PLAINTEXT", "127.0.0.1", 9092)]);
    assert_eq!(config.net.advertised_listeners, config.net.listeners);
    assert_eq!(config.net.metrics_listen.as_deref(), Some("127.0.0.1:9404"));
    assert_eq!(config.log.dirs, [std::path::PathBuf::from("./ottla-data")]);
    assert_eq!(config.controller.metadata_dir, std::path::PathBuf::from("./ottla-data"));
}

#[test]
fn kafkas_combined_node_starts_us() {
    let (config, warnings) = BrokerConfig::load(text(&[
        ("process.roles", "broker,controller"),
        ("node.id", "7"),
        ("controller.quorum.voters", "7@localhost:9093"),
        ("listeners", "PLAINTEXT://:9092,CONTROLLER://:9093"),
        ("inter.broker.listener.name", "PLAINTEXT"),
        ("advertised.listeners", "PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093"),
        ("controller.listener.names", "CONTROLLER"),
        (
            "listener.security.protocol.map",
            "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL",
        ),
        ("num.network.threads", "3"),
        ("num.io.threads", "8"),
        ("socket.send.buffer.bytes", "102400"),
        ("log.dirs", "/tmp/kraft-combined-logs"),
        ("num.partitions", "1"),
        ("offsets.topic.replication.factor", "1"),
        ("share.coordinator.state.topic.replication.factor", "1"),
        ("transaction.state.log.min.isr", "1"),
        ("log.retention.hours", "168"),
    ]))
    .expect("builds");
    assert_eq!(config.node.node_id.get(), 7);
    assert_eq!(config.net.listeners, [listener("PLAINTEXT", "", 9092)]);
    assert_eq!(config.net.advertised_listeners, [listener("PLAINTEXT", "localhost", 9092)]);
    assert_eq!(config.net.controller_listeners, [listener("CONTROLLER", "", 9093)]);
    assert_eq!(config.net.advertised_controller_listeners, [listener("CONTROLLER", "localhost", 9093)]);
    assert_eq!(warnings, []);
}

#[test]
fn what_is_not_built_yet_is_refused() {
    for (map, expected) in [
        (
            &[("listeners", "SASL_SSL://:9092")][..],
            "Invalid value SASL_SSL://:9092 for configuration listeners: a SASL_SSL listener is not supported yet; map it \
             to PLAINTEXT, or remove it",
        ),
        (
            &[("remote.log.storage.system.enable", "true")],
            "Invalid value true for configuration remote.log.storage.system.enable: tiered storage is not supported yet; \
             remove it, or set it to false",
        ),
        (
            &[("ssl.key.password", "secret")],
            "Invalid value [hidden] for configuration ssl.key.password: TLS is not supported yet; remove it",
        ),
        (
            &[("authorizer.class.name", "a.B")],
            "Invalid value a.B for configuration authorizer.class.name: authorization is not supported yet; remove it",
        ),
    ] {
        assert_eq!(refused(map), expected);
    }
    let single_node = [
        ("transaction.state.log.replication.factor", "1"),
        ("transaction.state.log.min.isr", "1"),
        ("share.coordinator.state.topic.replication.factor", "1"),
        ("share.coordinator.state.topic.min.isr", "1"),
        ("ssl.client.auth", "none"),
        ("super.users", "User:a"),
    ];
    assert!(BrokerConfig::load(text(&single_node)).is_ok());
}

/// Made by `testdata/StartVectors.java`.
const START: &str = include_str!("../../testdata/start.tsv");

/// Settings of `START` that Ottla judges in its own way: it needs no controller listener, knows its own assignors and
/// compression codecs, and says of a class that it cannot load it what it says of all that is not built yet.
const OWN_JUDGEMENT: [&str; 6] = [
    "group.consumer.assignors",
    "group.coordinator.rebalance.protocols",
    "inter.broker.listener.name",
    "listeners",
    "offsets.topic.compression.codec",
    "principal.builder.class",
];

/// What Kafka says of roles, voters and controller listeners is said alike, whatever the listeners are; but a node of both roles
/// needs neither (a quorum of its own), and `controller.listener.names` has a default.
fn is_of_roles(verdict: &str) -> bool {
    let of_roles = [
        "running KRaft with",
        "process.roles=controller",
        "process.roles contains just",
        "Controller listener with name",
    ];
    of_roles.iter().any(|part| verdict.contains(part))
}

#[test]
fn sets_of_settings_are_judged_as_kafka_judges_them() {
    let mut judged = 0;
    for line in START.lines() {
        let (set, verdict) = line.split_once('\t').expect(line);
        let without: Vec<&str> = set.split(' ').filter_map(|word| word.strip_prefix('-')).collect();
        let set: Vec<(&str, &str)> = set
            .split(' ')
            .filter(|word| !word.starts_with('-'))
            .filter_map(|pair| pair.split_once('='))
            .collect();
        let is_of_both = set.iter().all(|(name, _)| *name != "process.roles");
        let is_own = is_of_both && without == ["controller.quorum.voters"] && set.is_empty();
        if is_own || without.contains(&"controller.listener.names") {
            continue;
        }
        if set.iter().any(|(name, _)| OWN_JUDGEMENT.contains(name)) && !is_of_roles(verdict) {
            continue;
        }
        let mut all = text(&[
            ("process.roles", "broker,controller"),
            ("node.id", "1"),
            ("controller.listener.names", "CONTROLLER"),
            ("listeners", "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093"),
            ("controller.quorum.voters", "1@127.0.0.1:9093"),
            ("log.dirs", "/data"),
        ]);
        all.extend(text(&set));
        all.retain(|name, _| !without.contains(&name.as_str()));
        let said = BrokerConfig::load(all).map_or_else(|error| error.to_string(), |_| "ok".to_owned());
        let is_not_yet = |(name, _): &(&str, &str)| {
            definition(Scope::Broker, name).is_some_and(|d| matches!(d.effect, Effect::NotYet(_)))
        };
        if verdict == "ok" && set.iter().any(is_not_yet) {
            assert!(said.contains("is not supported yet"), "{set:?}: {said}");
        } else {
            assert_eq!(said, verdict, "{set:?}");
        }
        judged += 1;
    }
    assert!(judged > 50);
}

#[test]
fn strangers_are_warned_of() {
    let (_, warnings) = BrokerConfig::load(text(&[
        ("log.retention.hour", "1"),
        ("listener.name.x.ssl.keystore.location", "y"),
        ("unheard.of", "1"),
    ]))
    .expect("builds");
    let lines: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "unknown setting log.retention.hour; the nearest known name is log.retention.hours",
            "unknown setting unheard.of",
        ]
    );
}

#[test]
fn rules_between_settings() {
    for (map, expected) in [
        (
            &[("node.id", "1"), ("broker.id", "2")][..],
            "`node.id` and `broker.id` must be set to the same value.",
        ),
        (
            &[("process.roles", "controller")],
            "If using process.roles, either controller.quorum.bootstrap.servers must contain the set of bootstrap controllers or \
             controller.quorum.voters must contain a parseable set of controllers.",
        ),
        (
            &[("controller.quorum.voters", "2@a:1")],
            "requirement failed: If process.roles contains the 'controller' role, the node id 1 must be included in the set of voters",
        ),
        (
            &[("controller.quorum.voters", "1@a:1,2@b:1")],
            "requirement failed: controller.listener.names must contain at least one value appearing in the 'listeners'",
        ),
        (&[("listeners", "PLAINTEXT://:1,PLAINTEXT://:2")], "Each listener must have a different name"),
        (
            &[("listeners", "PLAINTEXT://:1,B://:1"), ("listener.security.protocol.map", "B:PLAINTEXT")],
            "Each listener must have a different port, listeners: PLAINTEXT://:1,B://:1",
        ),
        (
            &[("listeners", "X://:1")],
            "Error creating broker listeners from '[X://:1]': No security protocol defined for listener X",
        ),
        (
            &[("advertised.listeners", "OTHER://a:1")],
            "advertised.listeners listener names must be equal to or a subset of the ones defined in listeners",
        ),
        (
            &[("listeners", "PLAINTEXT://0.0.0.0:9092")],
            "requirement failed: advertised.listeners cannot use the nonroutable meta-address 0.0.0.0. Use a routable IP address.",
        ),
        (
            &[("inter.broker.listener.name", "X")],
            "inter.broker.listener.name must be a listener name defined in advertised.listeners. The valid options",
        ),
        (
            &[("listeners", "PLAINTEXT:9092")],
            "Invalid value PLAINTEXT:9092 for configuration listeners: Expected",
        ),
        (
            &[("num.partitions", "0")],
            "Invalid value 0 for configuration num.partitions: Value must be at least 1",
        ),
        (
            &[("max.connections.per.ip.overrides", "h")],
            "Error parsing configuration property 'max.connections.per.ip.overrides': begin 0, end -1, length 1",
        ),
    ] {
        let error = refused(map);
        assert!(error.starts_with(expected), "{map:?}: {error}");
    }
}

#[test]
fn units_give_way_to_milliseconds() {
    let retention = |map: &[(&str, &str)]| {
        let broker = BrokerConfig::from_static(text(map)).expect("builds");
        TopicConfig::resolve(&ConfigMap::new(), &broker).expect("resolves").retention_ms
    };
    assert_eq!(retention(&[]), 604_800_000);
    assert_eq!(retention(&[("log.retention.hours", "1")]), 3_600_000);
    assert_eq!(retention(&[("log.retention.hours", "1"), ("log.retention.minutes", "2")]), 120_000);
    assert_eq!(retention(&[("log.retention.minutes", "2"), ("log.retention.ms", "3")]), 3);
    assert_eq!(retention(&[("log.retention.hours", "-1")]), -1);
}

#[test]
fn rebalance_protocols_keep_the_classic_one_and_have_no_share_groups_yet() {
    let of = |protocols: &str| {
        let broker = BrokerConfig::from_static(text(&[("group.coordinator.rebalance.protocols", protocols)]));
        broker.map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(of("classic,consumer"), Ok(()));
    assert_eq!(of("consumer"), Err("Disabling the 'classic' protocol is not supported.".to_owned()));
    let refused = of("classic,share").expect_err("is not built yet");
    assert!(refused.contains("the share group protocol is not supported yet; remove share"), "{refused}");
}

/// Another allowed value than the default.
fn another(definition: &Definition) -> String {
    match definition.name {
        "listeners" | "advertised.listeners" => "PLAINTEXT://127.0.0.1:9999".to_owned(),
        "inter.broker.listener.name" => "B".to_owned(),
        "controller.listener.names" => "B".to_owned(),
        "controller.quorum.bootstrap.servers" => "127.0.0.1:9095".to_owned(),
        "max.connections.per.ip.overrides" => "127.0.0.1:5".to_owned(),
        "group.consumer.assignors" => "range".to_owned(),
        "group.consumer.migration.policy" => "upgrade".to_owned(),
        "group.coordinator.rebalance.protocols" => "classic".to_owned(),
        "log.cleanup.policy" | "cleanup.policy" => "compact".to_owned(),
        "log.message.timestamp.type" | "message.timestamp.type" => "LogAppendTime".to_owned(),
        "compression.type" => "zstd".to_owned(),
        "cordoned.log.dirs" => "*".to_owned(),
        "leader.replication.throttled.replicas" | "follower.replication.throttled.replicas" => {
            "0:1".to_owned()
        }
        "replica.selector.class" => "org.apache.kafka.common.replica.RackAwareReplicaSelector".to_owned(),
        "compression.gzip.level" => "5".to_owned(),
        "log.segment.bytes" | "segment.bytes" => "2000000".to_owned(),
        _ => another_of_type(definition),
    }
}

fn another_of_type(definition: &Definition) -> String {
    match definition.config_type {
        ConfigType::Boolean if definition.default.text() == Some("true") => "false".to_owned(),
        ConfigType::Boolean => "true".to_owned(),
        ConfigType::Double => "0.25".to_owned(),
        ConfigType::String | ConfigType::List | ConfigType::Class | ConfigType::Password => {
            "other".to_owned()
        }
        // One more than the default, or one less where that is not allowed.
        _ => {
            let n: i64 = definition.default.text().and_then(|text| text.parse().ok()).unwrap_or(6);
            if definition.name.contains(".min.") && n > 0 {
                // A lower bound must not pass what it bounds.
                return (n - 1).to_string();
            }
            let more = n.saturating_add(1).to_string();
            if more != n.to_string() && definition.parse(&more).is_ok() { more } else { (n - 1).to_string() }
        }
    }
}

/// A setting that the table calls honoured must change something that the broker can read.
#[test]
fn honoured_broker_settings_change_the_typed_settings() {
    // These are checked, and otherwise what they are anyway.
    let only_checked = ["process.roles", "controller.quorum.voters", "listener.security.protocol.map"];
    let two_listeners = [
        ("listeners", "PLAINTEXT://127.0.0.1:9092,B://127.0.0.1:9093,CONTROLLER://127.0.0.1:9094"),
        ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,B:PLAINTEXT,CONTROLLER:PLAINTEXT"),
    ];
    let shape = |fixed: ConfigMap| {
        let config = BrokerConfig::from_static(fixed).unwrap_or_else(|error| panic!("{error}"));
        let topic = TopicConfig::resolve(&ConfigMap::new(), &config).expect("resolves");
        (BrokerConfig { layers: Layers::default(), ..config }, topic)
    };
    let base = shape(text(&two_listeners));
    for definition in definitions(Scope::Broker).filter(|definition| definition.effect == Effect::Honoured) {
        if only_checked.contains(&definition.name) {
            continue;
        }
        let mut fixed = text(&two_listeners);
        fixed.insert(definition.name.to_owned(), another(definition));
        assert!(shape(fixed) != base, "{} changes nothing", definition.name);
    }
}

#[test]
fn honoured_topic_settings_change_the_typed_settings() {
    let broker = BrokerConfig::from_static(ConfigMap::new()).expect("builds");
    let base = TopicConfig::resolve(&ConfigMap::new(), &broker).expect("resolves");
    for definition in definitions(Scope::Topic).filter(|definition| definition.effect == Effect::Honoured) {
        let value = another(definition);
        let changed = TopicConfig::resolve(&text(&[(definition.name, &value)]), &broker).expect("resolves");
        assert!(changed != base, "{}={value} changes nothing", definition.name);
    }
}

#[test]
fn cordoned_log_dirs_are_log_dirs_or_all_of_them() {
    let with = |cordoned: &str| {
        let fixed = [("log.dirs", "/a,/b"), ("cordoned.log.dirs", cordoned)];
        let fixed = fixed.map(|(name, value)| (name.to_owned(), value.to_owned()));
        BrokerConfig::from_static(fixed.into()).map(|config| config.log.cordoned)
    };
    assert_eq!(with("").unwrap(), Vec::<std::path::PathBuf>::new());
    assert_eq!(with("/b").unwrap(), [std::path::PathBuf::from("/b")]);
    assert_eq!(with("*").unwrap().len(), 2);
    for (cordoned, message) in [
        (
            "/c,/a,/d",
            "requirement failed: All entries in cordoned.log.dirs must be present in log.dirs or log.dir. Missing \
             entries : /c, /d",
        ),
        ("/a,*", "requirement failed: When cordoned.log.dirs is set to *, it must not contain other values"),
    ] {
        assert_eq!(with(cordoned).unwrap_err().to_string(), message);
    }
}
