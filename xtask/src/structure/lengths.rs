//! File lengths: a ratchet against files that grew without a thought.

use super::source::Source;

const THINK: usize = 600;
const REFUSE: usize = 1000;

/// Findings for files over the limit; warns of those on the way there.
pub(super) fn check(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| !source.is_test()) {
        let lines = source.text.lines().count();
        if lines > REFUSE {
            findings.push(format!("{}: {lines} lines, at most {REFUSE}", source.path.display()));
        } else if lines > THINK {
            println!("warning: {}: {lines} lines, think about splitting at {THINK}", source.path.display());
        }
    }
    findings
}
