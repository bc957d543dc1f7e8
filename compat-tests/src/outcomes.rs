//! Reading what a run of a foreign suite reported.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What one test came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    Failed,
    /// It ran and left out what it is there for, for a reason of its own.
    Skipped,
    /// Killed at its time limit.
    TimedOut,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Outcome::Passed => "passed",
            Outcome::Failed => "failed",
            Outcome::Skipped => "skipped itself",
            Outcome::TimedOut => "did not end in time",
        })
    }
}

/// The outcome of each test of one run of a foreign suite.
#[derive(Debug, Default)]
pub struct Outcomes(BTreeMap<String, Outcome>);

impl FromIterator<(String, Outcome)> for Outcomes {
    fn from_iter<T: IntoIterator<Item = (String, Outcome)>>(outcomes: T) -> Self {
        Self(outcomes.into_iter().collect())
    }
}

impl Outcomes {
    /// From `go test -v`: `--- PASS: TestX (0.01s)`, subtests indented.
    pub fn from_go(text: &str) -> Self {
        let outcome = |line: &str| {
            let (word, rest) = line.trim_start().strip_prefix("--- ")?.split_once(": ")?;
            let outcome = match word {
                "PASS" => Outcome::Passed,
                "FAIL" => Outcome::Failed,
                "SKIP" => Outcome::Skipped,
                _ => return None,
            };
            Some((rest.split(' ').next()?.to_owned(), outcome))
        };
        text.lines().filter_map(outcome).collect()
    }

    /// From `cargo test`'s binary named `suite`: `test name ... ok`.
    ///
    /// With `--nocapture` other output can stand between name and outcome, so the binary must capture.
    pub fn from_libtest(suite: &str, text: &str) -> Self {
        let outcome = |line: &str| {
            let (name, outcome) = line.strip_prefix("test ")?.split_once(" ... ")?;
            let outcome = match outcome.split([' ', ',']).next()? {
                "ok" => Outcome::Passed,
                "ignored" => Outcome::Skipped,
                _ => Outcome::Failed,
            };
            Some((format!("{suite}::{name}"), outcome))
        };
        text.lines().filter_map(outcome).collect()
    }

    /// From our own client programs: `passed NAME`, `failed NAME: WHY`; `prefix` goes before the names.
    pub fn from_programs(prefix: &str, text: &str) -> Self {
        let outcome = |line: &str| {
            let (word, rest) = line.split_once(' ')?;
            let outcome = match word {
                "passed" => Outcome::Passed,
                "failed" => Outcome::Failed,
                _ => return None,
            };
            Some((format!("{prefix}{}", rest.split(':').next()?.trim_end()), outcome))
        };
        text.lines().filter_map(outcome).collect()
    }

    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub fn of(&self, name: &str) -> Option<&Outcome> {
        self.0.get(name)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Outcome)> {
        self.0.iter().map(|(name, outcome)| (name.as_str(), outcome))
    }

    pub fn passed(&self) -> BTreeSet<&str> {
        self.iter().filter(|(_, outcome)| **outcome == Outcome::Passed).map(|(name, _)| name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(outcomes: &Outcomes) -> Vec<(&str, &Outcome)> {
        outcomes.iter().collect()
    }

    #[test]
    fn go_output_is_read() {
        let text = "=== RUN   TestA\n--- PASS: TestA (0.10s)\n    --- FAIL: TestB/sub (0.00s)\n--- SKIP: TestB (1.0s)\n";
        assert_eq!(
            pairs(&Outcomes::from_go(text)),
            [("TestA", &Outcome::Passed), ("TestB", &Outcome::Skipped), ("TestB/sub", &Outcome::Failed)]
        );
    }

    #[test]
    fn libtest_output_is_read() {
        let text = "running 2 tests\ntest a ... ok\ntest m::b ... FAILED\ntest c ... ignored, why\n";
        assert_eq!(
            pairs(&Outcomes::from_libtest("s", text)),
            [("s::a", &Outcome::Passed), ("s::c", &Outcome::Skipped), ("s::m::b", &Outcome::Failed)]
        );
    }

    #[test]
    fn output_of_programs_is_read() {
        let text = "passed produce\nnoise\nfailed admin: no: topic\n";
        assert_eq!(
            pairs(&Outcomes::from_programs("x/", text)),
            [("x/admin", &Outcome::Failed), ("x/produce", &Outcome::Passed)]
        );
    }
}
