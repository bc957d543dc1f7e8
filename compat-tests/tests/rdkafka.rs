//! The rdkafka crate's own integration tests.

use std::fs;
use std::time::Duration;

use ottla_compat_tests::layout::cache_dir;
use ottla_compat_tests::outcomes::Outcomes;
use ottla_compat_tests::process::{bound_command, run};
use ottla_compat_tests::scoreboard::conclude;
use ottla_compat_tests::{Broker, needs};

const LIMIT: Duration = Duration::from_secs(300);

/// What the suite's own container sets: it asks for broker 0, and for three partitions of topics nobody created. Its records
/// are of 1970: retention, which looks half a minute after the start, would take them from under the test.
const SETTINGS: [(&str, &str); 3] = [("node.id", "0"), ("num.partitions", "3"), ("log.retention.ms", "-1")];

#[test]
fn listed_integration_tests_pass() {
    needs!(Broker, RdkafkaSuite);
    let broker = Broker::start_with(&SETTINGS);
    let suites = fs::read_to_string(cache_dir().join("rdkafka/suite.txt")).expect("the list of binaries");
    let mut outcomes = Outcomes::default();
    for (suite, binary) in suites.lines().filter_map(|line| line.split_once('\t')) {
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
    conclude("rdkafka", &outcomes);
}
