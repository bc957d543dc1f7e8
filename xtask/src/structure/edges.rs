//! Dependencies between the workspace's crates: only the listed ones, and no listed one that is gone.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{entries, table};
use crate::command::{cargo, output, read};
use crate::error::{Error, Result};

type Edge = (String, String);

/// Findings for edges that are not listed, listed without a reason, or listed and gone.
pub(super) fn check() -> Result<Vec<String>> {
    let metadata = output(cargo().args(["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: Value = serde_json::from_str(&metadata).map_err(|e| Error::Metadata(e.to_string()))?;
    Ok(compare(&actual(&metadata), &read(&table("edges.txt"))?))
}

fn compare(actual: &BTreeSet<Edge>, table: &str) -> Vec<String> {
    let (listed, mut findings) = parse(table);
    for edge in actual.iter().filter(|edge| !listed.contains_key(*edge)) {
        findings.push(format!(
            "{} -> {}: a dependency that edges.txt does not list with its reason",
            edge.0, edge.1
        ));
    }
    for (from, to) in listed.keys().filter(|edge| !actual.contains(*edge)) {
        findings.push(format!("{from} -> {to}: listed in edges.txt, and there is no such dependency"));
    }
    findings
}

/// Edges from `cargo metadata --no-deps`, of all kinds.
fn actual(metadata: &Value) -> BTreeSet<Edge> {
    let packages = || metadata["packages"].as_array().into_iter().flatten();
    let members: BTreeSet<&str> = packages().filter_map(|package| package["name"].as_str()).collect();
    let mut edges = BTreeSet::new();
    for package in packages() {
        let Some(from) = package["name"].as_str() else { continue };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            if let Some(to) = dependency["name"].as_str().filter(|to| members.contains(to)) {
                edges.insert((short(from), short(to)));
            }
        }
    }
    edges
}

fn short(name: &str) -> String {
    name.strip_prefix("ottla-").unwrap_or(name).to_owned()
}

/// The listed edges with their reasons, and a finding for each line that is not `FROM -> TO: REASON`.
fn parse(table: &str) -> (BTreeMap<Edge, String>, Vec<String>) {
    let mut listed = BTreeMap::new();
    let mut findings = Vec::new();
    for line in entries(table) {
        let parsed =
            line.split_once(": ").and_then(|(edge, reason)| Some((edge.split_once(" -> ")?, reason)));
        match parsed {
            Some(((from, to), reason)) => {
                listed.insert((from.trim().to_owned(), to.trim().to_owned()), reason.to_owned());
            }
            None => findings.push(format!("edges.txt: `{line}` is not `FROM -> TO: REASON`")),
        }
    }
    (listed, findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges(pairs: &[(&str, &str)]) -> BTreeSet<Edge> {
        pairs.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect()
    }

    #[test]
    fn listed_edges_pass() {
        assert!(compare(&edges(&[("b", "a")]), "# comment\nb -> a: because\n").is_empty());
    }

    #[test]
    fn unlisted_gone_and_unreasoned_edges_are_found() {
        assert_eq!(compare(&edges(&[("a", "b")]), "").len(), 1);
        assert_eq!(compare(&edges(&[]), "b -> a: because").len(), 1);
        assert_eq!(compare(&edges(&[("b", "a")]), "b -> a").len(), 2);
    }

    #[test]
    fn edges_of_all_kinds_are_read() {
        let metadata = serde_json::json!({"packages": [
            {"name": "ottla-a", "dependencies": [{"name": "ottla-b", "kind": "dev"}, {"name": "bytes"}]},
            {"name": "ottla-b", "dependencies": []},
        ]});
        assert_eq!(actual(&metadata), edges(&[("a", "b")]));
    }
}
