//! `grafana/`: its files are what the code makes, every query names series that the broker exports, and a Prometheus that
//! scrapes a loaded broker has data for each of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use ottla_compat_tests::broker::free_ports;
use ottla_compat_tests::http::get;
use ottla_compat_tests::kcat::{kcat, kcat_any};
use ottla_compat_tests::layout::{cache_dir, crate_dir, scratch_dir};
use ottla_compat_tests::needs::only_on;
use ottla_compat_tests::process::{bound_command, eventually, run, spawn};
use ottla_compat_tests::{Broker, Target, needs};
use ottla_dashboards::{ALERTS, Board, boards, files};
use regex::Regex;
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(60);

fn grafana_dir() -> PathBuf {
    crate_dir().join("../grafana")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn the_files_are_what_the_code_makes() {
    for (name, text) in files() {
        let path = grafana_dir().join(&name);
        if std::env::var_os("OTTLA_UPDATE").is_some() {
            fs::write(&path, &text).expect("write");
        }
        let found = read(&path);
        // The order of keys is not ours to say.
        let is_same = match serde_json::from_str::<Value>(&text) {
            Ok(made) => serde_json::from_str::<Value>(&found).ok() == Some(made),
            Err(_) => found == text,
        };
        assert!(is_same, "{name}: run the test with OTTLA_UPDATE=1");
    }
    let made = files().into_iter().filter(|(name, _)| name.starts_with("dashboards/")).count();
    let there = fs::read_dir(grafana_dir().join("dashboards")).expect("a directory").count();
    assert_eq!(there, made, "files of dashboards that are gone");
}

/// Every query of the dashboards and the rules, and the series that variables are made of.
fn queries() -> Vec<String> {
    let of_board = |board: &Board| -> Vec<String> {
        let queries = board.panels.iter().flat_map(|panel| panel.queries);
        let variables = board.variables.iter().map(|variable| variable.series.to_owned());
        queries.map(|query| query.expr.to_owned()).chain(variables).collect()
    };
    let of_alerts = ALERTS.iter().map(|alert| alert.expr.to_owned());
    boards().iter().flat_map(of_board).chain(of_alerts).collect()
}

#[test]
fn every_query_names_series_of_the_catalogue() {
    let page = read(&crate_dir().join("../docs/METRICS.md"));
    let row = Regex::new(r"(?m)^\| `(\w+)` \| (\w+) \|").expect("a pattern");
    let mut known = BTreeSet::from(["up".to_owned()]);
    for row in row.captures_iter(&page) {
        let endings: &[&str] = if &row[2] == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
        known.extend(endings.iter().map(|ending| format!("{}{ending}", &row[1])));
    }
    let name = Regex::new(r"\b(?:ottla|process|kafka)_\w+").expect("a pattern");
    for query in queries() {
        let named: Vec<&str> = name.find_iter(&query).map(|found| found.as_str()).collect();
        assert!(!named.is_empty() || query.contains("up{"), "{query} names no series");
        for series in named {
            assert!(known.contains(series), "{query}: the broker has no {series}");
        }
    }
}

#[test]
fn prometheus_has_data_for_every_query_and_rule() {
    needs!(Broker, Kcat, Prometheus);
    if !only_on(Target::Ottla) {
        return;
    }
    let settings = [
        ("log.flush.interval.messages", "1"),
        ("log.cleanup.policy", "compact"),
        ("offsets.topic.num.partitions", "1"),
        ("group.initial.rebalance.delay.ms", "0"),
    ];
    let broker = Broker::start_with(&settings);
    let dir = scratch_dir("prometheus");
    let [port] = free_ports();
    let mut prometheus = start_prometheus(&dir, port, broker.second_port());
    let missing = |queries: &[String]| -> Vec<String> {
        queries.iter().filter(|query| !has_data(port, query)).cloned().collect()
    };
    let mut open: Vec<String> = queries();
    eventually("every query has data", LIMIT, || {
        load(&broker);
        open = missing(&open);
        eprintln!("{} queries without data: {open:#?}", open.len());
        open.is_empty().then_some(())
    });
    let rules = api(port, "/api/v1/rules");
    let rules = rules["data"]["groups"][0]["rules"].as_array().expect("rules").clone();
    assert_eq!(rules.len(), ALERTS.len());
    for rule in rules {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
    let _ = prometheus.kill();
    let _ = prometheus.wait();
}

/// A little of everything: records in and out, a group that is behind, errors.
fn load(broker: &Broker) {
    let keyed: String = (0..50).map(|n| format!("{n}:value\n")).collect();
    kcat(broker, &["-P", "-t", "loaded", "-K:"], Some(keyed.as_bytes()));
    kcat(broker, &["-G", "readers", "-X", "auto.offset.reset=earliest", "-c", "20", "-q", "loaded"], None);
    kcat(broker, &["-C", "-t", "loaded", "-o", "beginning", "-e", "-q"], None);
    // Without a key, and the topic is compacted.
    let refused = kcat_any(broker, &["-P", "-t", "loaded"], Some(b"no key\n"));
    assert!(!refused.status.success(), "a record without a key was taken");
}

/// With the project's own configuration, which must pass Prometheus's check; only the target and the pace are other.
fn start_prometheus(dir: &Path, port: u16, metrics_port: u16) -> Child {
    let rules = grafana_dir().join("alerts.yml").canonicalize().expect("alerts.yml");
    let config = read(&crate_dir().join("../docker/prometheus.yml"))
        .replace("ottla:9404", &format!("127.0.0.1:{metrics_port}"))
        .replace("/etc/prometheus/alerts.yml", &rules.display().to_string())
        .replace("15s", "500ms");
    let file = dir.join("prometheus.yml");
    fs::write(&file, config).expect("write");
    let mut check = bound_command(bin_dir().join("promtool"));
    check.args(["check", "config"]).arg(&file);
    let checked = run(check, None, LIMIT);
    let said = [checked.stdout, checked.stderr].concat();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&said));

    let mut command = bound_command(bin_dir().join("prometheus"));
    command.arg(format!("--config.file={}", file.display()));
    command.arg(format!("--storage.tsdb.path={}", dir.join("data").display()));
    command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let log = fs::File::create(dir.join("log")).expect("a log file");
    command.stdin(Stdio::null()).stdout(log.try_clone().expect("a second handle")).stderr(log);
    let child = spawn(command).expect("start prometheus");
    eventually("prometheus is ready", LIMIT, || {
        get(port, "/-/ready").ok().filter(|(status, _)| *status == 200)
    });
    child
}

fn bin_dir() -> PathBuf {
    cache_dir().join("prometheus/usr/bin")
}

/// Whether a query has at least one number; what a user chooses in Grafana is everything.
fn has_data(port: u16, query: &str) -> bool {
    let query = query.replace("$__rate_interval", "10s").replace("$topic", ".*").replace("$group", ".*");
    let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let answer = api(port, &format!("/api/v1/query?query={encoded}"));
    assert_eq!(answer["status"], "success", "{query}: {answer}");
    let series = answer["data"]["result"].as_array().cloned().unwrap_or_default();
    let mut values = series.iter().filter_map(|series| series["value"][1].as_str()?.parse::<f64>().ok());
    values.any(|value| !value.is_nan())
}

fn api(port: u16, path: &str) -> Value {
    let (_, body) = get(port, path).expect("prometheus answers");
    serde_json::from_str(&body).unwrap_or_else(|e| panic!("{path}: {e}: {body}"))
}
