//! The public scoreboard, `docs/COMPATIBILITY.md`: which tests of which client pass, which do not, and why.
//!
//! A whole run leaves the outcomes of each list in a file, and the page is made of these. In every other run the page
//! must say what the lists say.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use crate::layout::{crate_dir, target_dir};
use crate::nodes::Nodes;
use crate::outcomes::Outcomes;
use crate::suite_list::{Scope, SuiteList};

/// A line of the scoreboard: tests of one client in one version, run in one way.
#[derive(Debug)]
pub struct Suite {
    pub client: &'static str,
    pub what: &'static str,
    /// `suites/LIST.txt`, and the part of it whose names begin so.
    pub list: &'static str,
    pub prefix: &'static str,
    /// The file below `compat-tests` that names the version, and the text before it there.
    version: (&'static str, &'static str),
}

const fn suite(
    client: &'static str,
    what: &'static str,
    (list, prefix): (&'static str, &'static str),
    version: (&'static str, &'static str),
) -> Suite {
    Suite { client, what, list, prefix, version }
}

const LIBRDKAFKA: (&str, &str) = ("librdkafka-suite/version.txt", "librdkafka ");

/// Everything on the board.
pub const SUITES: &[Suite] = &[
    suite("librdkafka", "its own tests", ("librdkafka-classic", ""), LIBRDKAFKA),
    suite("librdkafka", "its own tests, idempotent producers", ("librdkafka-idempotent", ""), LIBRDKAFKA),
    suite("librdkafka", "its own tests, consumer group protocol", ("librdkafka-consumer", ""), LIBRDKAFKA),
    suite("rdkafka (Rust)", "its own tests", ("rdkafka", ""), ("rdkafka-suite/Cargo.toml", "rdkafka = ")),
    suite("franz-go", "its own tests (kgo)", ("kgo", ""), ("kgo-suite/module.txt", "franz-go@")),
    program("confluent-kafka", "confluent-kafka/newest/", ("python/newest.txt", "confluent-kafka==")),
    program("confluent-kafka", "confluent-kafka/oldest/", ("python/oldest.txt", "confluent-kafka==")),
    program("kafka-python", "kafka-python/newest/", ("python/newest.txt", "kafka-python==")),
    program("kafka-python", "kafka-python/oldest/", ("python/oldest.txt", "kafka-python==")),
    program("aiokafka", "aiokafka/newest/", ("python/newest.txt", "aiokafka==")),
    program("aiokafka", "aiokafka/oldest/", ("python/oldest.txt", "aiokafka==")),
    program("KafkaJS", "kafkajs/newest/", ("node/package.json", "newest\": \"npm:kafkajs@")),
    program("KafkaJS", "kafkajs/oldest/", ("node/package.json", "oldest\": \"npm:kafkajs@")),
    program("sarama", "sarama/newest/", ("go/go.mod", "IBM/sarama ")),
    program("sarama", "sarama/oldest/", ("go/oldest.mod", "IBM/sarama ")),
    program("kafka-go", "kafka-go/newest/", ("go/go.mod", "segmentio/kafka-go ")),
    program("kafka-go", "kafka-go/oldest/", ("go/oldest.mod", "segmentio/kafka-go ")),
];

/// Cases of our own over a client library.
const fn program(client: &'static str, prefix: &'static str, version: (&'static str, &'static str)) -> Suite {
    suite(client, "programs of ours", ("clients", prefix), version)
}

impl Suite {
    /// The part of the list that is about this suite.
    pub fn list(&self) -> SuiteList {
        read_list(self.list).part(self.prefix)
    }

    /// The version as the package manager's file has it.
    fn version(&self) -> String {
        let (file, before) = self.version;
        let text = fs::read_to_string(crate_dir().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        version_after(&text, before).unwrap_or_else(|| panic!("{file} has no version after {before:?}"))
    }
}

/// `suites/NAME.txt`.
pub fn read_list(name: &str) -> SuiteList {
    SuiteList::read(&crate_dir().join("suites").join(format!("{name}.txt")))
}

/// The version that stands after `before`: digits and what versions are made of.
fn version_after(text: &str, before: &str) -> Option<String> {
    let rest = text.split_once(before)?.1.trim_start_matches(['"', '=', 'v', ' ']);
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || ".+-".contains(c))).unwrap_or(rest.len());
    Some(rest[..end].to_owned()).filter(|version| !version.is_empty())
}

/// Keeps what a whole run came to, and fails the test when it is not what the list says.
#[track_caller]
pub fn conclude(list: &str, outcomes: &Outcomes) {
    let scope = Scope::current();
    // The page tells of one broker.
    if scope == Scope::Whole && !Nodes::are_three() {
        let passed: Vec<&str> = outcomes.passed().into_iter().collect();
        let file = results_file(list);
        fs::create_dir_all(file.parent().expect("a directory of results")).expect("create it");
        fs::write(file, passed.join("\n")).expect("write the results");
    }
    read_list(list).check(scope, outcomes);
}

fn results_file(list: &str) -> PathBuf {
    target_dir().join("compat-results").join(format!("{list}.txt"))
}

/// Names of the tests of a list that passed in the last whole run.
pub fn results(list: &str) -> BTreeSet<String> {
    let file = results_file(list);
    let text = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}; a whole run?", file.display()));
    text.lines().map(str::to_owned).collect()
}

/// The page, when these tests of each suite passed.
pub fn page(passed: impl Fn(&Suite) -> BTreeSet<String>) -> String {
    let mut table = String::new();
    let mut reasons = String::new();
    for suite in SUITES {
        let list = suite.list();
        let passed = passed(suite);
        let excluded = list.excluded();
        let not: Vec<&str> =
            list.iter().map(|(name, _)| name).filter(|name| !passed.contains(*name)).collect();
        let (client, what, version) = (suite.client, suite.what, suite.version());
        let _ = writeln!(table, "| {client} | {version} | {what} | {} | {} |", passed.len(), not.len());
        if !not.is_empty() {
            let _ = writeln!(reasons, "\n### {client} {version}, {what}\n");
            reasons.push_str(&by_reason(&not, &excluded));
        }
    }
    format!("{HEAD}\n{TABLE_HEAD}{table}\n## Not passed, and why\n{reasons}")
}

const HEAD: &str = "\
# Compatibility

Other people's tests and clients, against one Ottla broker. This page is made by `cargo xtask test --all`, which runs all of
it, from what passed; the lists that it is held against are `compat-tests/suites/*.txt`.

Tests that never speak to a broker (librdkafka's local and mock-cluster ones) are not counted.
";

const TABLE_HEAD: &str = "| client | version | what runs | passed | not passed |\n|--|--|--|--|--|\n";

/// One line a reason, with the names of the tests it holds for.
fn by_reason(names: &[&str], excluded: &BTreeMap<&str, &str>) -> String {
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for name in names {
        let reason = excluded.get(name).copied().unwrap_or("failed, and must pass");
        reasons.entry(reason).or_default().push(name);
    }
    let line = |(reason, names): (&str, Vec<&str>)| format!("- {reason}: `{}`\n", names.join("`, `"));
    reasons.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_found_in_files_of_every_kind() {
        for (text, before, version) in [
            ("a==1\nconfluent-kafka==2.16.1\n", "confluent-kafka==", "2.16.1"),
            ("\"kafkajs\": \"npm:kafkajs@2.2.4\",", "npm:kafkajs@", "2.2.4"),
            ("rdkafka = \"=0.39.0\"\n", "rdkafka = ", "0.39.0"),
            ("\tgithub.com/IBM/sarama v1.61.1\n", "IBM/sarama ", "1.61.1"),
        ] {
            assert_eq!(version_after(text, before).as_deref(), Some(version));
        }
        assert_eq!(version_after("kafkajs", "sarama"), None);
    }

    #[test]
    fn names_stand_with_their_reason() {
        let excluded = BTreeMap::from([("b", "transactions"), ("c", "transactions")]);
        assert_eq!(
            by_reason(&["a", "b", "c"], &excluded),
            "- failed, and must pass: `a`\n- transactions: `b`, `c`\n"
        );
    }
}
