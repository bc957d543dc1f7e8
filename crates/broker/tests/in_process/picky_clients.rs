//! docs/picky-clients.md keeps its word: each line names tests that there are.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const LINES: usize = 40;

#[test]
fn every_picky_line_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(root.join("docs/picky-clients.md")).unwrap();
    let tests = tests_of(&root);
    let mut numbers = Vec::new();
    for line in page.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let Some(number) = cells.first().and_then(|cell| cell.parse::<usize>().ok()) else { continue };
        numbers.push(number);
        let [_, what, shown_by] = cells.as_slice() else { panic!("line {number} has {} cells", cells.len()) };
        let named: Vec<&str> = shown_by.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "line {number} ({what}) names no test");
        for test in named {
            assert!(tests.contains(test), "line {number} names {test}, which is not there");
        }
    }
    assert_eq!(numbers, (1..=LINES).collect::<Vec<_>>());
}

/// Names of our test functions, and of other people's tests that must pass.
fn tests_of(root: &Path) -> BTreeSet<String> {
    let mut tests = BTreeSet::new();
    for dir in ["crates", "compat-tests/tests", "compat-tests/suites"] {
        for file in files(&root.join(dir)) {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            if file.extension().is_some_and(|extension| extension == "rs") {
                tests.extend(functions_under_test(&text));
            } else if file.extension().is_some_and(|extension| extension == "txt") && dir.ends_with("suites")
            {
                tests.extend(text.lines().filter_map(suite_test).map(str::to_owned));
            }
        }
    }
    assert!(tests.len() > 300, "{} tests found below {}", tests.len(), root.display());
    tests
}

/// The name that a line of a suite's list begins with.
fn suite_test(line: &str) -> Option<&str> {
    line.split_whitespace().next().filter(|name| !name.starts_with(['#', '-']))
}

/// The function that follows each `#[test]` (or `#[tokio::test]`, or a property's).
fn functions_under_test(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut marked = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            marked = true;
        } else if marked && let Some(name) = line.trim_start_matches("async ").strip_prefix("fn ") {
            found.extend(name.split('(').next().map(str::to_owned));
            marked = false;
        }
    }
    found
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}
