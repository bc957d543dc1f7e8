//! The one rule: clocks, randomness, threads and tokio exist only at the edge.

use std::path::PathBuf;

use super::source::Source;
use super::{entries, table};
use crate::command::read;
use crate::error::Result;

/// What a pure crate may not say.
const FORBIDDEN: [&str; 9] = [
    "Instant::now",
    "SystemTime::now",
    "std::thread",
    "thread::spawn",
    "tokio::",
    "rand::",
    "Uuid::new_v4",
    "std::net::Tcp",
    "std::process::",
];

/// Findings for each line of a pure crate, outside its tests and its listed edges, that breaks the rule.
pub(super) fn check(sources: &[Source]) -> Result<Vec<String>> {
    let table = Table::parse(&read(&table("purity.txt"))?);
    let mut findings = table.malformed.clone();
    for source in sources.iter().filter(|source| table.covers(source)) {
        for (number, line) in source.code_lines() {
            if let Some(word) = FORBIDDEN.iter().find(|word| line.contains(**word)) {
                findings.push(format!("{}:{number}: `{word}` below the edge", source.path.display()));
            }
        }
    }
    Ok(findings)
}

#[derive(Debug, Default)]
struct Table {
    pure: Vec<PathBuf>,
    edges: Vec<PathBuf>,
    malformed: Vec<String>,
}

impl Table {
    fn parse(text: &str) -> Self {
        let mut table = Table::default();
        for line in entries(text) {
            match line.split_once(' ') {
                Some(("pure", name)) => table.pure.push(PathBuf::from(format!("crates/{name}/src"))),
                Some(("edge", rest)) if rest.contains(": ") => {
                    table.edges.extend(rest.split(": ").next().map(PathBuf::from));
                }
                _ => table
                    .malformed
                    .push(format!("purity.txt: `{line}` is neither `pure CRATE` nor `edge PATH: REASON`")),
            }
        }
        table
    }

    fn covers(&self, source: &Source) -> bool {
        let below = |dirs: &[PathBuf]| dirs.iter().any(|dir| source.path.starts_with(dir));
        !source.is_test() && below(&self.pure) && !below(&self.edges)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source { path: PathBuf::from(path), text: text.to_owned() }
    }

    #[test]
    fn listed_edge_and_tests_are_left_out() {
        let table = Table::parse("pure a\nedge crates/a/src/raft: runs on tokio\n");
        assert!(table.covers(&source("crates/a/src/lib.rs", "")));
        assert!(!table.covers(&source("crates/a/src/raft/net.rs", "")));
        assert!(!table.covers(&source("crates/a/src/log/tests.rs", "")));
        assert!(!table.covers(&source("crates/b/src/lib.rs", "")));
    }

    #[test]
    fn edge_without_a_reason_is_malformed() {
        assert_eq!(Table::parse("edge crates/a/src/raft").malformed.len(), 1);
    }

    #[test]
    fn comments_and_test_modules_are_not_code() {
        let text = "// Instant::now\nlet x = 1;\n#[cfg(test)]\nmod tests {\n    Instant::now();\n}\n";
        let source = source("crates/a/src/lib.rs", text);
        assert_eq!(source.code_lines().collect::<Vec<_>>(), [(2, "let x = 1;")]);
    }
}
