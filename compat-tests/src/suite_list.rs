//! The list of one foreign suite: tests that must pass (this part only grows), and those that need not, with the reason.
//!
//! One test a line, `#` starts a comment:
//!
//! ```text
//! NAME                 must pass in the whole run
//! NAME quick           must pass in the test command too
//! NAME not: REASON     does not pass; when it does, the whole run fails until the line has gone
//! NAME unsteady: REASON  may pass or not, whatever the broker does
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::outcomes::{Outcome, Outcomes};

/// How much of a suite runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// What the list marks `quick`: the test command.
    Quick,
    /// Everything: `cargo xtask test --all`.
    Whole,
}

impl Scope {
    /// Whole with `OTTLA_COMPAT_WHOLE=1`.
    pub fn current() -> Self {
        if std::env::var("OTTLA_COMPAT_WHOLE").is_ok_and(|v| v == "1") { Scope::Whole } else { Scope::Quick }
    }
}

/// What a list says of one test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    MustPass { quick: bool },
    Not { reason: String },
    Unsteady { reason: String },
}

/// The tests of one suite by name.
#[derive(Debug, Clone, Default)]
pub struct SuiteList(BTreeMap<String, Entry>);

impl SuiteList {
    pub fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Self::parse(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// Refuses a line of no known form, an empty reason, and a name that stands twice.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut entries = BTreeMap::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            let entry = Entry::parse(rest.trim()).ok_or_else(|| format!("what does {line:?} say?"))?;
            if entries.insert(name.to_owned(), entry).is_some() {
                return Err(format!("{name} stands twice"));
            }
        }
        Ok(Self(entries))
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.0.iter().map(|(name, entry)| (name.as_str(), entry))
    }

    /// The names that must pass in a run of this scope.
    pub fn must_pass(&self, scope: Scope) -> BTreeSet<&str> {
        let wanted =
            |entry: &Entry| matches!(entry, Entry::MustPass { quick } if *quick || scope == Scope::Whole);
        self.iter().filter(|(_, entry)| wanted(entry)).map(|(name, _)| name).collect()
    }

    /// Names that do not pass, with the reason.
    pub fn excluded(&self) -> BTreeMap<&str, &str> {
        self.iter().filter_map(|(name, entry)| Some((name, entry.reason()?))).collect()
    }

    /// The part of the list whose names begin with `prefix`, without it.
    pub fn part(&self, prefix: &str) -> Self {
        let within =
            |(name, entry): (&String, &Entry)| Some((name.strip_prefix(prefix)?.to_owned(), entry.clone()));
        Self(self.0.iter().filter_map(within).collect())
    }

    /// What a run of this scope contradicts, one line each.
    pub fn contradictions(&self, scope: Scope, outcomes: &Outcomes) -> Vec<String> {
        let mut found = Vec::new();
        for name in self.must_pass(scope) {
            match outcomes.of(name) {
                Some(Outcome::Passed) => {}
                Some(other) => found.push(format!("{name}: {other}")),
                None => found.push(format!("{name}: did not run")),
            }
        }
        if scope == Scope::Whole {
            found.extend(outcomes.iter().filter_map(|(name, outcome)| self.unforeseen(name, outcome)));
        }
        found
    }

    fn unforeseen(&self, name: &str, outcome: &Outcome) -> Option<String> {
        match self.0.get(name) {
            None => Some(format!("{name}: {outcome}, and not on the list")),
            Some(Entry::Not { .. }) if *outcome == Outcome::Passed => {
                Some(format!("{name}: passes, and the list says that it does not"))
            }
            Some(_) => None,
        }
    }

    /// Fails the test unless the run agrees with the list.
    #[track_caller]
    pub fn check(&self, scope: Scope, outcomes: &Outcomes) {
        let found = self.contradictions(scope, outcomes);
        println!("{} of {} passed", outcomes.passed().len(), outcomes.iter().count());
        assert!(found.is_empty(), "against the list:\n{}", found.join("\n"));
    }
}

impl Entry {
    fn parse(text: &str) -> Option<Self> {
        let reason = |reason: &str| Some(reason.trim().to_owned()).filter(|reason| !reason.is_empty());
        match text {
            "" => Some(Entry::MustPass { quick: false }),
            "quick" => Some(Entry::MustPass { quick: true }),
            _ => match text.split_once(':')? {
                ("not", why) => Some(Entry::Not { reason: reason(why)? }),
                ("unsteady", why) => Some(Entry::Unsteady { reason: reason(why)? }),
                _ => None,
            },
        }
    }

    fn reason(&self) -> Option<&str> {
        match self {
            Entry::MustPass { .. } => None,
            Entry::Not { reason } | Entry::Unsteady { reason } => Some(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "# a suite\na quick\nb\n\nc not: transactions\nd unsteady: it measures time\n";

    fn list() -> SuiteList {
        SuiteList::parse(LIST).expect("a list")
    }

    fn contradictions(scope: Scope, outcomes: &[(&str, Outcome)]) -> Vec<String> {
        let outcomes = outcomes.iter().map(|(name, outcome)| ((*name).to_owned(), outcome.clone())).collect();
        list().contradictions(scope, &outcomes)
    }

    #[test]
    fn list_is_read() {
        assert_eq!(list().must_pass(Scope::Quick), BTreeSet::from(["a"]));
        assert_eq!(list().must_pass(Scope::Whole), BTreeSet::from(["a", "b"]));
        assert_eq!(list().excluded(), BTreeMap::from([("c", "transactions"), ("d", "it measures time")]));
    }

    #[test]
    fn list_refuses_what_it_does_not_understand() {
        for text in ["a fast", "a not:", "a\na quick", "a because: of it"] {
            assert!(SuiteList::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn quick_run_needs_only_the_quick_ones() {
        assert!(contradictions(Scope::Quick, &[("a", Outcome::Passed)]).is_empty());
        assert_eq!(contradictions(Scope::Quick, &[]), ["a: did not run"]);
    }

    #[test]
    fn whole_run_contradicts_in_every_way() {
        let all =
            [("a", Outcome::Passed), ("b", Outcome::Passed), ("c", Outcome::Failed), ("d", Outcome::Passed)];
        assert!(contradictions(Scope::Whole, &all).is_empty());
        let all = [("a", Outcome::Skipped), ("c", Outcome::Passed), ("e", Outcome::Passed)];
        assert_eq!(
            contradictions(Scope::Whole, &all),
            [
                "a: skipped itself",
                "b: did not run",
                "c: passes, and the list says that it does not",
                "e: passed, and not on the list",
            ]
        );
    }

    #[test]
    fn part_of_a_list_is_named_without_its_prefix() {
        let list = SuiteList::parse("x/a\nx/b not: why\ny/a\n").expect("a list").part("x/");
        assert_eq!(list.must_pass(Scope::Whole), BTreeSet::from(["a"]));
        assert_eq!(list.excluded(), BTreeMap::from([("b", "why")]));
    }
}
