//! librdkafka's own tests, in three passes; with `OTTLA_SUITE_NODES=3` against three brokers.

use std::sync::{Mutex, PoisonError};

use ottla_compat_tests::librdkafka::{Pass, run};
use ottla_compat_tests::needs;
use ottla_compat_tests::outcomes::Outcome;
use ottla_compat_tests::scoreboard::{conclude, read_list};
use ottla_compat_tests::suite_list::{Scope, SuiteList};

/// A pass has its own workers: two at once would only be late.
static ONE_PASS: Mutex<()> = Mutex::new(());

fn listed_tests_pass(pass: Pass, list: &str) {
    let _alone = ONE_PASS.lock().unwrap_or_else(PoisonError::into_inner);
    match std::env::var("OTTLA_LIBRDKAFKA") {
        Ok(chosen) => chosen_tests_pass(pass, &read_list(list), &chosen),
        Err(_) => {
            let outcomes = run(pass, &read_list(list).must_pass(Scope::current()));
            conclude(list, &outcomes);
        }
    }
}

/// Tests by hand, whatever the list says of them: those whose names begin with one of these, `0045,0081_admin/Acls`.
fn chosen_tests_pass(pass: Pass, list: &SuiteList, chosen: &str) {
    let is_chosen = |name: &&str| chosen.split(',').any(|start| name.starts_with(start));
    let outcomes = run(pass, &list.iter().map(|(name, _)| name).filter(is_chosen).collect());
    let failed: Vec<String> = outcomes
        .iter()
        .filter(|(_, outcome)| **outcome != Outcome::Passed)
        .map(|(name, outcome)| format!("{name}: {outcome}"))
        .collect();
    assert!(failed.is_empty() && outcomes.iter().count() > 0, "{chosen}:\n{}", failed.join("\n"));
}

#[test]
fn with_the_classic_group_protocol() {
    needs!(Broker, Librdkafka, Tools);
    listed_tests_pass(Pass::Classic, "librdkafka-classic");
}

#[test]
fn with_idempotent_producers() {
    needs!(Broker, Librdkafka, Tools);
    listed_tests_pass(Pass::Idempotent, "librdkafka-idempotent");
}

#[test]
fn with_the_consumer_group_protocol() {
    needs!(Broker, Librdkafka, Tools);
    listed_tests_pass(Pass::Consumer, "librdkafka-consumer");
}
