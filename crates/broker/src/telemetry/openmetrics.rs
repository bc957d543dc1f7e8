//! The same series as OpenMetrics 1.0 has them: a counter's family is called without `_total`, and there is an end.
//! Source: the OpenMetrics specification.

/// Of such a text.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whole lines of Prometheus's text format as OpenMetrics; behind the last of them comes [`END`].
pub(super) fn of(prometheus: &str) -> String {
    let mut out = String::with_capacity(prometheus.len());
    for line in prometheus.lines().filter(|line| !line.is_empty()) {
        match family_of(line) {
            Some((before, after)) => out.extend([before, after]),
            None => out.push_str(line),
        }
        out.push('\n');
    }
    out
}

/// The last line.
pub(super) const END: &str = "# EOF\n";

/// What stands before and after the `_total` of a comment about a counter: all such names are of counters.
fn family_of(line: &str) -> Option<(&str, &str)> {
    let comment = line.strip_prefix("# HELP ").or_else(|| line.strip_prefix("# TYPE "))?;
    let name_end = line.len() - comment.len() + comment.find(' ')?;
    let (head, rest) = line.split_at(name_end);
    Some((head.strip_suffix("_total")?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_of_counters_have_no_suffix() {
        let text = "# HELP a_total All a_total there are.\n# TYPE a_total counter\na_total{x=\"y\"} 1\n\n\
                    # TYPE b gauge\nb 2\n";
        assert_eq!(
            of(text),
            "# HELP a All a_total there are.\n# TYPE a counter\na_total{x=\"y\"} 1\n# TYPE b gauge\nb 2\n"
        );
    }
}
