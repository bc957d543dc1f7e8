//! Series with a row for each topic, partition or group: written when they are asked for, kept nowhere.

use std::fmt::Write as _;

use super::catalogue::Series;
use super::metrics::head;

/// The values of one row, in the order of its series.
#[derive(Clone, Debug, PartialEq)]
pub struct Row<const SERIES: usize> {
    labels: String,
    values: [f64; SERIES],
}

impl<const SERIES: usize> Row<SERIES> {
    /// `labels`: names and values.
    pub fn new(labels: &[(&str, &str)], values: [f64; SERIES]) -> Self {
        let mut text = String::new();
        for (at, (name, value)) in labels.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let _ = write!(text, "{comma}{name}=\"");
            escape(&mut text, value);
            text.push('"');
        }
        Self { labels: text, values }
    }
}

/// Writes the rows of several series that have the same labels.
pub(super) fn append<const SERIES: usize>(out: &mut String, series: [Series; SERIES], rows: &[Row<SERIES>]) {
    if rows.is_empty() {
        return;
    }
    for (at, series) in series.into_iter().enumerate() {
        head(out, series);
        for row in rows {
            let _ = writeln!(out, "{}{{{}}} {}", series.name, row.labels, row.values[at]);
        }
    }
}

/// As the text format has it.
fn escape(out: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::{TOPIC_FETCH_BYTES, TOPIC_PRODUCE_BYTES};
    use super::*;

    #[test]
    fn rows_stand_under_the_head_of_their_series() {
        let rows = [Row::new(&[("topic", "a")], [1.0, 2.0]), Row::new(&[("topic", "b")], [3.0, 4.0])];
        let mut out = String::new();
        append(&mut out, [TOPIC_PRODUCE_BYTES, TOPIC_FETCH_BYTES], &rows);
        let lines: Vec<&str> = out.lines().filter(|line| !line.starts_with("# HELP")).collect();
        assert_eq!(
            lines,
            [
                "# TYPE ottla_topic_produce_bytes_total counter",
                "ottla_topic_produce_bytes_total{topic=\"a\"} 1",
                "ottla_topic_produce_bytes_total{topic=\"b\"} 3",
                "# TYPE ottla_topic_fetch_bytes_total counter",
                "ottla_topic_fetch_bytes_total{topic=\"a\"} 2",
                "ottla_topic_fetch_bytes_total{topic=\"b\"} 4",
            ]
        );
    }

    #[test]
    fn names_may_hold_anything() {
        let row = Row::new(&[("group", "a\"b\\c\nd"), ("topic", "t")], [0.0]);
        assert_eq!(row.labels, r#"group="a\"b\\c\nd",topic="t""#);
    }

    #[test]
    fn no_rows_have_no_head() {
        let mut out = String::new();
        append(&mut out, [TOPIC_FETCH_BYTES], &[]);
        assert_eq!(out, "");
    }
}
