//! What the documents say of the broker is what the broker says.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use ottla_protocol::{ApiKey, Listener};

use crate::support::Broker;

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
    check("README.md", "API table", &table);
}

#[test]
fn the_page_of_metrics_is_the_catalogue() {
    check("docs/METRICS.md", "series", &ottla_broker::telemetry::catalogue_page());
}

/// Labels and names of what is rendered are those of the catalogue, each name once.
#[tokio::test(flavor = "multi_thread")]
async fn every_series_is_in_the_catalogue() {
    let broker = Broker::start().await;
    broker.client().await;
    let text = broker.metrics().render();
    let page = ottla_broker::telemetry::catalogue_page();
    let rows: BTreeSet<(&str, String)> = page.lines().filter_map(row).collect();
    for line in text.lines().filter(|line| line.starts_with("ottla_") || line.starts_with("process_")) {
        let (series, _) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let labels: Vec<&str> = labels.split("\",").filter_map(|label| label.split('=').next()).collect();
        let labels = labels.into_iter().filter(|label| !label.is_empty() && *label != "le");
        let labels = labels.map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
        let known = |name| rows.contains(&(name, labels.clone()));
        assert!(known(name) || family.is_some_and(known), "{line} with {labels} is not in the catalogue");
    }
}

/// The name and the labels of a row of the catalogue.
fn row(line: &str) -> Option<(&str, String)> {
    let cells: Vec<&str> = line.split(" | ").collect();
    let name = cells.first()?.strip_prefix("| `")?.strip_suffix('`')?;
    Some((name, (*cells.get(3)?).to_owned()))
}

/// The part `name` of the file is `expected`; with `OTTLA_UPDATE=1` it is made so.
fn check(file: &str, name: &str, expected: &str) {
    let begin = format!(
        "<!-- begin: {name} (cargo test -p ottla-broker readme, with OTTLA_UPDATE=1 to rewrite) -->\n"
    );
    let end = format!("<!-- end: {name} -->\n");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
    let page = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = page.split_once(&begin).expect("the page has the part's begin");
    let (found, tail) = rest.split_once(&end).expect("the page has the part's end");
    if std::env::var_os("OTTLA_UPDATE").is_some() {
        std::fs::write(&path, format!("{head}{begin}{expected}{end}{tail}")).unwrap();
    } else {
        assert_eq!(found, expected, "run the test with OTTLA_UPDATE=1");
    }
}
