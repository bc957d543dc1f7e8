//! franz-go's own live tests: those on the list must pass, and the list only grows.

use std::time::Duration;

use ottla_compat_tests::layout::{cache_dir, crate_dir};
use ottla_compat_tests::must_pass::{Outcomes, read_list};
use ottla_compat_tests::process::{bound_command, run};
use ottla_compat_tests::{Broker, needs};

const LIMIT: Duration = Duration::from_secs(240);

#[test]
fn listed_live_tests_pass() {
    needs!(Broker, Kgo);
    let broker = Broker::start();
    let list = read_list(&crate_dir().join("must-pass/kgo.txt"));
    let mut command = bound_command(cache_dir().join("kgo/kgo.test"));
    command
        .current_dir(cache_dir().join("kgo/franz-go/pkg/kgo"))
        .args(["-test.v", "-test.timeout=230s", "-test.run", &top_level(&list)])
        .env("KGO_SEEDS", broker.address())
        .env("KGO_TEST_RF", "1")
        .env("KGO_TEST_RECORDS", "10000")
        .env("KGO_TEST_MAX_TOPIC_PARTS", "4")
        .env("KGO_LOG_LEVEL", "none");
    let output = run(command, None, LIMIT);
    let text = String::from_utf8_lossy(&output.stdout);
    let outcomes = Outcomes::from_go(&text);
    let failures = text.lines().filter(|line| line.contains("_test.go:") || line.contains("--- FAIL"));
    eprintln!("{}", failures.take(60).collect::<Vec<_>>().join("\n"));
    outcomes.check(&list);
}

/// `^(A|B)$` of the listed tests; a subtest runs with its parent.
fn top_level(list: &[String]) -> String {
    let names: Vec<&str> = list.iter().filter(|name| !name.contains('/')).map(String::as_str).collect();
    format!("^({})$", names.join("|"))
}
