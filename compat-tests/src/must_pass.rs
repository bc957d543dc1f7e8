//! Other projects' test suites: the list of tests that must pass (it only grows), and reading what a run reported.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The outcome of each test of one run of a foreign suite.
#[derive(Debug, Default)]
pub struct Outcomes(BTreeMap<String, bool>);

impl Outcomes {
    /// From `go test -v`: `--- PASS: TestX (0.01s)`, subtests indented.
    pub fn from_go(text: &str) -> Self {
        let outcome = |line: &str| {
            let line = line.trim_start();
            let (passed, rest) = match line.strip_prefix("--- PASS: ") {
                Some(rest) => (true, rest),
                None => (false, line.strip_prefix("--- FAIL: ")?),
            };
            Some((rest.split(' ').next()?.to_owned(), passed))
        };
        Self(text.lines().filter_map(outcome).collect())
    }

    /// From `cargo test`'s binary named `suite`: `test name ... ok`.
    ///
    /// With `--nocapture` other output can stand between name and outcome, so the binary must capture.
    pub fn from_libtest(suite: &str, text: &str) -> Self {
        let outcome = |line: &str| {
            let (name, outcome) = line.strip_prefix("test ")?.split_once(" ... ")?;
            Some((format!("{suite}::{name}"), outcome.starts_with("ok")))
        };
        Self(text.lines().filter_map(outcome).collect())
    }

    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub fn passed(&self) -> BTreeSet<&str> {
        self.0.iter().filter(|(_, passed)| **passed).map(|(name, _)| name.as_str()).collect()
    }

    /// Fails the test unless every listed test passed; prints which unlisted ones passed, to be added.
    #[track_caller]
    pub fn check(&self, list: &[String]) {
        let passed = self.passed();
        let listed: BTreeSet<&str> = list.iter().map(String::as_str).collect();
        let grown: Vec<&&str> = passed.difference(&listed).collect();
        println!("{} of {} passed; not on the list: {grown:?}", passed.len(), self.0.len());
        let failed: Vec<String> = listed
            .difference(&passed)
            .map(|name| {
                format!("{name}: {}", if self.0.contains_key(*name) { "failed" } else { "did not run" })
            })
            .collect();
        assert!(failed.is_empty(), "of the must-pass list:\n{}", failed.join("\n"));
    }
}

/// The names in a must-pass file: one a line, `#` starts a comment.
pub fn read_list(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let name = |line: &str| line.split('#').next().unwrap_or_default().trim().to_owned();
    text.lines().map(name).filter(|line| !line.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_output_is_read() {
        let text = "=== RUN   TestA\n--- PASS: TestA (0.10s)\n    --- FAIL: TestB/sub (0.00s)\n--- FAIL: TestB (1.0s)\n";
        let outcomes = Outcomes::from_go(text);
        assert_eq!(outcomes.passed(), BTreeSet::from(["TestA"]));
        assert_eq!(outcomes.0.len(), 3);
    }

    #[test]
    fn libtest_output_is_read() {
        let outcomes = Outcomes::from_libtest("s", "running 2 tests\ntest a ... ok\ntest m::b ... FAILED\n");
        assert_eq!(outcomes.passed(), BTreeSet::from(["s::a"]));
        assert_eq!(outcomes.0.len(), 2);
    }

    #[test]
    #[should_panic(expected = "b: did not run")]
    fn listed_test_that_did_not_run_fails() {
        Outcomes::from_go("--- PASS: a (0s)").check(&["a".to_owned(), "b".to_owned()]);
    }
}
