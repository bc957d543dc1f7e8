//! The README's compatibility table says what the broker advertises.

use std::fmt::Write as _;
use std::path::Path;

use ottla_protocol::{ApiKey, Listener};

use crate::support::Broker;

const BEGIN: &str =
    "<!-- begin: API table (cargo test -p ottla-broker readme, with OTTLA_UPDATE=1 to rewrite) -->\n";
const END: &str = "<!-- end: API table -->\n";

#[tokio::test(flavor = "multi_thread")]
async fn the_api_table_is_what_the_broker_advertises() {
    let broker = Broker::start().await;
    let client = broker.client().await;
    let mut table = String::from("| key | API | versions |\n|--|--|--|\n");
    let mut absent = Vec::new();
    for key in ApiKey::ALL {
        match client.broker_versions(*key) {
            Some((min, max)) => {
                writeln!(table, "| {} | {} | {min} to {max} |", key.code(), key.spec().name).unwrap()
            }
            None if key.spec().listener != Listener::Controller => absent.push(key.spec().name),
            None => {}
        }
    }
    writeln!(table, "\nNot served yet, and not advertised: {}.", absent.join(", ")).unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = readme.split_once(BEGIN).expect("the README has the table's begin");
    let (found, tail) = rest.split_once(END).expect("the README has the table's end");
    if std::env::var_os("OTTLA_UPDATE").is_some() {
        std::fs::write(&path, format!("{head}{BEGIN}{table}{END}{tail}")).unwrap();
    } else {
        assert_eq!(found, table, "run the test with OTTLA_UPDATE=1");
    }
}
