//! librdkafka's own tests, in three passes.

use std::sync::{Mutex, PoisonError};

use ottla_compat_tests::librdkafka::{Pass, run};
use ottla_compat_tests::needs;
use ottla_compat_tests::scoreboard::{conclude, read_list};
use ottla_compat_tests::suite_list::Scope;

/// A pass has its own workers: two at once would only be late.
static ONE_PASS: Mutex<()> = Mutex::new(());

fn listed_tests_pass(pass: Pass, list: &str) {
    let _alone = ONE_PASS.lock().unwrap_or_else(PoisonError::into_inner);
    let outcomes = run(pass, &read_list(list).must_pass(Scope::current()));
    conclude(list, &outcomes);
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
