//! Topic regular expressions as RE2/J reads them (`SubscribedTopicRegex`), on the `regex` crate: both are linear-time
//! dialects of the same syntax, and what differs is translated here.

use std::collections::BTreeSet;
use std::sync::Arc;

use regex::Regex;

use super::regex_syntax::translate;
use super::topics::TopicDirectory;

/// The topics that a regular expression matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedRegex {
    pub topics: BTreeSet<Arc<str>>,
    /// The directory version that it was resolved against.
    pub version: i64,
    /// When, in wall-clock milliseconds.
    pub timestamp_ms: i64,
}

/// An expression that does not compile, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidRegex(pub String);

/// Compiles an expression so that it matches whole topic names only.
///
/// # Errors
/// `InvalidRegex`, in RE2/J's words.
pub(super) fn compile(expression: &str) -> Result<Regex, InvalidRegex> {
    let translated = translate(expression)?;
    // What is left to refuse: an expression that takes too much memory, which RE2/J does not mind.
    Regex::new(&format!(r"\A{translated}\z")).map_err(|e| InvalidRegex(e.to_string()))
}

/// The names in the directory that each expression matches whole; an expression that does not compile (only a record
/// can hold one) matches nothing.
pub(crate) fn resolve(
    expressions: &BTreeSet<Arc<str>>,
    directory: &dyn TopicDirectory,
    wall_ms: i64,
) -> Vec<(Arc<str>, ResolvedRegex)> {
    let empty =
        || ResolvedRegex { topics: BTreeSet::new(), version: directory.version(), timestamp_ms: wall_ms };
    let mut out: Vec<_> = expressions.iter().map(|e| (e.clone(), compile(e).ok(), empty())).collect();
    directory.for_each_name(&mut |name| {
        let mut shared: Option<Arc<str>> = None;
        for (_, regex, resolved) in &mut out {
            if regex.as_ref().is_some_and(|r| r.is_match(name)) {
                resolved.topics.insert(shared.get_or_insert_with(|| Arc::from(name)).clone());
            }
        }
    });
    out.into_iter().map(|(expression, _, resolved)| (expression, resolved)).collect()
}

#[cfg(test)]
mod tests {
    use super::compile;

    const VECTORS: &str = include_str!("../../testdata/regex_vectors.txt");
    const NAMES: &[&str] = &[
        "a",
        "ab",
        "abc",
        "foo",
        "foobar",
        "orders-12",
        "orders.eu",
        "A_B",
        "[x",
        "a&b",
        "~",
        "]a",
        "x{,2}",
    ];

    #[test]
    fn matches_and_refuses_as_kafka_does() {
        let mut differing = Vec::new();
        for line in VECTORS.lines().filter(|l| !l.starts_with('#')) {
            let fields: Vec<&str> = line.split('\t').collect();
            let (expression, expected) = (fields[1], format!("{} {}", fields[0], fields[2]));
            let actual = match compile(expression) {
                Ok(regex) => {
                    let names: Vec<&str> = NAMES.iter().copied().filter(|n| regex.is_match(n)).collect();
                    format!("match {}", names.join(" "))
                }
                Err(e) => format!("error {e}"),
            };
            if actual != expected {
                differing.push(format!("{expression}: {actual}, Kafka: {expected}"));
            }
        }
        assert!(differing.is_empty(), "{} differ\n{}", differing.len(), differing.join("\n"));
    }
}
