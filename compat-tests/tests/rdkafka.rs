//! The rdkafka crate's own integration tests: those on the list must pass, and the list only grows.

use std::fs;
use std::time::Duration;

use ottla_compat_tests::layout::{cache_dir, crate_dir};
use ottla_compat_tests::must_pass::{Outcomes, read_list};
use ottla_compat_tests::process::{bound_command, run};
use ottla_compat_tests::{Broker, needs};

const LIMIT: Duration = Duration::from_secs(150);

/// What the suite's own container sets: it asks for broker 0, and for three partitions of topics nobody created.
const SETTINGS: [(&str, &str); 2] = [("node.id", "0"), ("num.partitions", "3")];

#[test]
fn listed_integration_tests_pass() {
    needs!(Broker, RdkafkaSuite);
    let broker = Broker::start_with(&SETTINGS);
    let list = read_list(&crate_dir().join("must-pass/rdkafka.txt"));
    let suites = fs::read_to_string(cache_dir().join("rdkafka/suite.txt")).expect("the list of binaries");
    let mut outcomes = Outcomes::default();
    for (suite, binary) in suites.lines().filter_map(|line| line.split_once('\t')) {
        if !list.iter().any(|name| name.starts_with(&format!("{suite}::"))) {
            continue;
        }
        let mut command = bound_command(binary);
        command.arg("--test-threads=2").env("KAFKA_HOST", broker.address()).env("RUST_LOG", "off");
        let text = run(command, None, LIMIT).stdout;
        let text = String::from_utf8_lossy(&text);
        eprintln!(
            "{}",
            text.lines().filter(|line| line.contains("panicked at")).collect::<Vec<_>>().join("\n")
        );
        outcomes.extend(Outcomes::from_libtest(suite, &text));
    }
    outcomes.check(&list);
}
