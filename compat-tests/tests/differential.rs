//! Ottla's answers beside those of Apache Kafka 4.4.0, field by field: see `differential/README.md`.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use ottla_compat_tests::differential::excluded::{EXCLUDED, is_excluded};
use ottla_compat_tests::differential::recording::Recorded;
use ottla_compat_tests::differential::schema::SCHEMA;
use ottla_compat_tests::differential::script::Script;
use ottla_compat_tests::differential::{random, suite};
use ottla_compat_tests::listed::{Known, unexplained};
use ottla_compat_tests::wire::Connection;
use ottla_compat_tests::{Broker, Target, needs};

static SCRIPT: LazyLock<Script> = LazyLock::new(|| suite::script(suite::SEEDS));
static RECORDED: LazyLock<Vec<Recorded>> = LazyLock::new(suite::recorded);

#[test]
fn every_conversation_is_recorded_and_nothing_else_is() {
    let written: BTreeSet<String> = SCRIPT.instances().into_iter().map(|instance| instance.id).collect();
    let recorded: BTreeSet<String> = RECORDED.iter().map(|recorded| recorded.id.clone()).collect();
    let missing: Vec<&String> = written.difference(&recorded).collect();
    let stale: Vec<&String> = recorded.difference(&written).collect();
    assert!(
        missing.is_empty() && stale.is_empty(),
        "run `cargo xtask differential record`\nnot recorded: {missing:#?}\nno longer written: {stale:#?}"
    );
}

/// The APIs and versions that the written conversations ask.
fn asked() -> BTreeSet<(String, i16)> {
    let written = SCRIPT.instances().into_iter().filter(|instance| instance.case.file != random::FILE);
    written.flat_map(|instance| instance.requests()).collect()
}

#[test]
fn every_version_of_every_api_is_asked_or_excluded() {
    let asked = asked();
    let mut missing = Vec::new();
    for api in SCHEMA.apis().iter().filter(|api| !is_excluded(&api.name)) {
        let versions = api.versions.0..=api.versions.1;
        missing
            .extend(versions.map(|v| (api.name.clone(), v)).filter(|asked_for| !asked.contains(asked_for)));
    }
    assert!(missing.is_empty(), "no conversation asks {missing:?}");
}

#[test]
fn what_is_excluded_exists_and_is_not_asked() {
    let asked = asked();
    for (name, reason) in EXCLUDED {
        assert!(SCHEMA.api(name).is_some(), "there is no {name}");
        assert!(!asked.iter().any(|(api, _)| api == name), "{name} is asked, and excluded: {reason}");
    }
}

#[test]
fn what_is_excluded_is_not_advertised() {
    needs!(Broker);
    let broker = Broker::start_as(Target::Ottla, &[]);
    let mut connection = Connection::open(broker.port()).expect("connect");
    let advertised = connection.api_versions(1).expect("ApiVersions");
    for (name, reason) in EXCLUDED {
        let api = SCHEMA.api(name).expect("an API");
        assert!(
            !advertised.iter().any(|(key, ..)| *key == api.key),
            "{name} is advertised, so conversations are to ask it: {reason}"
        );
    }
}

#[test]
fn no_recorded_conversation_has_a_mistake() {
    for recorded in RECORDED.iter() {
        for reaction in &recorded.reactions {
            let text = reaction.to_string();
            assert!(
                !text.starts_with("\"mistake") && !text.starts_with("\"undecodable"),
                "{}: {text}",
                recorded.id
            );
        }
    }
}

#[test]
fn no_listed_difference_hides_others() {
    let wide: Vec<usize> = suite::known().iter().filter(|known| known.is_wide()).map(Known::line).collect();
    assert!(wide.is_empty(), "lines {wide:?} of differences.txt say neither where nor what");
}

#[test]
fn every_answer_is_kafkas_or_listed() {
    needs!(Broker);
    let (_broker, endpoint) = suite::start(Target::Ottla);
    let ours = suite::run(&SCRIPT.instances(), &endpoint);
    let found = suite::compared(&RECORDED, &ours);
    let known = suite::known();
    let (unlisted, gone) = unexplained(&found, &known);
    let unlisted: Vec<String> = unlisted.iter().map(ToString::to_string).collect();
    assert!(
        unlisted.is_empty() && gone.is_empty(),
        "not listed (conversation | reaction:path | Kafka | ours):\n{}\n\nlisted and gone, lines {gone:?} of differences.txt",
        unlisted.join("\n")
    );
}
