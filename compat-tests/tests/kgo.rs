//! franz-go's own live tests; with `OTTLA_SUITE_NODES=3` against three brokers, with three replicas of every topic.

use std::time::Duration;

use ottla_compat_tests::layout::cache_dir;
use ottla_compat_tests::needs;
use ottla_compat_tests::nodes::Nodes;
use ottla_compat_tests::outcomes::Outcomes;
use ottla_compat_tests::process::{bound_command, run};
use ottla_compat_tests::scoreboard::{conclude, read_list};
use ottla_compat_tests::suite_list::Scope;

const LIMIT: Duration = Duration::from_secs(290);

#[test]
fn listed_live_tests_pass() {
    needs!(Broker, Kgo);
    let nodes = Nodes::start(&[]);
    let list = read_list("kgo");
    let mut command = bound_command(cache_dir().join("kgo/kgo.test"));
    command
        .current_dir(cache_dir().join("kgo/franz-go/pkg/kgo"))
        .args(["-test.v", "-test.timeout=280s"])
        .args(["-test.run", &top_level(list.must_pass(Scope::current()).into_iter())])
        .env("KGO_SEEDS", nodes.bootstrap())
        .env("KGO_TEST_RF", nodes.replication_factor().to_string())
        .env("KGO_TEST_RECORDS", if Scope::current() == Scope::Whole { "50000" } else { "10000" })
        .env("KGO_TEST_MAX_TOPIC_PARTS", "4")
        .env("KGO_LOG_LEVEL", "none");
    let output = run(command, None, LIMIT);
    let text = String::from_utf8_lossy(&output.stdout);
    let failures = text.lines().filter(|line| line.contains("_test.go:") || line.contains("--- FAIL"));
    eprintln!("{}", failures.take(60).collect::<Vec<_>>().join("\n"));
    conclude("kgo", &Outcomes::from_go(&text));
}

/// `^(A|B)$` of the listed tests; a subtest runs with its parent.
fn top_level<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.filter(|name| !name.contains('/')).collect();
    format!("^({})$", names.join("|"))
}
